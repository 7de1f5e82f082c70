// Colours, markers and scales, the same in every chart.

const COSTS = {
  parameters: { label: "parameters", short: "Parameters", text: human },
  flops: { label: "FLOPs per sample", short: "FLOPs", text: human },
  training_flops: { label: "training FLOPs, growth included", short: "Training FLOPs", text: human },
  seconds: { label: "seconds of training and growth", short: "Seconds", text: duration },
  with_tuning: { label: "training FLOPs, growth and the whole search included", short: "FLOPs with tuning", text: human },
};

/** The costs that rows of the comparison have: only what was tuned has one of tuning. */
const knownCosts = () => Object.entries(COSTS).filter(([name]) => comparison().rows.some((row) => row.costs[name]));

const rowColour = (row) => `var(--row-${comparison().rows.indexOf(row)})`;

/** A colour as that of text, which can be read on the page. */
const inked = (colour) => `color-mix(in oklab, ${colour} 45%, var(--ink))`;

/** Makes the colours of a comparison's rows known to the style sheet. */
function setRowColours() {
  comparison().rows.forEach((row, index) => {
    const mixed = `color-mix(in oklab, ${row.colour} var(--keep), white)`;
    document.documentElement.style.setProperty(`--row-${index}`, mixed);
  });
}

const polygon = (corners, turn, depth = 1) => ({
  draw(context, size) {
    const radius = Math.sqrt(size / Math.PI) * (depth < 1 ? 1.45 : 1.15);
    const points = depth < 1 ? 2 * corners : corners;
    for (let i = 0; i < points; i += 1) {
      const angle = (turn + i / points) * 2 * Math.PI - Math.PI / 2;
      const distance = radius * (i % 2 ? depth : 1);
      const place = [distance * Math.cos(angle), distance * Math.sin(angle)];
      if (i) context.lineTo(...place);
      else context.moveTo(...place);
    }
    context.closePath();
  },
});

const stretched = (symbol, across) => ({
  draw(context, size) {
    const squeezed = {
      moveTo: (x, y) => context.moveTo(x * across, y),
      lineTo: (x, y) => context.lineTo(x * across, y),
      closePath: () => context.closePath(),
    };
    symbol.draw(squeezed, size);
  },
});

const cross = (turn) => ({
  draw(context, size) {
    const [arm, half] = [Math.sqrt(size / 5) * 1.6, Math.sqrt(size / 5) * 0.55];
    const corners = [[half, -arm], [half, -half], [arm, -half], [arm, half], [half, half], [half, arm]];
    const all = [...corners, ...corners.map(([x, y]) => [-x, -y])];
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    all.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](c * x - s * y, s * x + c * y));
    context.closePath();
  },
});

/** Matplotlib's markers. */
const MARKERS = {
  o: d3.symbolCircle,
  s: polygon(4, 1 / 8),
  D: polygon(4, 0),
  d: stretched(polygon(4, 0), 0.6),
  "^": polygon(3, 0),
  v: polygon(3, 1 / 2),
  "<": polygon(3, 3 / 4),
  ">": polygon(3, 1 / 4),
  p: polygon(5, 0),
  h: polygon(6, 0),
  "*": polygon(5, 0, 0.42),
  P: cross(0),
  X: cross(Math.PI / 4),
};

const rowSymbol = (row) => MARKERS[row.marker] ?? d3.symbolCircle;

/** A row's marker, to stand beside its name. */
function swatch(row, size = 12) {
  const path = d3.path();
  rowSymbol(row).draw(path, 52);
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const attributes = { width: size, height: size, viewBox: "-6 -6 12 12", "aria-hidden": "true", class: "swatch" };
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
  mark.setAttribute("d", String(path));
  mark.style.fill = rowColour(row);
  made.append(mark);
  return made;
}

const rowLabel = (row, length = 60) =>
  element("span", { className: "row-label" }, swatch(row), element("span", { title: row.name }, ...breakable(shortened(row.name, length))));

/** Names of rows that can be pressed to hide and show them. */
function legend(rows, label = (row) => rowLabel(row, 48)) {
  const items = rows.map((row) => {
    const hidden = state.hide.includes(row.name);
    const hide = hidden ? state.hide.filter((name) => name !== row.name) : [...state.hide, row.name];
    const press = {
      type: "button",
      "aria-pressed": String(!hidden),
      title: hidden ? "Show in charts" : "Hide in charts",
      dataset: { key: `legend:${row.name}` },
      click: () => go({ hide }),
    };
    return element("li", {}, element("button", press, label(row)));
  });
  const all = element(
    "button",
    {
      type: "button",
      className: "quiet",
      dataset: { key: "legend-all" },
      click: () => go({ hide: state.hide.length ? [] : rows.map((row) => row.name) }),
    },
    state.hide.length ? "Show all" : "Hide all",
  );
  return element("ul", { className: "legend", "aria-label": "Rows, press to hide or show" }, ...items, element("li", {}, all));
}

const TOP = 100.3; // accuracies of 100 % have a place on the logarithmic scale too
const ROUND = [90, 99, 50, 95, 98, 80, 97, 0, 70, 20, 96, 99.5, 60, 85, 30, 99.9, 40, 92, 10, 94, 100];

const metricLabel = (split) => (comparison().metric === "loss" ? `${split} loss` : `${split} accuracy (%)`);

/** Whether scores are so far apart that equal steps would hide the differences of the best. */
function spreadWide(values) {
  const [low, high] = d3.extent(values);
  if (comparison().metric === "loss") return low > 0 && high / low > 10;
  return high <= 100 && (TOP - low) / (TOP - high) > 4;
}

/** Options of a scale for scores: even, or logarithmic in the error. */
function scoreScale(values, height, split = "test") {
  const ends = d3.extent(values.filter(isNumber));
  const label = metricLabel(split);
  if (ends[0] === undefined) return { label };
  const even = state.scores === "even" || (state.scores === "fit" && !spreadWide(ends));
  if (even) return { label, domain: padded(ends, "linear"), grid: true, labelArrow: "none", ticks: Math.max(4, height / 60), tickFormat: smallTick };
  if (comparison().metric === "loss") {
    if (ends[0] <= 0) return { label, domain: padded(ends, "linear"), grid: true, labelArrow: "none", tickFormat: smallTick };
    return { ...logScale(padded(ends, "log"), height / 50, smallTick), label: `${label}, log scale` };
  }
  return { ...errorScale(ends, height), label: `${label}, log scale of the error` };
}

/** The scores that an axis begins and ends with. */
const scaleEnds = ({ domain, inverse = (place) => place }) => domain.map(inverse);

/** Accuracies in percent, the distance to 100.3 % logarithmic: 90, 99 and 100 apart. */
function errorScale(ends, height) {
  const depth = (value) => -Math.log10(Math.max(TOP - value, 1e-3));
  const [bottom, top] = ends.map(depth);
  const margin = 0.05 * (top - bottom) || 0.05;
  const apart = (24 * (top - bottom + 2 * margin)) / height;
  const ticks = [];
  for (const place of ROUND.map(depth)) {
    const inside = bottom - margin <= place && place <= top + margin;
    if (inside && ticks.every((other) => Math.abs(other - place) > apart)) ticks.push(place);
  }
  return {
    transform: depth,
    inverse: (place) => TOP - 10 ** -place,
    domain: [bottom - margin, top + margin],
    grid: true,
    labelArrow: "none",
    ticks,
    tickFormat: (place) => String(Number((TOP - 10 ** -place).toFixed(2))),
  };
}

const MANTISSAS = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]];

/** Options of a logarithmic scale with few round numbers, at least three where there are. */
function logScale(domain, most, format) {
  const [low, high] = domain;
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const tries = MANTISSAS.map((steps) => powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`))).filter((value) => low <= value && value <= high));
  const ticks = [...tries, d3.ticks(low, high, 4)].find((found) => found.length >= 3) ?? tries.at(-1);
  const every = Math.ceil(ticks.length / Math.max(3, most));
  return {
    transform: Math.log10,
    inverse: (place) => 10 ** place,
    domain: domain.map(Math.log10),
    ticks: ticks.filter((_, i) => i % every === 0).map(Math.log10),
    tickFormat: (place) => format(Number((10 ** place).toPrecision(6))),
    grid: true,
    labelArrow: "none",
  };
}

/** A tick of a score: all digits that it needs, powers of ten where it is very small or large. */
function smallTick(value) {
  const size = Math.abs(value);
  return size && (size < 1e-4 || size >= 1e6) ? minus(Number(value.toPrecision(3)).toExponential()) : minus(String(Number(value.toPrecision(6))));
}

/** Pixels beside an axis of scores for its widest label. */
function axisRoom(scale) {
  const ticks = Array.isArray(scale.ticks) ? scale.ticks : d3.ticks(...(scale.domain ?? [0, 1]), scale.ticks ?? 5);
  return Math.max(36, Math.ceil(16 + d3.max(ticks, (value) => textWidth((scale.tickFormat ?? String)(value)))));
}

/** A domain with room at both ends. */
function padded([low, high], type) {
  if (type === "log") {
    const room = Math.max(1.02, (high / low) ** 0.07);
    return [low / room, high * room];
  }
  const room = 0.06 * (high - low) || 0.02 * Math.abs(high) || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

const NEAR = 3; // errors within this factor of the best row's are shown in detail

/** The items whose error is similar to that of the best. */
function nearBest(items, value, factor = NEAR) {
  const error = (item) => (comparison().metric === "loss" ? value(item) : TOP - value(item));
  const least = d3.min(items, error);
  return items.filter((item) => error(item) <= factor * least || error(item) === least);
}

const scoreChoice = () =>
  choice("Score scale", "scores", [["fit", "auto"], ["even", "linear"], ["error", comparison().metric === "loss" ? "log" : "log error"]]);

/** The ends of a bar that shows an interval, as far as scores can go. */
function clipped(interval, mean) {
  const [low, high] = interval ?? [mean, mean];
  return comparison().metric === "loss" ? [low, high] : [Math.max(0, low), Math.min(100, high)];
}
