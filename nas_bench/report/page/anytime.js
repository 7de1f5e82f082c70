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
    rows.length > 0 && comparison().targets.length > 0 && reachedSection(rows),
  ];
}

/** When a score was first seen: between two evaluations. */
function reachedSection(rows) {
  const { metric, targets, higher } = comparison();
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    ...targets.map((target, i) => ({
      label: metric === "accuracy" ? `${target} %` : `loss ${tick(target)}`, numeric: true,
      value: (row) => row.reached[i].by,
      text: (row) => reachedText(row.reached[i]),
    })),
  ];
  const plain = columns.flatMap((column, i) => (i ? ["after", "by", "seeds"].map((key) => ({ label: `${column.label} ${key}`, value: (row) => row.reached[i - 1][key] })) : [column]));
  const says = `Training FLOPs, growth included, when the validation ${metric} was first seen at ${higher ? "or above" : "or below"} a score: between the evaluation before and the one that shows it, medians over seeds. ≤ where the first evaluation is there already; seeds that never get there count as last.`;
  return section("When a score is reached", paragraph(says, "says"), table(columns, rows, "When a score is reached"), under(saving(columns, rows, "reached", { plain: [plain, rows] })));
}

function reachedText({ seeds, of, after, by }) {
  const few = seeds < of ? ` (${seeds}/${of} seeds)` : "";
  if (by === null) return seeds ? `–${few}` : "never";
  return `${after === null ? "≤ " : `${human(after)} – `}${human(by)}${few}`;
}

/** The points of a row's mean curve; a single seed has no spread. */
function curvePoints(row, along) {
  const { mean, sd, gap } = row.curve;
  return row.curve[along].map((x, i) => ({ row, x, mean: mean[i], sd: sd[i], gap: gap[i] })).filter((point) => isNumber(point.mean) && isNumber(point.x));
}

function band(point) {
  const [low, high] = clipped([point.mean - (point.sd ?? 0), point.mean + (point.sd ?? 0)], point.mean);
  return comparison().metric === "loss" ? [Math.max(low, Math.min(point.mean, 0)), high] : [low, high];
}

function anytimeFigure(along, rows, singles) {
  const { metric } = comparison();
  const points = rows.flatMap((row) => curvePoints(row, along));
  const columns = [
    { label: "Method", head: true, value: (p) => p.row.name, text: (p) => shortened(p.row.name, 48) },
    { label: along, numeric: true, value: (p) => p.x, text: (p) => (along === "seconds" ? duration(p.x) : human(p.x)) },
    { label: "Mean score", numeric: true, value: (p) => p.mean, text: (p) => score(p.mean, metric) },
    { label: "sd", numeric: true, value: (p) => p.sd, text: (p) => score(p.sd, metric) },
  ];
  const about = {
    name: "anytime",
    title: `Validation ${metric} while training`,
    says: "Lines are means over the seeds with a result, bands ± one standard deviation. Every dot is an evaluation; where a tenth of training has none the line is thin and dotted, for nothing is known there. × marks rows that lack seeds: their lines are of the others. What the tables report is the test score at the end.",
    columns,
    rows: points,
  };
  return figure(about, chartPlace((width) => anytimeChart(along, rows, points, singles, width)), legend(candidates().filter((row) => row.curve)));
}

/** Some points of a curve, the last among them, to carry its marker. */
function everyFew(points) {
  const step = Math.max(1, Math.floor(points.length / 4));
  return points.filter((_, i) => i > 0 && (points.length - 1 - i) % step === 0);
}

/** The points with breaks where nothing was measured for long. */
const broken = (points) => points.flatMap((point) => (point.gap ? [{ ...point, mean: NaN }, point] : [point]));

/** The two ends of each gap. */
const gapsOf = (points) => points.flatMap((point, i) => (point.gap && i ? [{ row: point.row, from: points[i - 1], to: point }] : []));

const DOTS = 200; // evaluations of a row that can be told from each other

function anytimeChart(along, rows, points, singles, width) {
  const height = Math.round(Math.max(320, Math.min(500, width * 0.56)));
  const { metric } = comparison();
  const seeds = singles ? rows.flatMap((row) => row.trials.flatMap((trial) => trial.curve.step.map((x, i) => ({ row, trial, x, score: trial.curve.score[i] })))) : [];
  const curves = rows.map((row) => curvePoints(row, along));
  const marks = curves.flatMap(everyFew);
  const ends = curves.filter((curve) => curve.length && curve[0].row.seeds_ok < curve[0].row.seeds).map((curve) => curve.at(-1));
  const chart = plot({
    width,
    height,
    marginLeft: 52,
    marginRight: 20,
    ariaLabel: `Score against ${ALONG[along]}; the table below has the numbers`,
    x: { label: ALONG[along], labelAnchor: "center", labelArrow: "none", tickFormat: along === "seconds" ? (v) => String(v) : tick, ticks: Math.max(3, width / 110), domain: [0, d3.max(points, (p) => p.x)] },
    y: scoreScale(points.map((p) => p.mean), height, "validation"),
    marks: [
      singles ? null : Plot.areaY(points, { x: "x", y1: (p) => band(p)[0], y2: (p) => band(p)[1], z: (p) => p.row.name, fill: (p) => rowColour(p.row), fillOpacity: 0.12, clip: true }),
      Plot.line(seeds, { x: "x", y: "score", z: (p) => p.trial.id, stroke: (p) => rowColour(p.row), strokeOpacity: 0.4, strokeWidth: 0.8, clip: true }),
      Plot.line(curves.flatMap(broken), { x: "x", y: "mean", z: (p) => p.row.name, stroke: (p) => rowColour(p.row), strokeWidth: 1.8, clip: true }),
      Plot.link(curves.flatMap(gapsOf), { x1: (g) => g.from.x, x2: (g) => g.to.x, y1: (g) => g.from.mean, y2: (g) => g.to.mean, stroke: (g) => rowColour(g.row), strokeWidth: 1, strokeDasharray: "1.5 4", clip: true }),
      Plot.dot(curves.filter((curve) => curve.length <= DOTS).flat(), { x: "x", y: "mean", fill: (p) => rowColour(p.row), r: 2, clip: true }),
      Plot.dot(marks, { x: "x", y: "mean", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", r: 4.2 }),
      Plot.text(ends, { x: "x", y: "mean", text: (p) => `× ${p.row.seeds_ok}/${p.row.seeds}`, dy: -10, textAnchor: "end", fill: (p) => rowColour(p.row), stroke: "var(--paper)", strokeWidth: 3 }),
      Plot.tip(points, Plot.pointer({ x: "x", y: "mean", title: (p) => `${shortened(p.row.name, 60)}\n${score(p.mean, metric)}${isNumber(p.sd) ? ` ± ${score(p.sd, metric)} (sd)` : ""}\n${along === "seconds" ? `${duration(p.x)} s` : `${human(p.x)} ${ALONG[along]}`}`, ...TIP })),
    ],
  });
  return clickable(chart);
}
