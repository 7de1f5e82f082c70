// Validation score while training: mean and spread over seeds.

const ALONG = { flops: "training FLOPs, growth included", steps: "training steps", seconds: "seconds of training and growth" };

function anytime() {
  const along = ALONG[state.along] ? state.along : "flops";
  const rows = shownRows().filter((row) => row.curve);
  const one = along === "steps";
  return [
    controls(
      choice("Along", "along", [["flops", "Training FLOPs"], ["steps", "Steps"], ["seconds", "Seconds"]]),
      scoreChoice(),
      toggle(one ? "Single seeds" : "Single seeds (against steps only)", "singles", !one),
      comparison().rows.some((row) => row.role === "twin") && toggle("Twins", "twins"),
    ),
    rows.length ? anytimeFigure(along, rows, one && state.singles === "yes") : emptyChart(),
    rows.length > 0 && comparison().targets.length > 0 && reachedSection(rows, along),
  ];
}

/** When a score was first seen: between two evaluations. */
function reachedSection(rows, along) {
  const { metric, targets, higher } = comparison();
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    ...targets.map((target, i) => ({
      label: metric === "accuracy" ? `${target} %` : `loss ${tick(target)}`, numeric: true,
      value: (row) => row.reached[along][i].by,
      text: (row) => reachedText(row.reached[along][i], along === "seconds" ? duration : human),
    })),
  ];
  const plain = columns.flatMap((column, i) => (i ? ["after", "by", "seeds"].map((key) => ({ label: `${column.label} ${key}`, value: (row) => row.reached[along][i - 1][key] })) : [column]));
  const says = `${ALONG[along][0].toUpperCase()}${ALONG[along].slice(1)}, when the validation ${metric} was first seen at ${higher ? "or above" : "or below"} a score: between the evaluation before and the one that shows it, medians over seeds. ≤ where the first evaluation is there already; seeds that never get there count as last.`;
  return section("When a score is reached", paragraph(says, "says"), cards(table(columns, rows, "When a score is reached")), under(saving(columns, rows, `reached-${along}`, { plain: [plain, rows] })));
}

function reachedText({ seeds, of, after, by }, text) {
  const few = seeds < of ? ` (${seeds}/${of} seeds)` : "";
  if (by === null) return seeds ? `–${few}` : "never";
  return `${after === null ? "≤ " : `${text(after)} – `}${text(by)}${few}`;
}

/** The points of a row's curve: means ± sd, or medians and quartiles where seeds have no result. */
function curvePoints(row, along) {
  const { mean, sd, median, low, high, gap } = row.curve;
  return row.curve[along]
    .map((x, i) => ({ row, x, middle: (mean ?? median)[i], ends: median ? [low[i], high[i]] : band(mean[i], sd[i]), gap: gap[i] }))
    .filter((point) => isNumber(point.middle) && isNumber(point.x));
}

function band(mean, sd) {
  const [low, high] = clipped([mean - (sd ?? 0), mean + (sd ?? 0)], mean);
  return comparison().metric === "loss" ? [Math.max(low, Math.min(mean, 0)), high] : [low, high];
}

function anytimeFigure(along, rows, singles) {
  const { metric } = comparison();
  const points = rows.flatMap((row) => curvePoints(row, along));
  const columns = [
    { label: "Method", head: true, value: (p) => p.row.name, text: (p) => shortened(p.row.name, 48) },
    { label: along, numeric: true, value: (p) => p.x, text: (p) => (along === "seconds" ? duration(p.x) : human(p.x)) },
    { label: "Score", numeric: true, value: (p) => p.middle, text: (p) => score(p.middle, metric) },
    { label: "From", numeric: true, value: (p) => p.ends[0], text: (p) => score(p.ends[0], metric) },
    { label: "To", numeric: true, value: (p) => p.ends[1], text: (p) => score(p.ends[1], metric) },
    { label: "Which", value: (p) => (p.row.curve.median ? "median and quartiles" : "mean and sd") },
  ];
  const about = {
    name: "anytime",
    title: `Validation ${metric} while training`,
    says: `${linesSay(rows)} Every dot is an evaluation; where a tenth of training has none the line is thin and dotted, for nothing is known there. What the tables report is the test score at the end.`,
    columns,
    rows: points,
  };
  return figure(about, chartPlace((width) => anytimeChart(along, rows, points, singles, width)), legend(candidates().filter((row) => row.curve)));
}

/** What lines and bands are, of rows that may have one seed, or seeds without a result. */
function linesSay(rows) {
  if (rows.every((row) => row.seeds === 1)) return "Lines are of the one seed.";
  const failed = rows.some((row) => row.curve.median) && " Where seeds have no result (×) they are medians and quartiles, in which such seeds count as the worst from their end on.";
  return `Lines are means over seeds, bands, which show at the pointer, ± one standard deviation.${failed || ""}`;
}

/** Some points of a curve, the last among them, to carry its marker. */
function everyFew(points) {
  const step = Math.max(1, Math.floor(points.length / 4));
  return points.filter((_, i) => i > 0 && (points.length - 1 - i) % step === 0);
}

/** The points with breaks where nothing was measured for long. */
const broken = (points) => points.flatMap((point) => (point.gap ? [{ ...point, middle: NaN }, point] : [point]));

/** The two ends of each gap. */
const gapsOf = (points) => points.flatMap((point, i) => (point.gap && i ? [{ row: point.row, from: points[i - 1], to: point }] : []));

const LABEL = 14; // pixels from a name at a line's end to the next
const NAMED = 50; // lines that are named: more are told by the pointer
const DOTS = 200; // evaluations of a row that can be told from each other

function anytimeChart(along, rows, points, singles, width) {
  const isNamed = width >= 640 && rows.length <= NAMED;
  const height = Math.round(Math.max(320, Math.min(500, width * 0.56), isNamed ? 68 + LABEL * rows.length : 0));
  const { metric } = comparison();
  const seeds = singles ? rows.flatMap((row) => row.trials.flatMap((trial) => trial.curve.step.map((x, i) => ({ row, trial, x, score: trial.curve.score[i] })))) : [];
  const curves = rows.map((row) => curvePoints(row, along));
  const marks = curves.flatMap(everyFew);
  const ends = curves.filter((curve) => curve.length && curve[0].row.seeds_ok < curve[0].row.seeds).map((curve) => curve.at(-1));
  const y = scoreScale(points.map((p) => p.middle), height, "validation");
  const named = isNamed ? lineEnds(curves, y, height) : [];
  const chart = plot({
    width,
    height,
    marginLeft: axisRoom(y),
    marginRight: named.length ? labelRoom(named.map((p) => p.name), width) : 20,
    ariaLabel: `Score against ${ALONG[along]}; the table below has the numbers`,
    x: { label: ALONG[along], labelAnchor: "center", labelArrow: "none", tickFormat: along === "seconds" ? (v) => String(v) : tick, ticks: Math.max(3, width / 110), domain: [0, d3.max(points, (p) => p.x)] },
    y,
    marks: [
      singles ? null : Plot.areaY(points, { x: "x", y1: (p) => p.ends[0], y2: (p) => p.ends[1], z: (p) => p.row.name, fill: (p) => rowColour(p.row), className: "bands", clip: true }),
      Plot.line(seeds, { x: "x", y: "score", z: (p) => p.trial.id, stroke: (p) => rowColour(p.row), strokeOpacity: 0.4, strokeWidth: 0.8, clip: true }),
      Plot.line(curves.flatMap(broken), { x: "x", y: "middle", z: (p) => p.row.name, stroke: (p) => rowColour(p.row), strokeWidth: 1.8, clip: true }),
      Plot.link(curves.flatMap(gapsOf), { x1: (g) => g.from.x, x2: (g) => g.to.x, y1: (g) => g.from.middle, y2: (g) => g.to.middle, stroke: (g) => rowColour(g.row), strokeWidth: 1, strokeDasharray: "1.5 4", clip: true }),
      Plot.dot(curves.filter((curve) => curve.length <= DOTS).flat(), { x: "x", y: "middle", fill: (p) => rowColour(p.row), r: 2, clip: true }),
      Plot.dot(marks, { x: "x", y: "middle", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", r: 4.2 }),
      Plot.text(ends, { x: "x", y: "middle", text: (p) => `× ${p.row.seeds_ok}/${p.row.seeds}`, dy: -10, textAnchor: "end", fill: (p) => inked(rowColour(p.row)), stroke: "var(--paper)", strokeWidth: 3 }),
      Plot.link(named, { x1: (p) => p.from.x, y1: (p) => p.from.middle, x2: "x", y2: "place", stroke: (p) => rowColour(p.row), strokeOpacity: 0.35, strokeWidth: 0.7 }),
      Plot.text(named, { x: "x", y: "place", text: "name", dx: 8, textAnchor: "start", fill: (p) => inked(rowColour(p.row)) }),
      Plot.tip(points, Plot.pointer({ x: "x", y: "middle", title: (p) => `${shortened(p.row.name, 60)}\n${p.row.curve.median ? "median " : ""}${score(p.middle, metric)} (${p.row.curve.median ? "quartiles " : "± sd "}${p.ends.map((end) => score(end, metric)).join(" to ")})\n${along === "seconds" ? `${duration(p.x)} s` : `${human(p.x)} ${ALONG[along]}`}`, ...TIP })),
    ],
  });
  return clickable(singles ? chart : bandsAtPointer(chart, rows));
}

/** The ends of curves with places for their names, in the units of the axis, none on another. */
function lineEnds(curves, y, height) {
  const transform = y.transform ?? ((value) => value);
  const ends = curves.filter((curve) => curve.length).map((curve) => curve.at(-1));
  const [low, high] = y.domain;
  const least = (LABEL / (height - 68)) * (high - low);
  const inverse = (place) => (y.inverse ?? ((value) => value))(place);
  let above = high + least;
  const placed = d3.sort(ends, (p) => -transform(p.middle)).map((point) => {
    above = Math.min(transform(point.middle), above - least);
    return { ...point, above };
  });
  let below = low;
  for (const point of placed.toReversed()) {
    point.above = Math.max(point.above, below);
    below = point.above + least;
  }
  const last = d3.max(ends, (p) => p.x);
  return placed.map((point) => ({ row: point.row, from: point, x: last, place: inverse(point.above), name: shortened(point.row.name, 30) }));
}

/** Shows the band of the row that the pointer is at. */
function bandsAtPointer(chart, rows) {
  const bands = [...chart.querySelectorAll(".bands path")];
  const shown = rows.filter((row) => curvePoints(row, "steps").length);
  const show = () => bands.forEach((each, i) => each.classList.toggle("shown", bands.length < 3 || shown[i] === chart.value?.row));
  chart.addEventListener("input", show);
  show();
  return chart;
}
