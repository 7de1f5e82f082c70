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
  return [element("section", {}, figure(about, chartPlace((width) => rankChart(group, width)), ...acrossNotes(group)))];
}

function rankChart(group, width) {
  const colour = (rank) => { const row = rowNamed(rank.name); return row ? rowColour(row) : "currentColor"; };
  const narrow = width < 520;
  const last = Math.ceil(d3.max(group.ranks, (rank) => rank.interval?.[1] ?? rank.mean));
  return plot({
    width,
    height: 60 + 24 * group.ranks.length,
    marginLeft: narrow ? 120 : 240,
    marginRight: 48,
    ariaLabel: `Mean ranks across ${group.tasks.length} tasks`,
    x: { label: "mean rank", labelAnchor: "center", labelArrow: "none", ticks: d3.range(1, last + 1).filter((rank) => (rank - 1) % Math.ceil((40 * last) / width) === 0), tickFormat: "d", domain: [1, last], grid: true, nice: false },
    y: { label: null, domain: group.ranks.map((rank) => rank.name), tickFormat: (name) => shortened(name, narrow ? 15 : 36), tickSize: 0 },
    marks: [
      Plot.ruleY(group.ranks.filter((rank) => rank.interval), { y: "name", x1: (rank) => rank.interval[0], x2: (rank) => rank.interval[1], stroke: colour, strokeWidth: 2 }),
      Plot.dot(group.ranks, { x: "mean", y: "name", fill: colour, r: 5 }),
      Plot.text(group.ranks, { x: (rank) => rank.interval?.[1] ?? rank.mean, y: "name", dx: 8, textAnchor: "start", text: (rank) => rank.mean.toFixed(2), fill: "currentColor" }),
    ],
  });
}

function acrossNotes(group) {
  const distance = group.critical_difference;
  return [
    distance
      ? paragraph(`Friedman’s test over all rows: ${pValue(distance.friedman_p)}. Mean ranks that differ by less than the critical difference, ${distance.distance.toFixed(2)}, cannot be told apart${distance.groups.length ? `: ${distance.groups.map((names) => listed(names.map((name) => shortened(name, 30)))).join("; ")}` : ""}.`, "says")
      : paragraph("Critical differences need at least 5 tasks.", "says"),
    group.not_everywhere.length > 0 && paragraph(`Without results on every task, and so left out: ${listed(group.not_everywhere.map((name) => shortened(name, 40)))}.`, "says"),
  ];
}
