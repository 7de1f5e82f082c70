// Mean ranks over the tasks that share a protocol.

function across() {
  const found = comparison();
  const group = content.across.find((each) => ["protocol", "version", "kind", "budget"].every((key) => each[key] === found[key]));
  if (!group) return [];
  const title = `Across ${plural(group.tasks.length, "task")}`;
  if (!group.ranks.length) return [section(title, paragraph("No two rows have results on every task, so there are no mean ranks."))];
  const columns = [
    { label: "Method", head: true, value: (rank) => rank.name, text: (rank) => shortened(rank.name, 60) },
    { label: "Mean rank", numeric: true, value: (rank) => rank.mean, text: (rank) => rank.mean.toFixed(2) },
    { label: "From", numeric: true, value: (rank) => rank.interval?.[0] },
    { label: "To", numeric: true, value: (rank) => rank.interval?.[1] },
  ];
  const says = `Mean rank over ${listed(group.tasks.map((task) => shortened(task, 40)))}; 1 is best. Bars are the range of 95 % of draws of a bootstrap over seeds; controls and seed networks are not ranked.`;
  const about = { name: "mean-ranks", title, says, columns, rows: group.ranks };
  return [element("section", {}, figure(about, chartPlace((width) => rankChart(group, width)), ...acrossNotes(group))), relativeFigure(group), profileFigure(group)];
}

/** Colours of rows by name; of what this comparison lacks, none. */
const colourNamed = (name) => { const row = rowNamed(name); return row ? rowColour(row) : "currentColor"; };

/** Each row's error by that of fixed: a dot for each task, and their geometric mean. */
function relativeFigure(group) {
  const rows = group.relative;
  if (rows.length < 2) return null;
  const points = rows.flatMap((row) => row.tasks.map((share) => ({ name: row.name, share })));
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, text: (row) => shortened(row.name, 60) },
    { label: "Error by that of fixed", numeric: true, value: (row) => row.mean, text: (row) => fixed(row.mean, 2) },
    { label: "Tasks", numeric: true, value: (row) => row.tasks.length },
  ];
  const says = `The error of the mean test score (100 % less the accuracy, or the loss) by that of fixed: a faint dot for each task, the geometric mean large; left of 1 is better than fixed.`;
  const chart = (width) => {
    const room = labelRoom(rows.map((row) => row.name), width);
    return plot({
      width,
      height: 60 + 24 * rows.length,
      marginLeft: room,
      marginRight: 48,
      ariaLabel: "Errors by those of fixed; the table below has the numbers",
      x: { ...logScale(padded(d3.extent([1, ...points.map((p) => p.share)]), "log"), width / 90, smallTick), label: "error by that of fixed, log scale", labelAnchor: "center" },
      y: { type: "point", label: null, domain: rows.map((row) => row.name), tickFormat: (name) => fitting(name, room - 12), tickSize: 0, padding: 0.6 },
      marks: [
        Plot.ruleX([1], { stroke: "currentColor", strokeOpacity: 0.6 }),
        Plot.dot(points, { x: "share", y: "name", fill: (p) => colourNamed(p.name), fillOpacity: 0.4, r: 3 }),
        Plot.dot(rows, { x: "mean", y: "name", fill: (row) => colourNamed(row.name), r: 5.5 }),
        Plot.text(rows, { frameAnchor: "right", dx: 40, y: "name", text: (row) => fixed(row.mean, 2), fill: "currentColor" }),
      ],
    });
  };
  return figure({ name: "relative", title: "Error relative to fixed, over tasks", says, columns, rows }, chartPlace(chart));
}

/** On which share of the tasks a row is as good as fixed within how many times the least cost. */
function profileFigure(group) {
  if (!group.profile.length) return null;
  const tasks = group.profile[0].ratios.length;
  const known = group.profile.map(({ name, ratios }) => ({ name, ratios: d3.sort(ratios.filter(isNumber)) }));
  const last = 1.05 * Math.max(2, d3.max(known, (row) => d3.max(row.ratios)) ?? 2);
  const points = known.flatMap(({ name, ratios }) => [{ name, at: 1, share: ratios.filter((each) => each <= 1).length / tasks }, ...ratios.map((at, i) => ({ name, at, share: (i + 1) / tasks })).filter((point) => point.at > 1), { name, at: last, share: ratios.length / tasks }]);
  const columns = [
    { label: "Method", head: true, value: (p) => p.name, text: (p) => shortened(p.name, 60) },
    { label: "Times the least cost", numeric: true, value: (p) => p.at, text: (p) => fixed(p.at, 2) },
    { label: "Share of tasks", numeric: true, value: (p) => p.share, text: (p) => percent(p.share) },
  ];
  const says = `On which share of ${plural(tasks, "task")} a row is, on validation data, as good as fixed is at its end, within so many times the training FLOPs of the row that is there first (AlgoPerf’s performance profile); higher is better.`;
  const ends = (height) => spaced(known.map(({ name, ratios }) => ({ name, width: ratios.length / tasks })), 1.05, height);
  const chart = (width) => {
    const room = labelRoom(known.map((row) => row.name), width);
    return plot({
      width,
      height: 320,
      marginLeft: 48,
      marginRight: room,
      ariaLabel: "Performance profiles; the table below has the numbers",
      x: { ...logScale([1, last], width / 90, smallTick), label: "times the least training FLOPs, log scale", labelAnchor: "center" },
      y: { domain: [0, 1.05], label: "share of tasks", labelArrow: "none", ticks: [0, 0.25, 0.5, 0.75, 1], tickFormat: "%", grid: true },
      marks: [
        Plot.line(points, { x: "at", y: "share", z: "name", curve: "step-after", stroke: (p) => colourNamed(p.name), strokeWidth: 1.8 }),
        Plot.text(ends(250), { x: () => last, y: "place", text: (p) => fitting(p.name, room - 10), dx: 8, textAnchor: "start", fill: (p) => inked(colourNamed(p.name)) }),
      ],
    });
  };
  return figure({ name: "profile", title: "How soon as good as fixed, over tasks", says, columns, rows: points }, chartPlace(chart));
}

function rankChart(group, width) {
  const colour = (rank) => { const row = rowNamed(rank.name); return row ? rowColour(row) : "currentColor"; };
  const room = labelRoom(group.ranks.map((rank) => rank.name), width);
  const last = Math.ceil(d3.max(group.ranks, (rank) => rank.interval?.[1] ?? rank.mean));
  const groups = group.critical_difference?.groups ?? [];
  return plot({
    width,
    height: 60 + 24 * group.ranks.length,
    marginLeft: room,
    marginRight: 48 + 7 * groups.length,
    ariaLabel: `Mean ranks across ${group.tasks.length} tasks`,
    x: { label: "mean rank", labelAnchor: "center", labelArrow: "none", ticks: d3.range(1, last + 1).filter((rank) => (rank - 1) % Math.ceil((40 * last) / width) === 0), tickFormat: "d", domain: [1, last], grid: true, nice: false },
    y: { label: null, domain: group.ranks.map((rank) => rank.name), tickFormat: (name) => fitting(name, room - 12), tickSize: 0 },
    marks: [
      Plot.ruleY(group.ranks.filter((rank) => rank.interval), { y: "name", x1: (rank) => rank.interval[0], x2: (rank) => rank.interval[1], stroke: colour, strokeWidth: 2 }),
      Plot.dot(group.ranks, { x: "mean", y: "name", fill: colour, r: 5 }),
      Plot.text(group.ranks, { x: (rank) => rank.interval?.[1] ?? rank.mean, y: "name", dx: 8, textAnchor: "start", text: (rank) => rank.mean.toFixed(2), fill: "currentColor" }),
      ...groups.map((names, i) => Plot.ruleX([names], { x: () => last, y1: (own) => own[0], y2: (own) => own.at(-1), insetTop: -7, insetBottom: -7, dx: 44 + 7 * i, stroke: "currentColor", strokeWidth: 3 })),
    ],
  });
}

function acrossNotes(group) {
  const distance = group.critical_difference;
  return [
    distance
      ? paragraph(`Friedman’s test over all rows: ${pValue(distance.friedman_p)}. Mean ranks that differ by less than the critical difference, ${distance.distance.toFixed(2)}, cannot be told apart${distance.groups.length ? `, as bars at the right join them: ${distance.groups.map((names) => listed(names.map((name) => shortened(name, 30)))).join("; ")}` : ""}.`, "says")
      : paragraph("Critical differences need at least 5 tasks.", "says"),
    group.not_everywhere.length > 0 && paragraph(`Without results on every task, and so left out: ${listed(group.not_everywhere.map((name) => shortened(name, 40)))}.`, "says"),
  ];
}
