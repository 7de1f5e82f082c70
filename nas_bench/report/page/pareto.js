// Score against cost: seeds faint, means with intervals, the front.

function pareto() {
  const cost = COSTS[state.cost] ? state.cost : "flops";
  const points = paretoPoints(cost);
  const papers = cost === "parameters" ? comparison().published.filter((paper) => isNumber(paper.parameters)) : [];
  return [
    controls(
      choice("Cost", "cost", Object.entries(COSTS).map(([key, { short }]) => [key, short])),
      choice("Cost scale", "costs", [["log", "log"], ["linear", "linear"]]),
      scoreChoice(),
      comparison().rows.some((row) => row.role === "twin") && toggle("Twins", "twins"),
      comparison().published.length > 0 && toggle("Published numbers", "published"),
    ),
    points.length ? paretoFigure(cost, points, state.published === "yes" ? papers : []) : emptyChart(),
    ...(state.published === "yes" ? published(cost, papers) : []),
  ];
}

const emptyChart = () =>
  element("div", {}, note("There is nothing to draw: no row that is shown has a result. Rows are chosen here."), legend(candidates()));

function paretoPoints(cost) {
  const known = shownRows().filter((row) => row.seeds_ok && isNumber(row.score.mean) && row.costs[cost].mean > 0);
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
  const measure = { training_flops: (trial) => trial.train_flops + trial.growth_flops }[cost] ?? ((trial) => trial[cost]);
  return points.flatMap(({ row }) =>
    row.trials.filter((trial) => isNumber(trial.score) && measure(trial) > 0).map((trial) => ({ row, trial, cost: measure(trial), score: trial.score })),
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
    says: "Large marks are means, bars 95 % confidence intervals, small marks single seeds. The ring is as strong as the probability of being on the front; the dashed line joins means that none of the others beats. Twins are never part of the front.",
    columns,
    rows: d3.sort(points, (p) => p.cost),
  };
  return figure(about, chartPlace((width) => paretoChart(cost, points, papers, width)), legend(candidates()));
}

function paretoChart(cost, points, papers, width) {
  const seeds = seedPoints(points, cost);
  const front = frontLine(points.filter((point) => point.row.role !== "twin"));
  const height = Math.round(Math.max(320, Math.min(500, width * 0.56)));
  const costs = [...points, ...seeds].map((p) => p.cost).concat(papers.map((paper) => paper.parameters));
  const scores = [...points, ...seeds].map((p) => p.score).concat(papers.map((paper) => paper.score));
  const domain = padded(d3.extent(costs), state.costs);
  const line = front.length ? [...front, { ...front.at(-1), cost: domain[1], row: undefined }] : [];
  const chart = plot({
    width,
    height,
    marginLeft: 52,
    marginRight: 16,
    ariaLabel: `Score against ${COSTS[cost].label}; the table below has the numbers`,
    x: { type: state.costs, domain, label: COSTS[cost].label, ticks: logTicks(domain, width), tickFormat: cost === "seconds" ? (v) => String(v) : tick, grid: true, labelAnchor: "center", labelArrow: "none" },
    y: scoreScale(scores, height),
    symbol: { type: "identity" },
    marks: [
      Plot.line(line, { x: "cost", y: "score", curve: "step-after", stroke: "currentColor", strokeOpacity: 0.55, strokeDasharray: "5 4" }),
      Plot.dot(seeds, { x: "cost", y: "score", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), fillOpacity: 0.35, r: 2.6, clip: true }),
      Plot.ruleX(points, { x: "cost", y1: "low", y2: "high", stroke: (p) => rowColour(p.row), strokeWidth: 1.5, clip: true }),
      Plot.dot(points, { x: "cost", y: "score", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", strokeWidth: 1, r: 6.5 }),
      Plot.dot(points.filter((p) => p.chance > 0), { x: "cost", y: "score", r: 10.5, fill: "none", stroke: "currentColor", strokeOpacity: (p) => p.chance, strokeWidth: 1.3 }),
      Plot.dot(papers, { x: "parameters", y: "score", r: 6, fill: "none", stroke: "currentColor", strokeWidth: 1.4, strokeDasharray: "2 1.5" }),
      Plot.tip([...points, ...papers], Plot.pointer({ x: (p) => p.cost ?? p.parameters, y: "score", title: (p) => (p.row ? paretoTip(cost, p) : paperTip(p)), ...TIP })),
    ],
  });
  return opening(chart);
}

const TIP = { fill: "var(--paper)", stroke: "var(--line)", textPadding: 10, lineWidth: 32 };

function paretoTip(cost, point) {
  const { metric } = comparison();
  return [
    shortened(point.row.name, 60),
    `${score(point.score, metric)} ${halfWidth(point.score, point.row.score.interval, metric)} (95 % CI)`,
    `${COSTS[cost].text(point.cost)} ${COSTS[cost].label}`,
    point.row.role === "twin" ? "a twin, not part of the front" : `on the front with probability ${percent(point.chance)}`,
    `${point.row.seeds_ok} of ${plural(point.row.seeds, "seed")}; click for the trials`,
  ].join("\n");
}

const paperTip = (paper) =>
  [`${oneLine(paper.method)}: ${paper.score} % (published)`, shortened(paper.paper, 90), `${paper.metric}; ${shortened(paper.setting, 160)}`, shortened(paper.notes, 160)].filter(Boolean).join("\n");

/** A domain with room at both ends. */
function padded([low, high], type) {
  if (type === "linear") return [Math.max(0, low - 0.06 * (high - low || low)), high + 0.06 * (high - low || high)];
  const room = Math.max(1.12, (high / low) ** 0.06);
  return [low / room, high * room];
}

/** Few round numbers of a logarithmic axis, at least three where there are; even ones otherwise. */
function logTicks([low, high], width) {
  if (state.costs === "linear") return Math.max(3, width / 110);
  const most = Math.max(3, width / 75);
  const tries = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]];
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const found = tries.map((steps) => powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`))).filter((value) => low <= value && value <= high));
  const enough = found.find((ticks) => ticks.length >= 3) ?? found.at(-1);
  return enough.length > most ? enough.filter((_, i) => i % Math.ceil(enough.length / most) === 0) : enough;
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
    ? `${papers.length} of them say how many parameters the network has and are in the chart, hollow.`
    : "Papers say how many parameters a network has, not what it costs here: choose Parameters to see them in the chart.";
  return [
    section("Published numbers", paragraph(`What papers report on the same data set. Protocols differ, so these numbers cannot be compared with the rows above: they are never ranked and in no statistics. ${where}`, "says"), table(columns, all, "Published numbers")),
  ];
}
