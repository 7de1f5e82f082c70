// What is shown, kept in the address, so that links and the back button work.

const content = await embedded(document.getElementById("content"));

/** The content that the page holds, compressed where it is long. */
async function embedded(place) {
  return place.type === "application/json" ? JSON.parse(place.textContent) : records(JSON.parse(await unpacked(place)));
}

/** A value whose records the page holds column by column. */
function records(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.some((part) => typeof part === "object") ? value.map(records) : value;
  if (!Array.isArray(value["="]) || !Array.isArray(value.columns)) return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, records(part)]));
  const columns = value.columns.map(records);
  return columns[0].map((_, i) => Object.fromEntries(value["="].map((name, j) => [name, columns[j][i]])));
}

const DEFAULTS = {
  view: "leaderboard",
  compare: content.comparisons[0]?.id ?? "",
  theme: "",
  columns: ["paid", "against fixed", "against random_growth", "seeds", "own", "parameters", "flops", "training_flops", "seconds"],
  sort: "",
  twins: "no",
  controls: "no",
  find: "",
  only: "",
  differing: "yes",
  hide: [],
  cost: "",
  costs: "log",
  scores: "fit",
  published: "no",
  along: "flops",
  singles: "no",
  grown: "",
  seed: "mean",
  widths: "",
  spent: "flops",
  parts: "absolute",
  rows: [],
  trial: "",
};
const KNOWN_VIEWS = ["overview", "leaderboard", "pareto", "anytime", "growth", "pairwise", "budget", "failures", "provenance"];
const OF_DIALOG = ["rows", "trial"];

let state = read(location.hash);

function read(hash) {
  const found = structuredClone(DEFAULTS);
  const given = new URLSearchParams(hash.slice(1));
  for (const key of Object.keys(DEFAULTS)) {
    if (!given.has(key)) continue;
    const values = given.getAll(key);
    found[key] = Array.isArray(DEFAULTS[key]) ? values.filter((value) => value !== "") : values[0];
  }
  if (hash.length < 2 && content.comparisons.length > 1) found.view = "overview";
  found.missing = "";
  if (!content.comparisons.some((comparison) => comparison.id === found.compare)) {
    found.missing = found.compare;
    found.compare = DEFAULTS.compare;
  }
  if (!KNOWN_VIEWS.includes(found.view)) found.view = DEFAULTS.view;
  return found;
}

/** The address of the page with these changes; all but the view is left out where it is as usual. */
function address(changes) {
  const next = { ...state, ...changes };
  const kept = new URLSearchParams();
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    if (key !== "view" && JSON.stringify(next[key]) === JSON.stringify(usual)) continue;
    for (const value of Array.isArray(usual) ? (next[key].length ? next[key] : [""]) : [next[key]]) {
      kept.append(key, value);
    }
  }
  return `#${kept}`;
}

/** Shows something else; the browser remembers what was shown before. */
function go(changes) {
  history.pushState(null, "", address(changes));
  follow();
}

const comparison = () => content.comparisons.find((each) => each.id === state.compare);

const rowNamed = (name) => comparison().rows.find((row) => row.name === name);

/** The rows that charts may show: twins only where they are wanted. */
const candidates = () =>
  comparison().rows.filter((row) => row.role !== "twin" || state.twins === "yes");

const shownRows = () => candidates().filter((row) => !state.hide.includes(row.name));
