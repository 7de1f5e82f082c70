// All comparisons at once: how far each method is from a fixed network of the same size.

function overview() {
  const pairs = content.comparisons.flatMap((found) => found.against.filter((pair) => pair.question === "against fixed").map((pair) => ({ ...pair, found })));
  const counts = d3.rollup(pairs, (own) => own.length, (pair) => pair.first);
  const methods = d3.sort([...counts.keys()], (name) => -counts.get(name));
  const columns = [
    { label: "Comparison", head: true, value: (found) => found.title, cell: comparisonLink },
    { label: "Best", value: (found) => found.best, cell: bestCell },
    ...methods.map((name) => ({ label: breakable(shortened(name, 30)), name, help: name, value: (found) => againstFixed(found, name)?.difference, cell: (found) => overviewCell(found, name) })),
  ];
  const made = cards(table(columns, content.comparisons, "Overview: methods against fixed"), "overview");
  for (const [i, line] of [...made.querySelectorAll("tbody tr")].entries()) {
    line.addEventListener("click", (event) => event.target.closest("a") || go(opened(content.comparisons[i])));
  }
  const says = `Each method minus fixed, the network of the same size trained from scratch: points of test accuracy, or test loss, with the interval of its test. ▲ significantly better, ▼ significantly worse, neither where it may be chance; grey and in brackets where nothing can be tested, for want of ${content.testable_from} paired seeds; – where there is no such pair, or its rows are of different behaviour. A press opens the comparison.`;
  return [section("How far is each method from a fixed network?", paragraph(says, "says"), made, under(saving(columns, content.comparisons, "overview", { about: content.results, plain: [OVERVIEW, pairs] })))];
}

const OVERVIEW = [
  { label: "comparison", value: (pair) => pair.found.id },
  { label: "method", value: (pair) => pair.first },
  { label: "against", value: (pair) => pair.second },
  { label: "difference", value: (pair) => pair.difference },
  { label: "ci_low", value: (pair) => pair.interval?.[0] },
  { label: "ci_high", value: (pair) => pair.interval?.[1] },
  { label: "p_adjusted", value: (pair) => pair.adjusted },
  { label: "pairs", value: (pair) => pair.pairs },
];

/** What shows another comparison, as if it were opened anew. */
const opened = (found, view = "leaderboard") => ({ view, compare: found.id, hide: [], grown: "", seed: "mean", sort: "", rows: [], trial: "" });

const againstFixed = (found, name) => found.against.find((pair) => pair.question === "against fixed" && pair.first === name);

function comparisonLink(found) {
  const few = found.seeds.length < content.testable_from && `, ${plural(found.seeds.length, "seed")}`;
  const [task, ...rest] = found.title.split(" · ");
  return element("a", { href: address(opened(found)), dataset: { key: `open:${found.id}` } }, shortened(task, 40), element("small", {}, rest.map(oneLine).join(" · "), few));
}

function bestCell(found) {
  const row = found.rows.find((each) => each.name === found.best);
  return row ? element("span", {}, breakable(shortened(row.name, 60)), element("small", {}, row.score.text[0], found.metric === "loss" ? " test loss" : " %")) : "–";
}

function overviewCell(found, name) {
  const pair = againstFixed(found, name);
  if (!pair) return element("span", { className: "soft none" }, "–");
  const [difference, interval] = pair.text;
  if (!isNumber(pair.adjusted)) return element("span", { className: "soft" }, `[${difference}]`, element("span", { className: "hidden" }, " not testable"));
  return element("span", {}, differenceText(pair, found), element("small", {}, interval.replace(/^\(|\)$/g, "")));
}
