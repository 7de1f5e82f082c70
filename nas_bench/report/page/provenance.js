// What ran where, on which code, and when.

function provenance() {
  const found = comparison();
  const trials = found.rows.flatMap((row) => row.trials.map((trial) => ({ row, trial })));
  const used = [...new Set(trials.map(({ trial }) => trial.environment))].sort((a, b) => a - b);
  const finished = trials.map(({ trial }) => trial.finished).filter(Boolean).sort();
  return [
    section("When", paragraph(finished.length ? `The ${plural(finished.length, "trial")} of this comparison ended between ${moment(finished[0])} and ${moment(finished.at(-1))} UTC.` : "No trial of this comparison has ended.")),
    found.departures.length > 0 && section("What the protocol has otherwise than its source", departuresTable(found)),
    section("Settings", ...settingsTable(found)),
    section("Environments", ...environmentTable(used, trials)),
    section("Source code", ...sourceTable(trials)),
    section("Trials", trialLocations(trials)),
  ];
}

function departuresTable(found) {
  const columns = [["The source", "paper"], ["Here", "here"], ["Why", "why"]].map(([label, key]) => ({ label, value: (departure) => departure[key], className: "prose" }));
  return table(columns, found.departures, "What the protocol has otherwise than its source");
}

/** What each row was told, by default only that in which rows differ. */
function settingsTable(found) {
  const own = [...new Set(found.rows.flatMap((row) => Object.keys(row.own_settings)))].sort();
  const all = state.differing === "yes" ? own : [...own, ...Object.keys(found.shared_settings)];
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    ...all.map((name) => ({ label: name.replaceAll("_", " "), value: (row) => row.own_settings[name] ?? found.shared_settings[name], text: (row) => settingText(row.own_settings[name] ?? found.shared_settings[name]), className: "code" })),
  ];
  return [
    controls(toggle("Only what differs", "differing")),
    all.length ? table(columns, found.rows, "Settings") : paragraph("All rows have the same settings.", "says"),
    all.length > 0 && under(saving(columns, found.rows, "settings")),
  ];
}

const settingText = (value) => (value === undefined ? "–" : oneLine(typeof value === "object" ? JSON.stringify(value) : value));

/** Nested values as one level: `packages.torch`. */
function flat(value, prefix = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [[prefix, Array.isArray(value) ? value.join(" ") : String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flat(inner, prefix ? `${prefix}.${key}` : key));
}

function environmentTable(used, trials) {
  const known = used.map((index) => ({ index, values: new Map(flat(content.environments[index] ?? {})) }));
  const names = [...new Set(known.flatMap(({ values }) => [...values.keys()]))].filter(Boolean);
  if (!names.length) return [paragraph("The trials do not say where they ran.")];
  const rows = names.map((name) => {
    const values = known.map((each) => each.values.get(name) ?? "–");
    return { name, values, className: new Set(values).size > 1 ? "differs" : "" };
  });
  const ordered = d3.sort(rows, (row) => !row.className);
  const differing = rows.filter((row) => row.className).length;
  const columns = [
    { label: "Entry", head: true, value: (row) => row.name, cell: (row) => element("span", {}, oneLine(row.name), row.className && element("span", { className: "badge bad" }, "differs")) },
    ...known.map(({ index }, i) => ({
      label: `Environment ${index + 1} (${plural(trials.filter(({ trial }) => trial.environment === index).length, "trial")})`,
      value: (row) => row.values[i], text: (row) => oneLine(row.values[i]), className: "code",
    })),
  ];
  const says = known.length < 2 ? "All trials ran in the same environment." : differing ? `${plural(known.length, "environment")} that differ in ${plural(differing, "entry", "entries")}, shown first.` : "";
  return [paragraph(says, "says"), table(columns, ordered, "Environments"), under(saving(columns, ordered, "environments"))];
}

function sourceTable(trials) {
  const groups = d3.rollups(trials, (each) => each, ({ row, trial }) => JSON.stringify([row.name, trial.sources]));
  const rows = groups.map(([key, each]) => ({ row: each[0].row, sources: JSON.parse(key)[1], seeds: each.map(({ trial }) => trial.seed) }));
  const parts = [...new Set(rows.flatMap((row) => Object.keys(row.sources)))];
  if (!parts.length) return [paragraph("The trials do not say which code they ran.")];
  const shared = new Map(parts.map((part) => [part, new Set(rows.map((row) => row.sources[part])).size]));
  const columns = [
    { label: "Method", head: true, value: (row) => row.row.name, cell: (row) => opens([row.row], rowLabel(row.row)) },
    { label: "Seeds", value: (row) => row.seeds.join(" "), text: (row) => seedList(row.seeds) },
    ...parts.map((part) => ({ label: `${oneLine(part)}${shared.get(part) > 1 && part !== "method" ? " (differs)" : ""}`, value: (row) => row.sources[part], className: "code" })),
  ];
  return [paragraph("Hashes of the code that the result depends on; comments and docstrings do not count.", "says"), table(columns, rows, "Source code"), under(saving(columns, rows, "sources"))];
}

function trialLocations(trials) {
  const columns = [
    { label: "Method", head: true, value: (t) => t.row.name, text: (t) => shortened(t.row.name, 48) },
    { label: "Seed", numeric: true, value: (t) => t.trial.seed },
    { label: "Trial", value: (t) => t.trial.id, cell: (t) => trialButton(t.trial) },
    { label: "Environment", numeric: true, value: (t) => t.trial.environment + 1 },
    { label: "Ended", value: (t) => t.trial.finished, text: (t) => moment(t.trial.finished) },
    { label: "Attempts", numeric: true, value: (t) => t.trial.attempts },
    { label: "Verified", value: (t) => t.trial.verified },
    { label: "Folder", value: (t) => t.trial.folder, cell: (t) => element("code", {}, oneLine(t.trial.folder)) },
  ];
  const list = unfolds(`Show all ${trials.length}`, "all-trials", () => table(columns, trials, "Trials"));
  return under(list, saving(columns, trials, "trials"));
}
