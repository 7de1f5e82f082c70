// Numbers and names as people read them; the same as nas_bench/report/text.py.

const UNITS = ["", " k", " M", " G", " T", " P", " E"];
const MINUS = "−";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const magnitude = (value) => (value ? Math.floor(Math.log10(Math.abs(value))) : 0);

/** Three significant digits with k, M, G, T: `1.23 M`. */
function human(value) {
  if (!isNumber(value)) return "–";
  let power = 0;
  while (Math.abs(value) >= 999.5 && power < UNITS.length - 1) {
    value /= 1000;
    power += 1;
  }
  value = Number(value.toPrecision(3));
  const digits = power === 0 && Number.isInteger(value) ? 0 : Math.max(0, 2 - magnitude(value));
  return minus(value.toFixed(digits)) + UNITS[power];
}

/** What an axis says: `1.5 M`, without zeros at the end. */
function tick(value) {
  const [number, unit = ""] = human(value).replace(MINUS, "-").split(" ");
  return minus(String(Number(number))) + (unit && ` ${unit}`);
}

/** Two decimals for accuracies in percent, four significant digits for losses. */
function score(value, metric) {
  if (!isNumber(value)) return "–";
  return minus(value.toFixed(scoreDigits(value, metric)));
}

function scoreDigits(value, metric) {
  return metric === "accuracy" ? 2 : Math.min(8, Math.max(0, 3 - magnitude(value)));
}

/** An interval: half of its width where the mean is in the middle, else both ends. */
function spread(mean, interval, metric) {
  if (!interval || !isNumber(mean)) return "";
  const [low, high] = interval;
  const digits = scoreDigits(mean, metric);
  const even = Math.abs(high + low - 2 * mean) < 0.01 * (high - low) + 10 ** -digits;
  return even ? `± ${((high - low) / 2).toFixed(digits)}` : `${low.toFixed(digits)} to ${high.toFixed(digits)}`;
}

/** A difference with its sign: `+0.42`. */
function signed(value, metric) {
  if (!isNumber(value)) return "–";
  const digits = metric === "accuracy" ? 2 : Math.min(8, Math.max(0, 2 - magnitude(value)));
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : (value < 0 ? MINUS : "+") + text;
}

const range = (interval, metric) =>
  interval ? `${signed(interval[0], metric)} to ${signed(interval[1], metric)}` : "–";

/** A fraction in percent; what is not zero does not look like zero. */
function percent(share) {
  if (!isNumber(share)) return "–";
  return share > 0 && share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

/** Seconds with at most one decimal. */
function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  return seconds.toFixed(seconds < 100 ? 1 : 0);
}

/** Two significant digits: `0.031`. */
const pNumber = (p) => (p < 1e-4 ? "< 0.0001" : String(Number(p.toPrecision(2))));

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

/** `2026-11-23 17:15` of a time in ISO form. */
const moment = (time) => (time ? time.slice(0, 16).replace("T", " ") : "–");

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const listed = (items) =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

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
