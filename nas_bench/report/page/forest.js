// Differences of the methods: against networks from scratch, and against random growth.

const LANES = ["equal steps", "equal flops", "against fixed"]; // each less a network from scratch

function forest(found) {
  const controls = found.rows.some((row) => row.role === "control" && found.growing.some((pair) => pair.first === row.name));
  const shown = found.rows.filter((row) => row.role === "method" || (row.role === "control" && state.controls === "yes"));
  const asked = askedOf(found);
  const pairs = [...found.growing, ...found.against].filter((pair) => asked.includes(pair.question) && shown.some((row) => row.name === pair.first));
  if (!pairs.length) return null;
  const label = (question) => (QUESTIONS[question] ?? [question])[0];
  const points = pairs.map((pair) => ({ ...pair, label: label(pair.question), row: rowNamed(pair.first) }));
  const columns = [
    { label: "Question", head: true, value: (p) => p.label },
    { label: "Method", value: (p) => p.first, cell: (p) => opens([p.row], rowLabel(p.row, 40)) },
    { label: "Against", value: (p) => p.second },
    { label: "Difference", numeric: true, value: (p) => p.difference, text: (p) => p.text[0] },
    { label: "CI from", numeric: true, value: (p) => p.interval?.[0], text: (p) => signed(p.interval?.[0], found.metric, half(p.interval)) },
    { label: "CI to", numeric: true, value: (p) => p.interval?.[1], text: (p) => signed(p.interval?.[1], found.metric, half(p.interval)) },
    { label: "p", numeric: true, value: (p) => p.adjusted, text: (p) => pValue(p.adjusted) },
  ];
  const better = found.higher ? "right" : "left";
  const unit = found.metric === "loss" ? "loss" : "points";
  const says = pairs.some((pair) => isNumber(pair.adjusted))
    ? `Differences with the intervals of their tests, in ${unit}; better to the ${better} of 0. Filled where significant among all rows of its question; hollow where it may be chance.`
    : `Differences in ${unit}; better to the ${better} of 0. Hollow, and without intervals, because none of them can be tested.`;
  const charts = d3.groups(points, (p) => LANES.includes(p.question)).map(([, own]) => {
    const lanes = [...new Set(own.map((p) => p.question))];
    const title = lanes.length > 1 ? "Minus networks from scratch" : label(lanes[0]);
    const key = lanes.length > 1 && element("ul", { className: "key" }, ...lanes.map((lane, i) => element("li", {}, element("i", { className: i ? "lane dotted" : "lane" }), laneName(lane))));
    return element("div", { className: "small" }, element("h3", {}, title), key, chartPlace((width) => forestChart(own, lanes, title, width)));
  });
  return figure({ name: "forest", title: "Did it pay?", says, columns, rows: points }, controls && element("div", {}, toggle("Controls under their methods", "controls")), element("div", { className: "pair-of-charts" }, ...charts));
}

const laneName = (question) => ({ "equal steps": "grown − the same from scratch, equal steps", "equal flops": "grown − the same from scratch, equal FLOPs", "against fixed": "minus fixed" })[question];

/** Methods in their order, controls under the method that they explain. */
function folded(rows) {
  const base = (row) => row.name.split(/[[ {]/)[0];
  const methods = rows.filter((row) => row.role === "method");
  const under = (method) => rows.filter((row) => row.role === "control" && methods.find((each) => base(each) === base(row)) === method);
  return [...methods.flatMap((method) => [method, ...under(method)]), ...under(undefined)];
}

const LANE = 13; // pixels from a lane to the next

function forestChart(points, lanes, title, width) {
  const [low, high] = forestEnds(points);
  const cut = (value) => Math.min(high, Math.max(low, value));
  const rows = folded([...new Set(points.map((p) => p.row))]);
  const indent = (row) => (row.role === "control" ? 10 : 0);
  const margin = labelRoom(rows.map((row) => row.name), width) + (rows.some(indent) ? 10 : 0);
  const shown = (row) => fitting(row.name, margin - 14 - indent(row));
  const marks = lanes.flatMap((lane, i) => {
    const own = points.filter((p) => p.question === lane);
    const dy = LANE * (i - (lanes.length - 1) / 2);
    const mark = { x: (p) => cut(p.difference), y: "first", dy, symbol: (p) => rowSymbol(p.row), r: i ? 4 : 5.5, strokeWidth: 1.5, stroke: (p) => rowColour(p.row) };
    const beyond = { x: (p) => cut(p.difference), y: "first", fill: "currentColor" };
    return [
      Plot.ruleY(own.filter((p) => p.interval), { y: "first", dy, x1: (p) => cut(p.interval[0]), x2: (p) => cut(p.interval[1]), stroke: (p) => rowColour(p.row), strokeWidth: 1.5, strokeDasharray: i ? "2 3" : undefined }),
      Plot.dot(own.filter(isReal), { ...mark, fill: (p) => rowColour(p.row) }),
      Plot.dot(own.filter((p) => !isReal(p)), { ...mark, fill: "var(--paper)" }),
      Plot.text(own.filter((p) => p.difference < low), { ...beyond, dy, dx: 9, text: (p) => `‹ ${p.text[0]}`, textAnchor: "start" }),
      Plot.text(own.filter((p) => p.difference > high), { ...beyond, dy, dx: -9, text: (p) => `${p.text[0]} ›`, textAnchor: "end" }),
    ];
  });
  const chart = plot({
    width,
    height: 48 + (12 + LANE * lanes.length) * rows.length,
    marginLeft: margin,
    marginRight: 16,
    marginTop: 6,
    marginBottom: 30,
    ariaLabel: `${title}; the table below has the numbers`,
    x: { domain: [low, high], label: null, grid: true, ticks: Math.max(3, width / 130), tickFormat: smallTick },
    y: { type: "point", domain: rows.map((row) => row.name), axis: null, padding: 0.6 },
    marks: [
      Plot.text(rows.filter((row) => !indent(row)), { y: "name", frameAnchor: "left", dx: -margin, textAnchor: "start", text: shown, fill: "currentColor" }),
      Plot.text(rows.filter(indent), { y: "name", frameAnchor: "left", dx: 10 - margin, textAnchor: "start", text: shown, fill: "var(--soft)" }),
      Plot.ruleX([0], { stroke: "currentColor", strokeOpacity: 0.6 }),
      ...marks,
      Plot.tip(points, Plot.pointer({ x: (p) => cut(p.difference), y: "first", title: (p) => `${shortened(p.first, 50)} − ${shortened(p.second, 50)}\n${p.text.join(" ")}\n${pValue(p.adjusted)}`, ...TIP })),
    ],
  });
  return clickable(chart);
}

/** From where to where differences are drawn: without those that are far out. */
function forestEnds(points) {
  const means = points.map((p) => p.difference);
  const [q1, q3] = [0.25, 0.75].map((share) => d3.quantile(means, share));
  const far = Math.max(3 * (q3 - q1), 1.5 * (d3.median(points, (p) => half(p.interval)) ?? 0)) || Math.abs(q3) || 1;
  const near = points.filter((p) => q1 - far <= p.difference && p.difference <= q3 + far);
  const [low, high] = d3.extent([0, ...near.flatMap((p) => [p.difference, ...(p.interval ?? [])])]);
  const room = 0.06 * (high - low) || 1;
  return [low - room, high + room];
}
