// Differences of the methods, one panel for each question that was asked before looking.

function forest(found) {
  const methods = found.rows.filter((row) => row.role === "method");
  const panels = askedOf(found)
    .map((question) => ({ question, pairs: [...found.growing, ...found.against].filter((pair) => pair.question === question && methods.some((row) => row.name === pair.first)) }))
    .filter(({ pairs }) => pairs.length);
  if (!panels.length) return null;
  const points = panels.flatMap(({ question, pairs }) => pairs.map((pair) => ({ ...pair, label: (QUESTIONS[question] ?? [question])[0], row: rowNamed(pair.first) })));
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
  const says = `Differences with the intervals of their tests, in ${found.metric === "loss" ? "loss" : "points"}; better to the ${better} of 0. Filled where significant among all rows of its panel; hollow where it may be chance. Controls are in the table.`;
  const charts = d3.groups(points, (p) => p.label).map(([label, own]) => element("div", { className: "small" }, element("h3", {}, label), chartPlace((width) => forestChart(own, label, width))));
  return figure({ name: "forest", title: "Did it pay?", says, columns, rows: points }, element("div", { className: "pair-of-charts" }, ...charts));
}

function forestChart(points, label, width) {
  const narrow = width < 480;
  const [low, high] = forestEnds(points);
  const cut = (value) => Math.min(high, Math.max(low, value));
  const mark = { x: (p) => cut(p.difference), y: "first", symbol: (p) => rowSymbol(p.row), r: 5.5, strokeWidth: 1.5, stroke: (p) => rowColour(p.row) };
  const beyond = { x: (p) => cut(p.difference), y: "first", dy: -11, fill: "currentColor" };
  const chart = plot({
    width,
    height: 48 + 24 * points.length,
    marginLeft: narrow ? 116 : 170,
    marginRight: 16,
    marginTop: 6,
    marginBottom: 30,
    ariaLabel: `${label}; the table below has the numbers`,
    x: { domain: [low, high], label: null, grid: true, ticks: Math.max(3, width / 130) },
    y: { type: "point", domain: points.map((p) => p.first), label: null, tickSize: 0, tickFormat: (name) => shortened(name, narrow ? 15 : 24), padding: 0.6 },
    marks: [
      Plot.ruleX([0], { stroke: "currentColor", strokeOpacity: 0.6 }),
      Plot.ruleY(points.filter((p) => p.interval), { y: "first", x1: (p) => cut(p.interval[0]), x2: (p) => cut(p.interval[1]), stroke: (p) => rowColour(p.row), strokeWidth: 1.5 }),
      Plot.dot(points.filter(isReal), { ...mark, fill: (p) => rowColour(p.row) }),
      Plot.dot(points.filter((p) => !isReal(p)), { ...mark, fill: "var(--paper)" }),
      Plot.text(points.filter((p) => p.difference < low), { ...beyond, text: (p) => `‹ ${p.text[0]}`, textAnchor: "start" }),
      Plot.text(points.filter((p) => p.difference > high), { ...beyond, text: (p) => `${p.text[0]} ›`, textAnchor: "end" }),
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
