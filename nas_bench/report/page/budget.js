// Where FLOPs and seconds went.

const PARTS = {
  train: ["training", "var(--part-1)"],
  statistics: ["statistics", "var(--part-2)"],
  decomposition: ["decomposition", "var(--part-3)"],
  line_search: ["line search", "var(--part-4)"],
  widening: ["widening", "var(--part-5)"],
  probe: ["probe", "var(--part-6)"],
  evaluation: ["evaluation", "var(--part-8)"],
};

function budget() {
  const rows = shownRows().filter((row) => row.seeds_ok);
  return [
    controls(
      choice("Cost", "spent", [["flops", "FLOPs"], ["seconds", "Seconds"]]),
      choice("Bars", "parts", [["absolute", "absolute"], ["share", "share"]]),
      comparison().rows.some((row) => row.role === "twin") && toggle("Twins", "twins"),
    ),
    rows.length ? budgetFigure(rows) : emptyChart(),
  ];
}

/** The parts in the order in which bars stack; those of other people's methods come last. */
function partsOf(rows, unit) {
  const found = new Set(rows.flatMap((row) => Object.entries(row.spent[unit]).filter(([, value]) => value > 0).map(([name]) => name)));
  const known = Object.keys(PARTS).filter((name) => name !== "evaluation" && found.has(name));
  const others = [...found].filter((name) => !PARTS[name]).sort();
  return [...known, ...others, ...(found.has("evaluation") ? ["evaluation"] : [])];
}

const partName = (part) => PARTS[part]?.[0] ?? shortened(part.replaceAll("_", " "), 30);
const partColour = (part) => PARTS[part]?.[1] ?? "var(--part-7)";

function budgetFigure(rows) {
  const unit = state.spent === "seconds" ? "seconds" : "flops";
  const parts = partsOf(rows, unit);
  const text = unit === "seconds" ? duration : human;
  const values = rows.flatMap((row) => {
    const total = d3.sum(Object.values(row.spent[unit]));
    return parts.map((part) => ({ row, part, value: row.spent[unit][part] ?? 0, share: total ? (row.spent[unit][part] ?? 0) / total : 0 }));
  });
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    ...parts.map((part) => ({ label: partName(part), numeric: true, value: (row) => row.spent[unit][part] ?? 0, cell: (row) => opens([row], text(row.spent[unit][part] ?? 0)) })),
    { label: "total", numeric: true, value: (row) => d3.sum(Object.values(row.spent[unit])), text: (row) => text(d3.sum(Object.values(row.spent[unit]))) },
  ];
  const key = element("ul", { className: "key" }, ...parts.map((part) => element("li", {}, element("i", { style: { background: partColour(part) } }), partName(part))));
  const says = unit === "seconds" ? "Mean seconds over the seeds with a result. Evaluation is not part of a method’s cost." : "Mean multiply-adds over the seeds with a result. Evaluation is not counted.";
  return figure({ name: `budget-${unit}`, title: unit === "seconds" ? "Where the time went" : "Where the FLOPs went", says, columns, rows }, key, chartPlace((width) => budgetChart(rows, values, parts, unit, width)), legend(candidates().filter((row) => row.seeds_ok), (row) => element("span", { className: "row-label" }, element("span", { title: row.name }, ...breakable(shortened(row.name, 48))))));
}

function budgetChart(rows, values, parts, unit, width) {
  const room = labelRoom(rows.map((row) => row.name), width);
  const shares = state.parts === "share";
  const text = unit === "seconds" ? (value) => `${duration(value)} s` : human;
  const chart = plot({
    width,
    height: 56 + 26 * rows.length,
    marginLeft: room,
    marginRight: 24,
    marginTop: 8,
    ariaLabel: `${unit} by part and row; the table below has the numbers`,
    x: { label: shares ? "share (%)" : unit === "seconds" ? "seconds" : "FLOPs", labelAnchor: "center", labelArrow: "none", grid: true, percent: shares, ticks: Math.max(3, width / 120), tickFormat: shares ? undefined : unit === "seconds" ? (v) => String(v) : tick },
    y: { domain: rows.map((row) => row.name), label: null, tickSize: 0, tickFormat: (name) => fitting(name, room - 12) },
    marks: [
      Plot.barX(values, Plot.stackX({ x: shares ? "share" : "value", y: (v) => v.row.name, fill: (v) => partColour(v.part), order: parts, z: "part", insetTop: 1, insetBottom: 1 })),
      Plot.tip(values.filter((v) => v.value > 0), Plot.pointer(Plot.stackX({ x: shares ? "share" : "value", y: (v) => v.row.name, z: "part", order: parts, title: (v) => `${shortened(v.row.name, 60)}\n${partName(v.part)}: ${text(v.value)} (${percent(v.share)})`, ...TIP }))),
      Plot.ruleX([0], { stroke: "currentColor" }),
    ],
  });
  return clickable(chart);
}
