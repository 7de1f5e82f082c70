// Tables: sorted, with numbers to the right.

const MOST = 300; // rows that a table shows: more are not read but saved

/**
 * A table of these columns; numbers open the trials behind them.
 *
 * A column has a `label`, `value(row)` for CSV and sorting, and may have `text(row)` for people,
 * `cell(row)` for an element, `numeric`, `help`, `key` (sortable under that name) and `head` (the
 * cell is the heading of its row).
 */
function table(columns, rows, caption, sort = "") {
  const head = element("tr", {}, ...columns.map((column) => heading(column, sort)));
  const body = sorted(columns, rows, sort).slice(0, MOST).map((row) =>
    oneStop(element("tr", { className: row.className ?? "" }, ...columns.map((column) => cell(column, row)))),
  );
  const made = element(
    "table",
    {},
    element("caption", { className: "hidden" }, caption),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  const cut = rows.length > MOST && paragraph(`The first ${MOST} of ${rows.length} rows; the CSV has all.`, "says");
  return element("div", { className: "scroll", role: "region", tabIndex: 0, "aria-label": caption }, cut, made);
}

/** A table whose lines are cards on a phone. */
function cards(made, ...classes) {
  made.classList.add("stacks", ...classes);
  return made;
}

/** Of buttons of a line that open the same, the keyboard stops at one: its heading's, or the first. */
function oneStop(line) {
  const known = new Set();
  for (const button of ["th .opens", "td .opens"].flatMap((which) => [...line.querySelectorAll(which)])) {
    if (known.has(button.title)) button.tabIndex = -1;
    known.add(button.title);
  }
  return line;
}

function heading(column, sort) {
  const kind = column.numeric ? "numeric" : "";
  if (!column.key) return element("th", { scope: "col", className: kind, title: column.help }, ...[column.label].flat());
  const falls = sort === `-${column.key}`;
  const holds = falls || sort === column.key;
  const arrow = element("span", { className: "arrow", "aria-hidden": "true" }, holds ? (falls ? "↓" : "↑") : "↕");
  const button = element(
    "button",
    {
      type: "button",
      className: "sort",
      title: column.help,
      dataset: { key: `sort:${column.key}` },
      click: () => go({ sort: nextSort(column, sort) }),
    },
    column.label,
    arrow,
  );
  const order = holds ? (falls ? "descending" : "ascending") : "none";
  return element("th", { scope: "col", className: kind, "aria-sort": order }, button, column.under);
}

/** The better end first, then the other, then the order as given. */
function nextSort(column, sort) {
  const [first, second] = column.falls ? [`-${column.key}`, column.key] : [column.key, `-${column.key}`];
  if (sort === first) return second;
  return sort === second ? "" : first;
}

function sorted(columns, rows, sort) {
  const column = columns.find((each) => each.key && each.key === sort.replace(/^-/, ""));
  if (!column) return rows;
  const sign = sort.startsWith("-") ? -1 : 1;
  const known = (value) => value !== null && value !== undefined && value !== "";
  return [...rows].sort((a, b) => {
    const [first, second] = [column.value(a), column.value(b)];
    if (known(first) !== known(second)) return known(first) ? -1 : 1;
    if (first === second || !known(first)) return 0;
    return sign * (first < second ? -1 : 1);
  });
}

function cell(column, row) {
  const shown = column.cell ? column.cell(row) : opening((column.text ?? column.value)(row) ?? "–", column, row);
  const kind = [column.numeric ? "numeric" : "", column.className ?? ""].join(" ").trim();
  if (column.head) return element("th", { scope: "row", className: kind }, shown);
  return element("td", { className: kind, dataset: { label: oneLine(column.name ?? column.label) } }, shown);
}

/** A number, to be pressed where a row of the comparison or a trial is behind it. */
function opening(shown, column, row) {
  if (!column.numeric || shown === "–") return shown;
  if (row.trial) return opensTrial(row.trial, String(shown));
  const own = row.trials ? row : row.row;
  return own ? opens([own], String(shown)) : shown;
}
