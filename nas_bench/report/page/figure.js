// Charts with a title, the data behind them, and a size that follows the page.

const redraws = new Map();
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) draw(target);
});

const LEAST = 240; // pixels: below that margins leave no room, as while the page is laid out

/** Draws a chart into its place if the width has changed since. */
function draw(place) {
  const width = Math.floor(place.clientWidth);
  if (width < LEAST || place.dataset.width === String(width)) return;
  place.dataset.width = String(width);
  place.replaceChildren(redraws.get(place)(width));
}

/** A place that a chart fills; `make(width)` returns it. */
function chartPlace(make) {
  const place = element("div", { className: "chart" });
  redraws.set(place, make);
  return place;
}

/** Draws all charts that came into the page. */
function drawAll() {
  observer.disconnect();
  for (const place of [...redraws.keys()]) {
    if (!place.isConnected) redraws.delete(place);
    else {
      draw(place);
      observer.observe(place);
    }
  }
}

/**
 * A chart with its title, what to know when reading it, and its data as a table and as CSV.
 *
 * @param {{name: string, title: string, says: string, columns: object[], rows: object[]}} about
 * @param {...Node} parts the chart and what explains its marks
 */
function figure(about, ...parts) {
  const data = unfolds("Show data", `data:${about.name}`, () => table(about.columns, about.rows, `Data: ${about.title}`));
  const shown = element(
    "figure",
    {},
    element("figcaption", {}, element("h2", {}, about.title), about.says && paragraph(about.says, "says")),
    ...parts,
    under(data, saving(about.columns, about.rows, about.name), svgButton(about.name, () => shown)),
  );
  return shown;
}

/** A chart of Observable Plot in the look of the page. */
function plot(options) {
  const made = Plot.plot({
    style: { background: "none", fontFamily: "inherit", fontSize: "12px", overflow: "visible" },
    marginTop: 24,
    marginBottom: 44,
    ...options,
  });
  const drawing = made.tagName === "svg" ? made : made.querySelector("svg");
  drawing.setAttribute("role", "img");
  for (const part of drawing.querySelectorAll("[aria-label], [aria-description]")) {
    part.removeAttribute("aria-label");
    part.removeAttribute("aria-description");
  }
  return made;
}

const ruler = document.createElement("canvas").getContext("2d");

/** Pixels of a label of a chart. */
function textWidth(text) {
  ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** What labels beside an axis need, at most a part of the chart's width. */
const labelRoom = (labels, width) => Math.min(16 + (d3.max(labels, textWidth) ?? 0), Math.max(120, 0.34 * width));

/** The text, shortened until it fits into so many pixels. */
function fitting(text, room) {
  let length = [...text].length;
  while (length > 6 && textWidth(shortened(text, length)) > room) length -= 1;
  return shortened(text, length);
}

/** A click on what the pointer is at opens its trials. */
function clickable(chart) {
  chart.addEventListener("click", () => chart.value?.row && go({ rows: [chart.value.row.name], trial: "" }));
  return chart;
}
