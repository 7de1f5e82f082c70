// How networks grew: widths over steps, the events, what came out.

function growth() {
  const grew = comparison().rows.filter((row) => row.trials.some((trial) => trial.events.length));
  if (!grew.length) return [note("No network grew in this comparison.")];
  const row = grew.find((each) => each.name === state.grown) ?? grew.find((each) => each.trials.some((trial) => eventsOf(trial).some((event) => event.gain > 0))) ?? grew[0];
  const seeds = [...new Set(grew.flatMap((each) => each.trials.map((trial) => trial.seed)))].sort((a, b) => a - b);
  return [
    controls(
      picker("Widths of", "seed", [["mean", "the mean over seeds"], ...seeds.map((seed) => [String(seed), `seed ${seed}`])]),
      choice("Shown as", "widths", [["lines", "lines"], ["map", "sites × steps"]], widthsAs(grew)),
    ),
    widthsFigure(grew),
    addedFigure(grew),
    eventsSection(grew, row),
    architectures(),
  ];
}

const named = (values) => Object.fromEntries(content.event_columns.map((name, i) => [name, values[i]]));

/** As a map where there are more sites than lines can be told apart. */
const widthsAs = (rows) => (["lines", "map"].includes(state.widths) ? state.widths : d3.max(rows, (row) => siteNames(row).length) > 4 ? "map" : "lines");

/** A site's name without the parts that all share; layers of a sequence have only a number. */
function siteLabel(site, length = 40) {
  const [before, after] = sharedParts();
  const parts = site.split(".");
  const own = parts.slice(before, parts.length - after).join(".") || site;
  return shortened(/^\d+$/.test(own) ? `site ${own}` : own, length);
}

/** How many parts the names of all sites begin and end with alike. */
function sharedParts() {
  const found = comparison();
  if (sharedParts.known?.found === found) return sharedParts.known.parts;
  const names = [...new Set(found.rows.flatMap((row) => [...row.site_names.filter(Boolean), ...row.trials.flatMap((trial) => trial.sites)]))].map((name) => name.split("."));
  const same = (place) => new Set(names.map((parts) => parts.at(place))).size < 2;
  const most = (d3.min(names, (parts) => parts.length) ?? 1) - 1;
  let [before, after] = [0, 0];
  if (names.length > 1) {
    while (before < most && same(before)) before += 1;
    while (after < most - before && same(-1 - after)) after += 1;
  }
  sharedParts.known = { found, parts: [before, after] };
  return [before, after];
}

/** The events of a trial with the names of their sites and statuses. */
const eventsOf = (trial) =>
  trial.events.map(named).map((event) => ({ ...event, trial, site: trial.sites[event.site], status: content.event_statuses[event.status] }));

/** Names of the sites by their place, where events tell them. */
const siteNames = (row) => row.site_names.map((name, i) => name ?? `position ${i + 1}`);

/** Widths of a trial after each step at which one changed. */
function widthSteps(trial) {
  const steps = [{ step: 0, widths: trial.start }];
  for (const event of eventsOf(trial)) {
    if (event.index === null) continue;
    const widths = [...steps.at(-1).widths];
    widths[event.index] = event.width;
    if (steps.at(-1).step === event.step) steps.at(-1).widths = widths;
    else steps.push({ step: event.step, widths });
  }
  if (trial.steps > steps.at(-1).step) steps.push({ step: trial.steps, widths: steps.at(-1).widths });
  return steps;
}

function widthLines(row) {
  const trials = row.trials.filter((trial) => trial.start.length && (state.seed === "mean" ? trial.status === "ok" : String(trial.seed) === state.seed));
  const known = trials.map(widthSteps);
  const steps = [...new Set(known.flatMap((each) => each.map(({ step }) => step)))].sort((a, b) => a - b);
  const at = (each, step) => each.findLast((part) => part.step <= step).widths;
  const sites = siteNames(row);
  return steps.flatMap((step) => sites.map((site, i) => ({ row, step, site, width: d3.mean(known, (each) => at(each, step)[i]) }))).filter((point) => isNumber(point.width));
}

function widthsFigure(rows) {
  const lines = new Map(rows.map((row) => [row, widthLines(row)]));
  const points = [...lines.values()].flat();
  const columns = [
    { label: "Method", head: true, value: (p) => p.row.name, text: (p) => shortened(p.row.name, 48) },
    { label: "Site", value: (p) => p.site, text: (p) => siteLabel(p.site) },
    { label: "Step", numeric: true, value: (p) => p.step },
    { label: "Width", numeric: true, value: (p) => p.width, text: (p) => String(Number(p.width.toFixed(1))) },
  ];
  const top = d3.max(points, (p) => p.width);
  const last = d3.max(points, (p) => p.step);
  const asMap = widthsAs(rows) === "map";
  const chart = asMap ? widthMap : widthChart;
  const groups = alike([...lines]);
  const small = groups.map((each) => {
    const [row, own] = d3.greatest(each, ([, points]) => points.at(-1)?.step ?? 0);
    const colour = each.length > 1 ? "currentColor" : rowColour(row);
    const heading = element("h3", { className: "alike" }, ...each.flatMap(([one], i) => [i > 0 && element("span", { className: "hidden" }, ", "), opens([one], rowLabel(one, 40))]));
    return element("div", { className: "small" }, heading, own.length ? chartPlace((width) => chart(row, own, colour, top, last, width)) : paragraph(`Seed ${state.seed} has not run.`, "says"));
  });
  const says = asMap ? `Width of every site over steps, ${state.seed === "mean" ? "mean over the seeds with a result" : `of seed ${state.seed}`}: the darker, the wider, on one scale up to ${Math.round(top)}. The first site is on top.` : state.seed === "mean" ? "Mean width over the seeds with a result, one line for each site, at its name." : `Seed ${state.seed}, one line for each site; marks are attempts to grow: filled where neurons were added, hollow where not.`;
  const shared = groups.length < lines.size ? " Rows whose widths are the same share one chart." : "";
  return figure({ name: "widths", title: "Widths while training", says: says + shared, columns, rows: points }, element("div", { className: "multiples" }, ...small));
}

/** Rows with their lines, those together whose mean widths are the same until they end. */
function alike(lines) {
  const changes = (own) => own.filter((point, i) => own.slice(0, i).findLast((p) => p.site === point.site)?.width !== point.width);
  const key = (row, own) => (state.seed === "mean" && own.length ? JSON.stringify(changes(own).map((p) => [p.step, p.site, p.width])) : row.name);
  return d3.groups(lines, ([row, own]) => key(row, own)).map(([, each]) => each);
}

function widthChart(row, own, colour, top, last, width) {
  const sites = [...new Set(own.map((p) => p.site))];
  const ends = sites.length > 8 ? [] : spaced(sites.map((site) => own.findLast((p) => p.site === site)), top, 150);
  const trial = state.seed === "mean" ? null : row.trials.find((each) => String(each.seed) === state.seed);
  const marks = trial ? eventsOf(trial).map((event) => ({ ...event, width: own.findLast((p) => p.site === event.site && p.step <= event.step)?.width })) : [];
  const y = { domain: [0, top], label: null, ticks: 4, grid: true, tickSize: 0, tickFormat: tick };
  return plot({
    width,
    height: 190,
    marginLeft: axisRoom(y),
    marginRight: 14 + (d3.max(ends, (p) => textWidth(siteLabel(p.site, 12))) ?? 0),
    marginTop: 8,
    marginBottom: 34,
    ariaLabel: `Widths of ${shortened(row.name, 60)} while training`,
    x: { domain: [0, last], label: "steps", labelAnchor: "center", labelArrow: "none", ticks: 3, tickFormat: tick },
    y,
    marks: [
      Plot.line(own, { x: "step", y: "width", z: "site", curve: "step-after", stroke: colour, strokeWidth: 1.6 }),
      Plot.dot(marks, { x: "step", y: "width", r: 3.2, fill: (e) => (e.added ? colour : "var(--paper)"), stroke: colour }),
      Plot.text(ends, { x: "step", y: "place", text: (p) => siteLabel(p.site, 12), dx: 6, textAnchor: "start", fill: "currentColor" }),
      Plot.tip(marks.length ? marks : own, Plot.pointer({ x: "step", y: "width", title: (p) => `${siteLabel(p.site)}\nstep ${p.step}: ${p.asked === undefined ? `width ${Number(p.width.toFixed(1))}` : `${p.status}, ${p.added} of ${p.asked} added`}`, ...TIP })),
    ],
  });
}

/** Widths as colours: a line for each site, a field from each change to the next. */
function widthMap(row, own, colour, top, last, width) {
  const sites = [...new Set(own.map((p) => p.site))];
  const fields = sites.flatMap((site) => {
    const steps = own.filter((p) => p.site === site);
    return steps.slice(0, -1).map((point, i) => ({ ...point, until: steps[i + 1].step }));
  });
  const room = labelRoom(sites.map((site) => siteLabel(site, 24)), width);
  const shade = (p) => `color-mix(in oklab, ${colour} ${Math.round(8 + (92 * p.width) / top)}%, var(--paper))`;
  return plot({
    width,
    height: 42 + Math.max(9, Math.min(20, 220 / sites.length)) * sites.length,
    marginLeft: room,
    marginTop: 4,
    marginBottom: 34,
    ariaLabel: `Widths of ${shortened(row.name, 60)} by site and step`,
    x: { domain: [0, last], label: "steps", labelAnchor: "center", labelArrow: "none", ticks: 3, tickFormat: tick },
    y: { domain: sites, label: null, tickSize: 0, tickFormat: (site) => fitting(siteLabel(site, 24), room - 12), padding: 0.06 },
    marks: [
      Plot.rect(fields, { x1: "step", x2: "until", y: "site", fill: shade }),
      Plot.tip(fields, Plot.pointer({ x: (p) => (p.step + p.until) / 2, y: "site", title: (p) => `${siteLabel(p.site)}\nfrom step ${p.step}: width ${Number(p.width.toFixed(1))}`, ...TIP })),
    ],
  });
}

const ORIGINS = { added: "the method’s own", filled: "filled by the harness" };

/** Whose neurons were added, as means over the seeds with a result. */
function addedFigure(rows) {
  const found = rows.flatMap((row) => {
    const trials = row.trials.filter((trial) => trial.status === "ok");
    return Object.keys(ORIGINS).map((origin) => ({ row, origin, neurons: d3.mean(trials, (trial) => d3.sum(eventsOf(trial), (event) => event[origin])) ?? 0 }));
  });
  const columns = [
    { label: "Method", head: true, value: (each) => each.row.name, cell: (each) => opens([each.row], rowLabel(each.row)) },
    { label: "Neurons", value: (each) => ORIGINS[each.origin] },
    { label: "Mean", numeric: true, value: (each) => each.neurons, text: (each) => fixed(each.neurons, 1) },
  ];
  const colour = (each) => (each.origin === "added" ? rowColour(each.row) : "var(--line)");
  const chart = (width) => {
    const room = labelRoom(rows.map((row) => row.name), width);
    return plot({
      width,
      height: 50 + 22 * rows.length,
      marginLeft: room,
      marginRight: 14 + textWidth("100 % own"),
      marginTop: 4,
      ariaLabel: "Neurons added; the table below has the numbers",
      x: { label: "neurons, mean over seeds", labelAnchor: "center", labelArrow: "none", grid: true, ticks: Math.max(3, width / 120), tickFormat: tick },
      y: { domain: rows.map((row) => row.name), label: null, tickSize: 0, tickFormat: (name) => fitting(name, room - 12) },
      marks: [
        Plot.barX(found, Plot.stackX({ x: "neurons", y: (each) => each.row.name, fill: colour, z: "origin", order: Object.keys(ORIGINS), insetTop: 1, insetBottom: 1 })),
        Plot.text(rows, { x: (row) => d3.sum(found.filter((each) => each.row === row), (each) => each.neurons), y: "name", dx: 6, textAnchor: "start", text: (row) => (isNumber(row.own_neurons) ? `${percent(row.own_neurons)} own` : ""), fill: "currentColor" }),
      ],
    });
  };
  return figure({ name: "added", title: "Whose neurons were added", says: "In colour the method’s own, grey those that the harness filled up with, random and silent, to keep to the schedule.", columns, rows: found }, chartPlace(chart));
}

/** Ends of lines with places for their names that do not overlap. */
function spaced(ends, top, height) {
  const least = (13 / height) * top;
  let above = Infinity;
  return d3.sort(ends, (p) => -p.width).map((point) => {
    above = Math.min(point.width, above - least);
    return { ...point, place: above };
  });
}

const FEW_EVENTS = 16; // that are shown unasked

function eventsSection(grew, row) {
  const trials = row.trials.filter((trial) => trial.events.length);
  const trial = trials.find((each) => String(each.seed) === state.seed) ?? trials[0];
  const events = eventsOf(trial);
  const all = trials.flatMap(eventsOf);
  const drops = all.filter((event) => isNumber(event.predicted) && isNumber(event.measured));
  const predicts = drops.some((event) => event.predicted !== 0);
  const gains = all.filter((event) => event.gain > 0);
  const eventTable = () => table(EVENTS, events, `Growth events of ${shortened(row.name, 60)}, seed ${trial.seed}`);
  return section(
    "Growth events",
    controls(picker("Method", "grown", grew.map((each) => [each.name, each.name]), row.name)),
    element(
      "div",
      { className: "pair-of-charts" },
      predicts ? dropsFigure(row, drops) : paragraph("This method predicts no drop of the loss.", "says"),
      gains.length > 0 ? gainsFigure(row, gains) : paragraph("This method’s neurons have no gains λ.", "says"),
    ),
    element("h3", {}, `Every attempt of seed ${trial.seed}`),
    eventCounts(events),
    events.length > FEW_EVENTS ? unfolds(`Show all ${events.length}`, "all-events", eventTable) : eventTable(),
    under(saving(EVENTS, events, "growth events")),
  );
}

const SEED_EVENTS = () => [{ label: "Seed", numeric: true, value: (e) => e.trial.seed }, ...EVENTS];

function dropsFigure(row, drops) {
  const says = "Attempts of all seeds; on the line the first-order prediction holds. Filled where neurons were added. Where a few drops are far larger than the others, axes are logarithmic away from 0.";
  const about = { name: "drops", title: "Predicted and measured drop of the loss", says, columns: SEED_EVENTS(), rows: drops };
  return figure(about, chartPlace((width) => dropsChart(row, drops, width)));
}

function gainsFigure(row, gains) {
  const says = "Largest gain λ of each attempt, of all seeds, one line for each site. Filled where neurons were added; dashes are thresholds of significance.";
  const about = { name: "gains", title: "Gains over steps", says, columns: SEED_EVENTS(), rows: gains };
  return figure(about, chartPlace((width) => gainsChart(row, gains, width)));
}

function gainsChart(row, gains, width) {
  const values = gains.flatMap((e) => (e.threshold > 0 ? [e.gain, e.threshold] : [e.gain]));
  const [low, high] = d3.extent(values);
  const dash = 0.012 * (d3.max(gains, (e) => e.step) - d3.min(gains, (e) => e.step)) || 1;
  const mean = d3.rollups(gains, (each) => d3.median(each, (e) => e.gain), (e) => e.site, (e) => e.step);
  const lines = mean.flatMap(([site, steps]) => d3.sort(steps, ([step]) => step).map(([step, gain]) => ({ site, step, gain })));
  const y = high / low > 20 ? { ...logScale(padded([low, high], "log"), 6, four), label: "λ, log scale" } : { domain: [0, 1.06 * high], label: "λ", labelArrow: "none", grid: true, ticks: 5, tickFormat: four };
  return plot({
    width,
    height: 340,
    marginLeft: axisRoom(y),
    ariaLabel: "Largest gain of each attempt over steps",
    x: { label: "steps", labelAnchor: "center", labelArrow: "none", ticks: 5, tickFormat: tick },
    y,
    marks: [
      Plot.line(lines, { x: "step", y: "gain", z: "site", stroke: rowColour(row), strokeOpacity: 0.5 }),
      Plot.ruleY(gains.filter((e) => e.threshold > 0), { y: "threshold", x1: (e) => e.step - dash, x2: (e) => e.step + dash, stroke: "currentColor", strokeOpacity: 0.5 }),
      Plot.dot(gains, { x: "step", y: "gain", r: 3.5, stroke: rowColour(row), fill: (e) => (e.added ? rowColour(row) : "none"), fillOpacity: 0.45 }),
      Plot.tip(gains, Plot.pointer({ x: "step", y: "gain", title: eventTip, ...TIP })),
    ],
  });
}

const eventTip = (e) =>
  `${siteLabel(e.site)}, step ${e.step}, seed ${e.trial.seed}\n${e.status}: ${e.added} of ${e.asked}\npredicted ${four(e.predicted)}, measured ${four(e.measured)}\nλ ${four(e.gain)}, amplitude ${four(e.amplitude)}`;

const four = (value) => (isNumber(value) ? minus(String(Number(value.toPrecision(4)))) : "–");

const EVENTS = [
  { label: "Step", numeric: true, value: (e) => e.step },
  { label: "Site", value: (e) => e.site, text: (e) => siteLabel(e.site) },
  { label: "Status", value: (e) => e.status },
  { label: "Asked", numeric: true, value: (e) => e.asked },
  { label: "Proposed", numeric: true, value: (e) => e.proposed },
  { label: "Added", numeric: true, value: (e) => e.added },
  { label: "Filled", numeric: true, value: (e) => e.filled, help: "Neurons that the harness added with zero fan-out, to keep to the schedule" },
  { label: "λ", numeric: true, value: (e) => e.gain, text: (e) => four(e.gain), help: "Largest gain of the neurons proposed" },
  { label: "Threshold", numeric: true, value: (e) => e.threshold, text: (e) => four(e.threshold), help: "Below it a gain is not significant" },
  { label: "Amplitude", numeric: true, value: (e) => e.amplitude, text: (e) => four(e.amplitude), help: "Of the line search" },
  { label: "Predicted drop", numeric: true, value: (e) => e.predicted, text: (e) => four(e.predicted) },
  { label: "Measured drop", numeric: true, value: (e) => e.measured, text: (e) => four(e.measured) },
  { label: "FLOPs", numeric: true, value: (e) => e.flops, text: (e) => human(e.flops) },
];

function eventCounts(events) {
  const counts = d3.rollups(events, (each) => each.length, (event) => event.status);
  return paragraph(`${plural(events.length, "attempt")}: ${counts.map(([status, count]) => `${count} ${status}`).join(", ")}; ${plural(d3.sum(events, (e) => e.added), "neuron")} from the method, ${d3.sum(events, (e) => e.filled)} filled by the harness.`, "says");
}

function dropsChart(row, drops, width) {
  const values = drops.flatMap((e) => [e.predicted, e.measured]);
  const domain = d3.nice(Math.min(0, d3.min(values)), d3.max(values), 5);
  const y = { ...dropScale(values, domain), domain, label: "measured", grid: true, labelArrow: "none", tickFormat: four };
  return plot({
    width,
    height: 340,
    marginLeft: axisRoom(y),
    inset: 6,
    ariaLabel: "Measured against predicted drop of the loss",
    x: { ...y, label: "predicted drop of the loss", labelAnchor: "center" },
    y,
    marks: [
      Plot.line([domain, domain].map((ends, i) => [ends[i], ends[i]]), { stroke: "currentColor", strokeOpacity: 0.5, strokeDasharray: "5 4" }),
      Plot.dot(drops, { x: "predicted", y: "measured", r: 3.5, stroke: rowColour(row), fill: (e) => (e.added ? rowColour(row) : "none"), fillOpacity: 0.45 }),
      Plot.tip(drops, Plot.pointer({ x: "predicted", y: "measured", title: eventTip, ...TIP })),
    ],
  });
}

/** Linear, but logarithmic away from 0 where a few drops are so large that the others lie in a corner. */
function dropScale(values, [low, high]) {
  const usual = d3.median(values, Math.abs);
  if (!(d3.max(values, Math.abs) > 30 * usual && usual > 0)) return { ticks: 5 };
  const powers = d3.range(Math.round(Math.log10(usual)), Math.floor(Math.log10(Math.max(high, -low))) + 1).map((power) => 10 ** power);
  const ticks = [...powers.map((power) => -power), 0, ...powers].filter((tick) => low <= tick && tick <= high);
  return { type: "symlog", constant: usual, ticks };
}

/** The final networks side by side: the width of every site, and its range over seeds. */
function architectures() {
  const rows = candidates().filter((row) => row.trials.some((trial) => trial.status === "ok"));
  const final = (row, i) => row.trials.filter((trial) => trial.status === "ok").map((trial) => trial.widths[i]).filter(isNumber);
  const sites = d3.max(rows, (row) => siteNames(row).length) ?? 0;
  const names = rows.map(siteNames).find((each) => each.length === sites && !each.some((name) => /^position \d+$/.test(name))) ?? rows.map(siteNames).find((each) => each.length === sites) ?? [];
  const top = d3.max(rows, (row) => d3.max(d3.range(sites), (i) => d3.max(final(row, i)))) ?? 1;
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    ...names.map((site, i) => ({
      label: siteLabel(site, 24), numeric: true, value: (row) => d3.mean(final(row, i)),
      cell: (row) => widthCell(row, final(row, i), top),
    })),
    { label: "Parameters", numeric: true, value: (row) => row.costs.parameters.mean, text: (row) => human(row.costs.parameters.mean) },
    { label: "FLOPs", numeric: true, value: (row) => row.costs.flops.mean, text: (row) => human(row.costs.flops.mean) },
  ];
  return section(
    "Final architectures",
    paragraph("Mean width of every site at the end, with the range over seeds where they differ. Bars share one scale.", "says"),
    table(columns, rows, "Final architectures"),
    under(saving(columns, rows, "architectures")),
  );
}

function widthCell(row, widths, top) {
  if (!widths.length) return "–";
  const [low, high] = d3.extent(widths);
  const bar = element("span", { className: "width-bar", "aria-hidden": "true" }, element("i", { style: { width: `${(100 * d3.mean(widths)) / top}%`, background: rowColour(row) } }));
  return element("div", {}, Number(d3.mean(widths).toFixed(1)), low < high && element("small", {}, ` ${low}–${high}`), bar);
}
