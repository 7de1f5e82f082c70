// Numbers and names as people read them; the same as nas_bench/report/text.py.

const UNITS = ["", " k", " M", " G", " T", " P", " E"];
const MINUS = "−";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const magnitude = (value) => (value ? Math.floor(Math.log10(Math.abs(value))) : 0);

/** The value with so many decimals; halves go to the even digit, as in Python. */
function fixed(value, digits) {
  const rounded = value.toFixed(digits);
  if (Math.abs(value) >= 1e21) return rounded;
  const exact = value.toFixed(100);
  const end = exact.length - 100 + digits;
  const isHalf = /^50*$/.test(exact.slice(end));
  const cut = exact.slice(0, end).replace(/\.$/, "");
  return isHalf && Number(cut.at(-1)) % 2 === 0 ? cut : rounded;
}

/** Three significant digits with k, M, G, T: `1.23 M`. */
function human(value) {
  if (!isNumber(value)) return "–";
  let power = 0;
  while (Math.abs(value) >= 999.5 && power < UNITS.length - 1) {
    value /= 1000;
    power += 1;
  }
  value = Math.abs(value) < 1000 ? Number(fixed(value, Math.min(100, Math.max(0, 2 - magnitude(value))))) : Number(value.toPrecision(3));
  const digits = power === 0 && Number.isInteger(value) ? 0 : Math.min(100, Math.max(0, 2 - magnitude(value)));
  return minus(fixed(value, digits)) + UNITS[power];
}

/** What an axis says: `1.5 M`, without zeros at the end. */
function tick(value) {
  const [number, unit = ""] = human(value).replace(MINUS, "-").split(" ");
  return minus(String(Number(number))) + (unit && ` ${unit}`);
}

/** Two decimals for accuracies in percent; losses have two digits of the margin, or four. */
function score(value, metric, margin = 0) {
  return isNumber(value) ? minus(scoreForm(value, margin, metric)(value)) : "–";
}

/** How a score and its margin are written. */
function scoreForm(value, margin, metric) {
  if (metric === "accuracy") return (each) => fixed(each, 2);
  const largest = Math.max(Math.abs(value), margin);
  if (largest >= 1e5 || (largest > 0 && largest < 1e-4)) return exponential;
  const digits = margin ? 1 - magnitude(margin) : 3 - magnitude(value);
  return (each) => fixed(each, Math.min(8, Math.max(0, Math.min(digits, 5 - magnitude(largest)))));
}

/** `1.234e+19`, `1.000e-05`. */
const exponential = (value) => value.toExponential(3).replace(/e([+-])(\d)$/, "e$10$2");

/** A difference with its sign: `+0.42`. */
function signed(value, metric, margin = 0) {
  if (!isNumber(value)) return "–";
  const text = scoreForm(value, margin, metric)(Math.abs(value));
  return Number(text) === 0 ? text : (value < 0 ? MINUS : "+") + text;
}

const half = (interval) => (interval ? (interval[1] - interval[0]) / 2 : 0);

/** The ends of an interval of differences, as beside their mean. */
const range = (mean, interval, metric) => {
  if (!interval) return "–";
  const form = scoreForm(mean, half(interval), metric);
  const shown = (end) => (Number(form(end)) === 0 ? form(0) : (end < 0 ? MINUS : "+") + form(Math.abs(end)));
  return `${shown(interval[0])} to ${shown(interval[1])}`;
};

/** A fraction in percent; what is not zero does not look like zero. */
function percent(share) {
  if (!isNumber(share)) return "–";
  return share > 0 && share < 0.005 ? "< 1 %" : `${fixed(100 * share, 0)} %`;
}

/** Seconds with at most one decimal. */
function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  return fixed(seconds, seconds < 100 ? 1 : 0);
}

/** Two significant digits: `0.031`. */
const pNumber = (p) => (p < 1e-4 ? "< 0.0001" : String(Number(fixed(p, Math.min(100, 1 - magnitude(p))))));

/** `p = 0.031`, or that there is none. */
function pValue(p) {
  if (!isNumber(p)) return "not testable";
  return p < 1e-4 ? `p ${pNumber(p)}` : `p = ${pNumber(p)}`;
}

const minus = (text) => text.replace(/^-/, MINUS);

/** The text without line breaks and control characters. */
const oneLine = (text) =>
  String(text)
    .replace(/[\p{C}\p{Z}]+/gu, " ")
    .trim();

/** The text with its middle left out where it is longer than length. */
function shortened(text, length) {
  const characters = [...oneLine(text)];
  const end = Math.floor(length / 3);
  if (characters.length <= length) return characters.join("");
  return `${characters.slice(0, length - end - 1).join("")}…${characters.slice(-end).join("")}`;
}

/** The start of a trial's id; one with damaged files has only its place, of which the seed. */
const trialName = (trial) => (trial.id.includes("/") ? trial.id.split("/").at(-1) : trial.id.slice(0, 8));

/** `2026-11-23 17:15` of a time in ISO form. */
const moment = (time) => (time ? time.slice(0, 16).replace("T", " ") : "–");

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const listed = (items) =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

/** `seed 3`, `seeds 0–4, 7`. */
const seedWords = (seeds) => `${seeds.length === 1 ? "seed" : "seeds"} ${seedList(seeds)}`;

/** Seeds as ranges: `0–4, 7`. */
function seedList(seeds) {
  const parts = [];
  for (const seed of [...seeds].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && seed === last[1] + 1) last[1] = seed;
    else parts.push([seed, seed]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : b === a + 1 ? `${a}, ${b}` : `${a}–${b}`)).join(", ");
}
