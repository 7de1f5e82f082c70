// The page: its head, the view that is chosen, and what follows the address.

const VIEWS = {
  overview: ["Overview", overview],
  leaderboard: ["Leaderboard", leaderboard],
  pareto: ["Pareto", pareto],
  anytime: ["Anytime", anytime],
  growth: ["Growth", growth],
  pairwise: ["Pairwise", pairwise],
  budget: ["Budget", budget],
  failures: ["Failures", failures],
  provenance: ["Provenance", provenance],
};

const header = document.getElementById("header");
const main = document.getElementById("main");

function head() {
  const dark = state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = element("button", { type: "button", className: "quiet", dataset: { key: "theme" }, click: () => go({ theme: dark ? "light" : "dark" }) }, dark ? "Light" : "Dark");
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  header.replaceChildren(
    element("div", { className: "top" }, element("h1", {}, element("span", { className: "mark" }, "nas-bench"), " ", element("span", { title: content.results }, shortened(content.results, 60))), theme),
    ...(content.reference ?? []).map((check) => note(oneLine(check.sentence))),
    ...(comparison() ? [...(state.view === "overview" ? [summary()] : [comparisonPicker(), standing(comparison())]), tabs()] : []),
  );
}

/** What the ledger holds. */
function summary() {
  const trials = d3.sum(content.comparisons, (found) => d3.sum(found.rows, (row) => row.trials.length));
  const troubles = content.problems.length > 0 && note(`The ledger has ${plural(content.problems.length, "problem")}: trials may be missing. Failures lists ${content.problems.length === 1 ? "it" : "them"}.`);
  return element("div", { className: "standing" }, paragraph(`${plural(content.comparisons.length, "comparison")} of ${plural(trials, "trial")}`), troubles);
}

/** The choice of what is compared, by task, protocol, kind and budget. */
function comparisonPicker() {
  const pick = element("select", { id: "compare", dataset: { key: "compare" }, change: (event) => go(opened(content.comparisons.find((found) => found.id === event.target.value), state.view)) });
  for (const found of content.comparisons) {
    pick.append(element("option", { value: found.id, selected: found.id === state.compare }, optionText(found)));
  }
  return element("div", { className: "compare" }, element("label", { htmlFor: "compare" }, "Comparison"), pick);
}

/** A comparison's title; of a long one the task is shortened. */
function optionText({ title, task_name: task }) {
  const where = title.slice(task.length);
  return shortened(task, Math.max(20, 90 - where.length)) + oneLine(where).replace(/^·/, " ·");
}

/** What to know before reading any number. */
function standing(found) {
  const grown = found.rows.filter((row) => row.role !== "twin").length;
  const twins = found.rows.length - grown;
  const facts = [plural(grown, "row"), twins > 0 && plural(twins, "twin"), grown > 0 && seedWords(found.seeds), `${found.metric === "loss" ? "test loss, lower" : "test accuracy, higher"} is better`].filter(Boolean).join(" · ");
  return element("div", { className: "standing" }, paragraph(facts), found.answer && paragraph(oneLine(found.answer), "answer"), ...cautions(found).map((text) => note(text)), power(found));
}

function cautions(found) {
  const most = d3.max(found.pairs, (pair) => pair.pairs) ?? 0;
  return [
    state.missing !== "" && `The link asks for ${shortened(state.missing, 60)}, which this report does not have; shown is another comparison.`,
    found.pairs.length > 0 && most < content.testable_from && `Not testable below ${content.testable_from} paired seeds; here: ${most}. Nothing is ranked, and no difference here should be called real.`,
    content.problems.length > 0 && `The ledger has ${plural(content.problems.length, "problem")}: trials may be missing. Failures lists ${content.problems.length === 1 ? "it" : "them"}.`,
    found.differing.length > 0 && `Not comparable, so not ranked: rows are of different ${found.differing.join(" and ")}. Run the older ones again with --rerun stale.`,
    found.lacking.length > 0 && `Missing here, though the comparison needs ${found.lacking.length > 1 ? "them" : "it"}: ${listed(found.lacking.map(oneLine))}.`,
  ].filter(Boolean);
}

/** What these seeds can show. */
function power(found) {
  if (!isNumber(found.detectable_gap)) return null;
  const size = `${score(found.detectable_gap, found.metric)}${found.metric === "loss" ? "" : " points"}`;
  return paragraph(`Between the two best rows these seeds would show a difference of ${size} in four of five cases; Pairwise says it of the others.`, "says");
}

function tabs() {
  const count = troubleCount(comparison());
  const links = Object.entries(VIEWS).map(([key, [label]]) =>
    element(
      "a",
      { href: address({ view: key, rows: [], trial: "" }), dataset: { key: `view:${key}` }, "aria-current": key === state.view ? "page" : undefined },
      label,
      key === "failures" && count > 0 && element("span", { className: "count" }, String(count)),
    ),
  );
  return element("nav", { "aria-label": "Views" }, ...links);
}

function view() {
  if (!comparison()) return [note("There is nothing to show: the ledger has no trial that can be read."), ...problemsOnly()];
  const [, make] = VIEWS[state.view];
  return make().filter(Boolean);
}

const problemsOnly = () =>
  content.problems.length ? [section("Problems of the ledger", problemList())] : [];

/** Shows the state; what had the focus and what was unfolded stays so. */
function render() {
  const focused = document.activeElement?.dataset?.key;
  const open = [...main.querySelectorAll("details[open]")].map((each) => each.dataset.key);
  if (comparison()) setRowColours();
  head();
  const current = header.querySelector("[aria-current]");
  if (current) current.parentElement.scrollLeft = current.offsetLeft - header.clientWidth / 3;
  main.replaceChildren(...view());
  for (const each of main.querySelectorAll("details")) each.open = open.includes(each.dataset.key);
  drawAll();
  if (focused && !panel.open) [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus({ preventScroll: true });
}

function follow() {
  const before = state;
  state = read(location.hash);
  const changed = Object.keys(DEFAULTS).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(state[key]));
  if (changed.some((key) => !OF_DIALOG.includes(key))) render();
  showPanel();
}

/** Folds menus that are left, all with Escape. */
function leaveMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const left = event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target);
    if (left && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    if (left) menu.open = false;
  }
}

addEventListener("pointerdown", leaveMenus);
addEventListener("keydown", leaveMenus);
addEventListener("hashchange", follow);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
document.getElementById("skip").addEventListener("click", () => main.focus());
document.getElementById("footer").append(paragraph("Made by nas-bench report. Charts: Observable Plot and D3, under the ISC licence."));
render();
showPanel();
