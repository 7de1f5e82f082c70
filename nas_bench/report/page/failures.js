// What has no result, and what is wrong with the ledger.

const REFUSED = [
  { label: "Method", head: true, value: (row) => row.name, text: (row) => shortened(row.name, 60) },
  { label: "Score", value: () => "n/a" },
  { label: "Reason", value: (row) => row.reason, text: (row) => shortened(row.reason, 400), className: "prose" },
];

function failures() {
  const found = comparison();
  const failed = found.rows.flatMap((row) => row.trials.filter((trial) => trial.status !== "ok").map((trial) => ({ row, trial })));
  const absent = found.rows.flatMap((row) => row.not_run.map((seed) => ({ row, seed })));
  const columns = [
    { label: "Method", head: true, value: (f) => f.row.name, cell: (f) => opens([f.row], rowLabel(f.row)) },
    { label: "Seed", numeric: true, value: (f) => f.trial.seed },
    { label: "Trial", value: (f) => f.trial.id, cell: (f) => trialButton(f.trial) },
    { label: "Status", value: (f) => f.trial.status, cell: (f) => element("span", { className: "badge bad" }, f.trial.status) },
    { label: "Reason", value: (f) => f.trial.reason, text: (f) => shortened(f.trial.reason, 400) || "–", className: "prose" },
    { label: "Steps done", numeric: true, value: (f) => f.trial.steps, text: (f) => human(f.trial.steps) },
    { label: "Folder", value: (f) => f.trial.folder, cell: (f) => element("code", {}, oneLine(f.trial.folder)) },
  ];
  return [
    section(
      "Trials without a result",
      failed.length
        ? [isNumber(found.worst) && paragraph(`They count as ${score(found.worst, found.metric)}, the worst score of this comparison, untrained networks included.`, "says"), cards(table(columns, failed, "Trials without a result")), under(saving(columns, failed, "failures"))]
        : paragraph("Every trial of this comparison has a result."),
    ),
    ...(found.refused.length ? [section("Not applicable", table(REFUSED, found.refused, "Not applicable"))] : []),
    section("Seeds that were not run", absent.length ? notRun(found) : paragraph("Every row has every seed.")),
    section(
      "Problems of the ledger",
      content.problems.length
        ? problemList()
        : paragraph("None: every file of every trial can be read and is as it was when the trial ended."),
    ),
  ];
}

/** The problems of the ledger, those of a trial together; of several ledgers each is named first. */
function troubles() {
  const split = content.problems.map((problem) => oneLine(problem).match(/^((?:[^:]*: (?=\S+\/s\d+: ))?\S*?)(?:\/s(\d+))?: (.*)$/) ?? ["", "", undefined, oneLine(problem)]);
  return d3.groups(split, ([, folder, seed]) => `${folder}/${seed}`).map(([, own]) => ({ folder: own[0][1], seed: own[0][2], said: own.map((each) => each[3]).join("; ") }));
}

/** How much Failures lists: trials of the comparison without a result, and what else is damaged. */
function troubleCount(found) {
  const failed = found.rows.flatMap((row) => row.trials.filter((trial) => trial.status !== "ok").map((trial) => trial.folder));
  return new Set([...failed, ...troubles().map(({ folder, seed }) => `${folder.split(": ").at(-1)}/s${seed}`)]).size;
}

/** Problems of the ledger, those of seeds that have the same ones together. */
function problemList() {
  const lines = d3.groups(troubles(), ({ folder, said }) => `${folder}: ${said}`).map(([, own]) => {
    const [{ folder, said }] = own;
    const seeds = own.flatMap(({ seed }) => (seed === undefined ? [] : [Number(seed)]));
    return element("li", {}, folder && element("code", {}, folder), seeds.length > 0 && `, ${seedWords(seeds)}`, folder && ": ", said);
  });
  return element("ul", { className: "problems" }, ...lines);
}

function notRun(found) {
  const rows = found.rows.filter((row) => row.not_run.length);
  const columns = [
    { label: "Method", head: true, value: (row) => row.name, cell: (row) => opens([row], rowLabel(row)) },
    { label: "Seeds", value: (row) => row.not_run.join(" "), text: (row) => seedList(row.not_run) },
  ];
  return table(columns, rows, "Seeds that were not run");
}
