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
  ];
}

/** The points of a row's mean curve; a single seed has no spread. */
function curvePoints(row, along) {
  const { mean, sd } = row.curve;
  return row.curve[along].map((x, i) => ({ row, x, mean: mean[i], sd: sd[i] })).filter((point) => isNumber(point.mean) && isNumber(point.x));
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
    says: "Lines are means over the seeds with a result, bands ± one standard deviation. What the tables report is the test score at the end.",
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

function anytimeChart(along, rows, points, singles, width) {
  const height = Math.round(Math.max(320, Math.min(500, width * 0.56)));
  const { metric } = comparison();
  const seeds = singles ? rows.flatMap((row) => row.trials.flatMap((trial) => trial.curve.step.map((x, i) => ({ row, trial, x, score: trial.curve.score[i] })))) : [];
  const marks = rows.flatMap((row) => everyFew(curvePoints(row, along)));
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
      Plot.line(points, { x: "x", y: "mean", z: (p) => p.row.name, stroke: (p) => rowColour(p.row), strokeWidth: 1.8, strokeDasharray: undefined, clip: true }),
      Plot.dot(marks, { x: "x", y: "mean", symbol: (p) => rowSymbol(p.row), fill: (p) => rowColour(p.row), stroke: "var(--paper)", r: 4.2 }),
      Plot.tip(points, Plot.pointer({ x: "x", y: "mean", title: (p) => `${shortened(p.row.name, 60)}\n${score(p.mean, metric)}${isNumber(p.sd) ? ` ± ${score(p.sd, metric)} (sd)` : ""}\n${along === "seconds" ? `${duration(p.x)} s` : `${human(p.x)} ${ALONG[along]}`}`, ...TIP })),
    ],
  });
  return clickable(chart);
}
