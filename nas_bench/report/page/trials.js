// The panel with the trials behind a number.

const trialButton = (trial) => opensTrial(trial, element("code", {}, trialName(trial)));

const panel = document.getElementById("trials");

function showPanel() {
  const rows = state.rows.map(rowNamed).filter(Boolean);
  const owner = comparison()?.rows.find((row) => row.trials.some((trial) => trial.id === state.trial));
  const trial = owner?.trials.find((each) => each.id === state.trial);
  if (!rows.length && !trial) {
    if (panel.open) panel.close();
    return;
  }
  panel.replaceChildren(...(trial ? trialParts(owner, trial, rows) : rowsParts(rows)));
  if (!panel.open) panel.showModal();
  drawAll();
  panel.scrollTop = 0;
  panel.querySelector("h2").focus();
}

panel.addEventListener("close", () => {
  if (state.rows.length || state.trial) go({ rows: [], trial: "" });
});
panel.addEventListener("click", (event) => {
  if (event.target === panel) panel.close();
});

function panelHead(title, back) {
  return element(
    "div",
    { className: "panel-head" },
    element("h2", { id: "trials-title", tabIndex: -1 }, title),
    back && element("button", { type: "button", className: "quiet", click: () => go({ trial: "" }) }, "All trials of the row"),
    element("button", { type: "button", className: "quiet", click: () => panel.close() }, "Close"),
  );
}

function rowsParts(rows) {
  const trials = rows.flatMap((row) => row.trials.map((trial) => ({ row, trial })));
  const several = rows.length > 1;
  const columns = trialColumns(several);
  return [
    panelHead(`${plural(trials.length, "trial")} of ${listed(rows.map((row) => shortened(row.name, 48)))}`),
    ...rows.map((row) => rowFacts(row)),
    table(columns, several ? d3.sort(trials, (t) => t.trial.seed) : trials, "Trials"),
    under(saving(columns, trials, "trials")),
  ];
}

function rowFacts(row) {
  const missing = [
    row.counted_as_worst.length > 0 && `without a result, counted as the worst: ${seedWords(row.counted_as_worst)}`,
    row.not_run.length > 0 && `not run: ${seedWords(row.not_run)}`,
  ].filter(Boolean);
  const tuned = row.tuning ? ` · ${tunedSettings(row)}` : "";
  return element("p", { className: "says" }, rowLabel(row), ` · ${row.role}${tuned} · ${trainedWith(row)} · settings `, element("code", {}, row.settings), missing.length ? `; ${missing.join("; ")}` : "");
}

/** How a row was trained, and what else was set otherwise for it than for others. */
function trainedWith(row) {
  const all = { ...comparison().shared_settings, ...row.own_settings };
  const names = [...new Set([...TRAINED_WITH.filter((name) => name in all), ...Object.keys(row.own_settings)])];
  return names.map((name) => `${name.split(".").at(-1).replaceAll("_", " ")} ${settingText(all[name])}`).join(", ") || "settings not known";
}

const TRAINED_WITH = ["recipe.optimizer", "recipe.learning_rate", "recipe.batch_size", "optimizer_policy"];

function trialColumns(several) {
  const { metric } = comparison();
  return [
    ...(several ? [{ label: "Method", value: (t) => t.row.name, cell: (t) => rowLabel(t.row, 30) }] : []),
    { label: "Seed", numeric: true, head: !several, value: (t) => t.trial.seed },
    { label: "Trial", value: (t) => t.trial.id, cell: (t) => trialButton(t.trial) },
    { label: "Status", value: (t) => t.trial.status, cell: (t) => element("span", { className: `badge ${t.trial.status === "ok" ? "plain" : "bad"}`, title: oneLine(t.trial.reason) }, t.trial.status) },
    { label: "Score", numeric: true, value: (t) => t.trial.score, text: (t) => score(t.trial.score, metric) },
    { label: "Parameters", numeric: true, value: (t) => t.trial.parameters, text: (t) => human(t.trial.parameters) },
    { label: "FLOPs", numeric: true, value: (t) => t.trial.flops, text: (t) => human(t.trial.flops) },
    { label: "Train FLOPs", numeric: true, value: (t) => t.trial.train_flops, text: (t) => human(t.trial.train_flops) },
    { label: "Growth FLOPs", numeric: true, value: (t) => t.trial.growth_flops, text: (t) => human(t.trial.growth_flops) },
    { label: "Seconds", numeric: true, value: (t) => t.trial.seconds, text: (t) => duration(t.trial.seconds) },
    { label: "Verified", value: (t) => t.trial.verified, text: (t) => t.trial.verified ?? "–" },
    { label: "Folder", value: (t) => t.trial.folder, cell: (t) => element("code", {}, oneLine(t.trial.folder)) },
  ];
}

function trialParts(row, trial, rows) {
  const events = eventsOf(trial);
  return [
    panelHead(`${shortened(row.name, 48)}, seed ${trial.seed}`, rows.length > 0),
    trial.reason ? note(element("strong", {}, `${trial.status}: `), shortened(trial.reason, 600)) : null,
    trialFacts(trial),
    ...trialCurve(row, trial),
    events.length > 0 && element("section", {}, element("h3", {}, "Growth events"), eventCounts(events), table(EVENTS, events, "Growth events"), under(saving(EVENTS, events, "growth events"))),
  ].filter(Boolean);
}

function trialFacts(trial) {
  const { metric } = comparison();
  const facts = {
    Trial: element("code", {}, trial.id),
    Folder: element("code", {}, oneLine(trial.folder)),
    Status: trial.status,
    Score: score(trial.score, metric),
    Steps: trial.steps === undefined ? "–" : `${trial.steps} (${four(trial.epoch)} ${trial.epoch === 1 ? "epoch" : "epochs"})`,
    Parameters: human(trial.parameters),
    "FLOPs per sample": human(trial.flops),
    "Training FLOPs": human(trial.train_flops),
    "Growth FLOPs": human(trial.growth_flops),
    Seconds: duration(trial.seconds),
    Widths: `${trial.start.join(" · ") || "–"} → ${trial.widths?.join(" · ") ?? "–"}`,
    Ended: moment(trial.finished),
    Attempts: String(trial.attempts ?? "–"),
    Verified: trial.verified ?? "not run again",
    Environment: String(trial.environment + 1),
  };
  return element("dl", { className: "facts" }, ...Object.entries(facts).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function trialCurve(row, trial) {
  const points = trial.curve.step.map((step, i) => ({ step, score: trial.curve.score[i] })).filter((point) => isNumber(point.score));
  if (points.length < 2) return [];
  const columns = [{ label: "Step", numeric: true, head: true, value: (p) => p.step }, { label: "Score", numeric: true, value: (p) => p.score }];
  const y = scoreScale(points.map((p) => p.score), 260, "validation");
  const chart = (width) => plot({
    width,
    height: 260,
    marginLeft: axisRoom(y),
    ariaLabel: "Score while training",
    x: { label: "training steps", labelAnchor: "center", labelArrow: "none", ticks: 5, tickFormat: tick },
    y,
    marks: [
      Plot.line(points, { x: "step", y: "score", stroke: rowColour(row), strokeWidth: 1.8 }),
      Plot.dot(points, Plot.pointerX({ x: "step", y: "score", fill: rowColour(row), r: 4 })),
      Plot.tip(points, Plot.pointerX({ x: "step", y: "score", title: (p) => `step ${p.step}\n${score(p.score, comparison().metric)}`, ...TIP })),
    ],
  });
  return [figure({ name: "curve", title: "Validation score while training", says: "", columns, rows: points }, chartPlace(chart))];
}
