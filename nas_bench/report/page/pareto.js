// Score against cost: seeds faint, means with intervals, the front.

function pareto() {
  const cost = costShown();
  const points = paretoPoints(cost);
  const papers = cost === "parameters" ? comparison().published.filter((paper) => isNumber(paper.parameters)) : [];
  return [
    controls(
      choice("Cost", "cost", knownCosts().map(([key, { short }]) => [key, short]), cost),
      choice("Cost scale", "costs", [["log", "log"], ["linear", "linear"]]),
      scoreChoice(),
      comparison().rows.some((row) => row.role === "twin") && toggle("Twins", "twins"),
      comparison().published.length > 0 && toggle("Published numbers", "published"),
    ),
    points.length ? paretoFigure(cost, points, state.published === "yes" ? papers : []) : emptyChart(),
    ...(state.published === "yes" ? published(cost, papers) : []),
  ];
}

/** The cost that is chosen, else the first in which rows differ. */
const costShown = () => (knownCosts().some(([name]) => name === state.cost) ? state.cost : comparison().cost);

const emptyChart = () =>
  element("div", {}, note("There is nothing to draw: no row that is shown has a result. Rows are chosen here."), legend(candidates()));

function paretoPoints(cost) {
  const known = shownRows().filter((row) => row.seeds_ok && isNumber(row.score.mean) && row.costs[cost]?.mean > 0);
  return known.map((row) => ({
    row,
    cost: row.costs[cost].mean,
    score: row.score.mean,
    low: clipped(row.score.interval, row.score.mean)[0],
    high: clipped(row.score.interval, row.score.mean)[1],
    chance: row.front[cost],
  }));
}

/** The points that no other is at least as cheap as and better than, cheapest first. */
function frontLine(points) {
  const sign = comparison().higher ? 1 : -1;
  const front = [];
  for (const point of d3.sort(points, (p) => p.cost, (p) => -sign * p.score)) {
    if (!front.length || sign * point.score > sign * front.at(-1).score) front.push(point);
  }
  return front;
}

function seedPoints(points, cost) {
  const training = (trial) => trial.train_flops + trial.growth_flops;
  const measure = { training_flops: training, with_tuning: (trial, row) => training(trial) + row.tuning.flops }[cost] ?? ((trial) => trial[cost]);
  return points.flatMap(({ row }) =>
    row.trials.filter((trial) => isNumber(trial.score) && measure(trial, row) > 0).map((trial) => ({ row, trial, cost: measure(trial, row), score: trial.score })),
  );
}

function paretoFigure(cost, points, papers) {
  const { metric } = comparison();
  const columns = [
    { label: "Method", head: true, value: (p) => p.row.name, cell: (p) => opens([p.row], rowLabel(p.row)) },
    { label: COSTS[cost].short, numeric: true, value: (p) => p.cost, text: (p) => COSTS[cost].text(p.cost) },
    { label: "Score", numeric: true, value: (p) => p.score, text: (p) => score(p.score, metric) },
    { label: "CI from", numeric: true, value: (p) => p.row.score.interval?.[0], text: (p) => score(p.row.score.interval?.[0], metric) },
    { label: "CI to", numeric: true, value: (p) => p.row.score.interval?.[1], text: (p) => score(p.row.score.interval?.[1], metric) },
    { label: "On the front", numeric: true, value: (p) => p.chance, text: (p) => percent(p.chance), help: "Probability, by bootstrap over seeds" },
  ];
  const about = {
    name: "pareto",
    title: `${metric === "loss" ? "Test loss" : "Test accuracy"} against ${COSTS[cost].label}`,
    says: `Large marks are means, bars 95 % confidence intervals, small marks single seeds. ${isStrip(points, papers) ? `All rows: ${COSTS[cost].text(points[0].cost)} ${COSTS[cost].label}.` : "The ring is as strong as the probability of being on the front; the dashed line joins the means that no other beats. Equal costs stand at most a marker apart."} Twins are dotted and never part of the front. Arrows: the bar goes on.`,
    columns,
    rows: d3.sort(points, (p) => p.cost),
  };
  return figure(about, paretoPanels(cost, points, papers), legend(candidates()));
}

/** Whether an axis of costs would say nothing. */
const isStrip = (points, papers) => !papers.length && areEqual(...d3.extent(points, (p) => p.cost));

/** One panel, or two where some rows are far from the best: everything, and its surroundings. */
function paretoPanels(cost, points, papers) {
  const near = nearBest(points, (p) => p.score);
  const whole = (frame) => (width) => (isStrip(points, papers) ? stripChart({ cost, view: points, frame }, width) : paretoChart({ cost, points, view: points, papers, frame, short: Boolean(frame) }, width));
  if (near.length < 2 || near.length === points.length) return chartPlace(whole());
  const { scores } = paretoFrame({ cost, view: near, papers: [] });
  const [bottom, top] = scaleEnds(scoreScale(scores, LEAST));
  const inside = points.filter((point) => bottom <= point.score && point.score <= top);
  const close = (width) => (isStrip(inside, []) ? stripChart({ cost, view: inside, scores }, width) : paretoChart({ cost, points, view: inside, papers: [], short: true, scores }, width));
  const panel = (title, made) => element("div", { className: "small" }, element("h3", {}, title), chartPlace(made));
  const equal = isStrip(inside, []) && !isStrip(points, papers) ? `, all at ${COSTS[cost].text(inside[0].cost)}` : "";
  return element(
    "div",
    { className: "panels" },
    panel(`The best, and what is near${equal}`, close),
    panel("Everything; the other chart shows the shaded scores", whole({ bottom, top })),
  );
}

/** Rows whose costs agree: a line for each, the best first, twins below their own. */
function stripChart({ cost, view, frame, scores }, width) {
  const seeds = seedPoints(view, cost);
  const { metric, higher } = comparison();
  const best = d3.sort(view, (p) => (higher ? -p.score : p.score));
  const owner = (point) => best.find((p) => Object.values(p.row.twins).includes(point.row.name));
  const own = best.filter((p) => p.row.role !== "twin" || !owner(p));
  const ordered = own.flatMap((point) => [point, ...best.filter((p) => p.row.role === "twin" && owner(p) === point)]);
  const name = (p) => p.row.name;
  const room = labelRoom(ordered.map(name), width);
  const x = { ...scoreScale(scores ?? [...view, ...seeds].map((p) => p.score), width * 0.6), labelAnchor: "center" };
  const bar = { y: name, x1: "low", x2: "high", stroke: (p) => rowColour(p.row), strokeWidth: 1.5, clip: true };
  const isTwin = (p) => p.row.role === "twin";
  const chart = plot({
    width,
    height: 60 + 24 * ordered.length,
    marginLeft: room,
    marginRight: 16,
    marginTop: 8,
    ariaLabel: "Score of each row; the table below has the numbers",
    x,
    y: { type: "point", domain: ordered.map(name), label: null, tickSize: 0, tickFormat: (each) => fitting(each, room - 12), padding: 0.6 },
    marks: [
      frame ? Plot.rectX([frame], { x1: "bottom", x2: "top", fill: "currentColor", fillOpacity: 0.07, clip: true }) : null,
      Plot.dot(seeds, { x: "score", y: name, symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), fillOpacity: 0.5, r: 3, clip: true }),
      Plot.ruleY(ordered.filter((p) => !isTwin(p)), bar),
      Plot.ruleY(ordered.filter(isTwin), { ...bar, strokeDasharray: "2 3" }),
      Plot.text(beyond(ordered, x), { x: "end", y: name, text: () => "↔", fill: (p) => rowColour(p.row) }),
      Plot.dot(ordered, { x: "score", y: name, symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", strokeWidth: 1, r: 6 }),
      Plot.tip(ordered, Plot.pointer({ x: "score", y: name, title: (p) => paretoTip(cost, p), ...TIP })),
    ],
  });
  return clickable(chart);
}

/** Where bars go on beyond the ends of an axis of scores. */
function beyond(points, scale) {
  const [least, most] = d3.extent(scaleEnds(scale));
  return points.flatMap((p) => [p.low < least && { ...p, end: least }, p.high > most && { ...p, end: most }]).filter(Boolean);
}

const areEqual = (a, b) => Math.abs(b / a - 1) < 0.005;

/** What a panel has to show: the ends of its costs, and its scores. */
function paretoFrame({ cost, view, papers }) {
  const seeds = seedPoints(view, cost);
  const scores = [...view, ...seeds].map((p) => p.score).concat(papers.map((paper) => paper.score));
  const costs = [...view, ...seeds].map((p) => p.cost).concat(papers.map((paper) => paper.parameters));
  const [low, high] = d3.extent(costs);
  return { seeds, scores, only: areEqual(low, high) ? low : null, domain: padded(areEqual(low, high) ? [0.9 * low, 1.1 * high] : [low, high], state.costs) };
}

/** Places between 0 and 1 for so many, one after the other far apart: their order makes no slope. */
function mixedPlaces(count) {
  const place = (i) => (i * 0.618034) % 1;
  const numbers = [...Array(count).keys()];
  const mixed = numbers.toSorted((a, b) => place(a) - place(b));
  return numbers.map((i) => (mixed.indexOf(i) + 0.5) / count);
}

/** Factors that put points of equal cost beside each other: all within a marker's width. */
function dodged(points, { domain: [low, high] }, width) {
  const place = state.costs === "log" ? (cost) => Math.log(cost / low) / Math.log(high / low) : (cost) => (cost - low) / (high - low);
  return (point) => {
    const equal = d3.sort(points.filter((p) => areEqual(p.cost, point.cost)), (p) => p.row.name);
    const free = d3.min(points.filter((p) => !equal.includes(p)), (p) => Math.abs(place(p.cost) - place(point.cost))) ?? 1;
    const across = Math.min(12 / width, free);
    const share = across * (mixedPlaces(equal.length)[equal.findIndex((p) => p.row === point.row)] - 0.5);
    return state.costs === "log" ? (high / low) ** share : 1 + ((high - low) * share) / point.cost;
  };
}

function paretoChart({ cost, points, view, papers, short = false, frame, scores }, width) {
  const shown = paretoFrame({ cost, view, papers });
  const { seeds, only, domain } = shown;
  const shift = dodged(view, shown, width - 64);
  const placed = view.map((point) => ({ ...point, at: point.cost * shift(point) }));
  const shifts = new Map(placed.map((point) => [point.row, point.at / point.cost]));
  const best = frontLine(points.filter((point) => point.row.role !== "twin"));
  const front = best.map((p) => ({ score: p.score, cost: p.cost * (shifts.get(p.row) ?? 1) }));
  const line = front.length ? [...front, { ...front.at(-1), cost: domain[1] }] : [];
  const height = Math.round(Math.max(300, Math.min(480, width * (short ? 0.72 : 0.5))));
  const y = scoreScale(scores ?? shown.scores, height);
  const bar = { x: "at", y1: "low", y2: "high", stroke: (p) => rowColour(p.row), strokeWidth: 1.5, clip: true };
  const chart = plot({
    width,
    height,
    marginLeft: axisRoom(y),
    marginRight: 16,
    ariaLabel: `Score against ${COSTS[cost].label}; the table below has the numbers`,
    x: { ...costScale(cost, domain, width), ...(only && { ticks: [state.costs === "log" ? Math.log10(only) : only], tickFormat: () => COSTS[cost].text(only) }) },
    y,
    marks: [
      frame ? Plot.rectY([frame], { y1: "bottom", y2: "top", fill: "currentColor", fillOpacity: 0.07, clip: true }) : null,
      Plot.line(line, { x: "cost", y: "score", curve: "step-after", stroke: "currentColor", strokeOpacity: 0.5, strokeDasharray: "5 4", clip: true }),
      Plot.dot(seeds, { x: (p) => p.cost * shifts.get(p.row), y: "score", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), fillOpacity: 0.5, r: 3, clip: true }),
      Plot.ruleX(placed.filter((p) => p.row.role !== "twin"), bar),
      Plot.ruleX(placed.filter((p) => p.row.role === "twin"), { ...bar, strokeDasharray: "2 3" }),
      Plot.text(beyond(placed, y), { x: "at", y: "end", text: () => "↕", fill: (p) => rowColour(p.row) }),
      Plot.dot(placed, { x: "at", y: "score", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", strokeWidth: 1, r: 6 }),
      Plot.dot(placed.filter((p) => p.chance > 0), { x: "at", y: "score", r: 10, fill: "none", stroke: "currentColor", strokeOpacity: (p) => p.chance, strokeWidth: 1.3 }),
      Plot.dot(papers, { x: "parameters", y: "score", r: 6, fill: "none", stroke: "currentColor", strokeWidth: 1.4, strokeDasharray: "2 1.5" }),
      Plot.tip([...placed, ...papers], Plot.pointer({ x: (p) => p.at ?? p.parameters, y: "score", title: (p) => (p.row ? paretoTip(cost, p) : paperTip(p)), ...TIP })),
    ],
  });
  const marks = [...placed.map((p) => [p.at, p.score]), ...papers.map((p) => [p.parameters, p.score])];
  const names = [
    ...placed.filter((p) => best.some(({ row }) => row === p.row)).map((p) => ({ at: [p.at, p.score], text: shortened(p.row.name, 32) })),
    ...papers.map((p) => ({ at: [p.parameters, p.score], text: `${shortened(oneLine(p.method), 24)} (published)` })),
  ];
  addNames(chart, names, marks);
  return clickable(chart);
}

/** Names beside marks, each where it covers no mark and no other name; else it is left out. */
function addNames(chart, names, marks) {
  const [x, y] = ["x", "y"].map((name) => chart.scale(name));
  const [start, end] = x.range;
  const place = (scale, value) => scale.apply(scale.transform ? scale.transform(value) : value);
  const taken = marks.map(([cost, score]) => [place(x, cost), place(y, score)]).map(([left, top]) => [left - 9, top - 9, left + 9, top + 9]);
  const free = ([left, top, right, bottom]) =>
    left > start && right < end && top > 0 && taken.every((box) => right < box[0] || left > box[2] || bottom < box[1] || top > box[3]);
  for (const { at, text } of names) {
    const [left, top, long] = [place(x, at[0]), place(y, at[1]), textWidth(text)];
    const ways = [[14, -9], [-14 - long, -9], [-long / 2, -30], [-long / 2, 12], [11, -28], [11, 10], [-11 - long, -28], [-11 - long, 10]];
    const box = ways.map(([dx, dy]) => [left + dx, top + dy, left + dx + long, top + dy + 18]).find(free);
    if (!box) continue;
    taken.push(box);
    const attributes = { x: box[0], y: box[1] + 13, "text-anchor": "start", fill: "currentColor", stroke: "var(--paper)", "stroke-width": 3, "paint-order": "stroke", "aria-hidden": "true" };
    const name = document.createElementNS("http://www.w3.org/2000/svg", "text");
    for (const [key, value] of Object.entries(attributes)) name.setAttribute(key, value);
    name.textContent = text;
    chart.append(name);
  }
}

const TIP = { fill: "var(--paper)", stroke: "var(--line)", textPadding: 10, lineHeight: 1.35, lineWidth: 32 };

function paretoTip(cost, point) {
  const { metric } = comparison();
  return [
    shortened(point.row.name, 60),
    `${point.row.score.text.join(" ")} (95 % CI)`,
    `${COSTS[cost].text(point.cost)} ${COSTS[cost].label}`,
    point.row.role === "twin" ? "a twin, not part of the front" : `on the front with probability ${percent(point.chance)}`,
    `${point.row.seeds_ok} of ${plural(point.row.seeds, "seed")}; click for the trials`,
  ].join("\n");
}

const paperTip = (paper) =>
  [`${oneLine(paper.method)}: ${paper.score} % (published)`, shortened(paper.paper, 90), `${paper.metric}; ${shortened(paper.setting, 160)}`, shortened(paper.notes, 160)].filter(Boolean).join("\n");

/** Options of the axis of a cost. */
function costScale(cost, domain, width) {
  const axis = { label: COSTS[cost].label, labelAnchor: "center", labelArrow: "none", grid: true };
  const format = cost === "seconds" ? (value) => String(value) : tick;
  if (state.costs === "linear") return { ...axis, domain, ticks: Math.max(3, width / 110), tickFormat: format };
  return { ...logScale(domain, width / 75, format), ...axis };
}

function published(cost, papers) {
  const all = comparison().published;
  const columns = [
    { label: "Method", head: true, value: (p) => p.method, text: (p) => shortened(p.method, 60) },
    { label: "Accuracy, %", numeric: true, value: (p) => p.score },
    { label: "Parameters", numeric: true, value: (p) => p.parameters, text: (p) => human(p.parameters) },
    { label: "Model", value: (p) => p.model, text: (p) => oneLine(p.model), className: "prose" },
    { label: "Metric", value: (p) => p.metric, className: "prose" },
    { label: "Setting", value: (p) => p.setting, text: (p) => oneLine(p.setting), className: "prose" },
    { label: "Seeds", value: (p) => p.seeds },
    { label: "Paper", value: (p) => `${p.paper} (${p.paper_id})`, text: (p) => `${oneLine(p.paper)} (${oneLine(p.paper_id)})`, className: "prose" },
    { label: "Notes", value: (p) => p.notes, text: (p) => oneLine(p.notes), className: "prose" },
  ];
  const where = cost === "parameters"
    ? `${papers.length} of them ${papers.length === 1 ? "says" : "say"} how many parameters the network has and are in the chart, hollow.`
    : "Papers say how many parameters a network has, not what it costs here: choose Parameters to see them in the chart.";
  return [
    section("Published numbers", paragraph(`What papers report on the same data set. Protocols differ, so these numbers cannot be compared with the rows above: they are never ranked and in no statistics. ${where}`, "says"), table(columns, all, "Published numbers")),
  ];
}
