// Tables to be copied or saved, charts to be saved.

/** The same rows as comma-separated values, numbers in full. */
function csv(columns, rows) {
  const lines = [columns.map((column) => column.label), ...rows.map((row) => columns.map((c) => c.value(row)))];
  return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

function quoted(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The cells as people read them, the heads first. */
const readable = (columns, rows) =>
  [columns.map((c) => oneLine(c.name ?? c.label)), ...rows.map((row) => columns.map((c) => oneLine(plainText(c.cell ? c.cell(row) : ((c.text ?? c.value)(row) ?? "–")))))];

/** What a cell says, without what is drawn in it. */
function plainText(node) {
  if (!(node instanceof Node)) return String(node);
  if (node instanceof Text) return node.data;
  if (node instanceof SVGElement || node.ariaHidden === "true" || node.className === "hidden") return "";
  const inner = [...node.childNodes].map(plainText).join("");
  return node.matches("small, div, .badge, .less") ? ` ${inner}` : inner;
}

function markdown(columns, rows) {
  const [head, ...lines] = readable(columns, rows).map((line) => line.map((text) => text.replace(/[\\|`*_<]/g, "\\$&")));
  const rule = columns.map((column) => (column.numeric ? "--:" : "---"));
  return [head, rule, ...lines].map((line) => `| ${line.join(" | ")} |\n`).join("");
}

const TEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "−": "$-$", "±": "$\\pm$", "≤": "$\\leq$", "×": "$\\times$", "†": "$\\dagger$", "▲": "$\\blacktriangle$", "▼": "$\\blacktriangledown$", "–": "--", "’": "'" };

/** A tabular in booktabs' rules; triangles are those of amssymb. */
function latex(columns, rows) {
  const [head, ...lines] = readable(columns, rows).map((line) => `${line.map((text) => text.replace(/[&%$#_{}]/g, "\\$&").replace(/[\\~^<>−±≤×†▲▼–’](?![&%$#_{}])/g, (mark) => TEX[mark])).join(" & ")} \\\\`);
  const kinds = columns.map((column) => (column.numeric ? "r" : "l")).join("");
  return [`\\begin{tabular}{@{}${kinds}@{}}`, "\\toprule", head, "\\midrule", ...lines, "\\bottomrule", "\\end{tabular}", ""].join("\n");
}

const fileName = (name, about) => `${name} ${about}`.replace(/[^a-zA-Z0-9]+/g, "-").slice(0, 100);

/** What saves a table as CSV, named after what it is about, and copies it; CSV may have other columns and rows. */
function saving(columns, rows, name, { about = comparison()?.title ?? content.results, plain = [columns, rows] } = {}) {
  const save = quietButton("Download CSV", `csv:${name}`, () => download(`${fileName(name, about)}.csv`, csv(...plain), "text/csv"));
  const forms = { Markdown: () => markdown(columns, rows), LaTeX: () => latex(columns, rows), CSV: () => csv(...plain) };
  const copies = Object.entries(forms).map(([form, text]) => {
    const button = quietButton(`as ${form}`, `copy:${name}:${form}`, async () => {
      await navigator.clipboard.writeText(text());
      button.textContent = `${form} copied`;
    });
    return button;
  });
  return [save, element("details", { className: "menu", dataset: { key: `copy:${name}` } }, element("summary", {}, "Copy"), element("div", {}, ...copies))];
}

const quietButton = (label, key, click) => element("button", { type: "button", className: "quiet", dataset: { key }, click }, label);

const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "text-anchor", "display"];

/** The charts of a figure and their headings as one SVG, in the colours that are shown. */
function svgOf(shown) {
  const boxes = [...shown.querySelectorAll(".small h3, .chart svg")].map((part) => part.getBoundingClientRect());
  const origin = { left: d3.min(boxes, (box) => box.left), top: d3.min(boxes, (box) => box.top) };
  const size = { width: d3.max(boxes, (box) => box.right) - origin.left, height: d3.max(boxes, (box) => box.bottom) - origin.top };
  const all = make("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}` });
  all.append(make("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor }));
  for (const heading of shown.querySelectorAll(".small h3")) {
    const { left, bottom } = heading.getBoundingClientRect();
    const text = make("text", { x: left - origin.left, y: bottom - origin.top - 5, "font-family": "sans-serif", "font-size": 14, fill: getComputedStyle(heading).color });
    text.textContent = heading.textContent;
    all.append(text);
  }
  for (const chart of shown.querySelectorAll(".chart svg")) {
    const { left, top } = chart.getBoundingClientRect();
    const copy = chart.cloneNode(true);
    copy.querySelectorAll("style").forEach((style) => style.remove());
    const originals = [chart, ...chart.querySelectorAll("*:not(style)")];
    [copy, ...copy.querySelectorAll("*")].forEach((node, i) => {
      const style = getComputedStyle(originals[i]);
      for (const name of DRAWN) node.setAttribute(name, style.getPropertyValue(name));
    });
    copy.setAttribute("x", left - origin.left);
    copy.setAttribute("y", top - origin.top);
    all.append(copy);
  }
  return new XMLSerializer().serializeToString(all);
}

function make(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const svgButton = (name, shown) =>
  quietButton("Download SVG", `svg:${name}`, () => download(`${fileName(name, comparison().title)}.svg`, svgOf(shown()), "image/svg+xml"));
