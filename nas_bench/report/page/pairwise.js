// Differences between rows, paired by seed.

function pairwise() {
  const found = comparison();
  const names = [...new Set(found.pairs.flatMap((pair) => [pair.first, pair.second]))];
  if (names.length < 2) return [note("There are no two rows with results on the same seeds, so nothing can be compared pair by pair.")];
  return [matrixSection(found, names), questions("Did growing pay?", "growing", found.growing, growingWords), questions("Is it better than fixed, and than random growth?", "against", found.against, againstWords), questions("What TINY’s gain is made of", "attribution", found.attribution, attributionWords)];
}

/** A pair as seen from one of its rows. */
function seen(pair, name) {
  if (pair.first === name) return pair;
  const turned = pair.interval && [-pair.interval[1], -pair.interval[0]];
  const difference = isNumber(pair.difference) ? -pair.difference : null;
  return { ...pair, first: pair.second, second: pair.first, difference, interval: turned };
}

function matrixSection(found, names) {
  const lookup = new Map(found.pairs.flatMap((pair) => [[`${pair.first}\n${pair.second}`, pair], [`${pair.second}\n${pair.first}`, seen(pair, pair.second)]]));
  const rows = names.map((name) => ({ name, row: rowNamed(name), pairs: names.map((other) => lookup.get(`${name}\n${other}`)) }));
  const columns = [
    { label: "Row − column", head: true, value: (each) => each.name, cell: (each) => opens([each.row], rowLabel(each.row, 40)) },
    { label: "Won · lost · open", value: tally, className: "tally" },
    ...names.map((name, i) => ({ label: breakable(shortened(name, 30)), name, help: name, value: (each) => each.pairs[i]?.difference, cell: (each) => pairCell(each.pairs[i]) })),
  ];
  const flat = [
    { label: "first", value: (pair) => pair.first },
    { label: "second", value: (pair) => pair.second },
    { label: "difference", value: (pair) => pair.difference },
    { label: "ci_low", value: (pair) => pair.interval?.[0] },
    { label: "ci_high", value: (pair) => pair.interval?.[1] },
    { label: "pairs", value: (pair) => pair.pairs },
    { label: "p", value: (pair) => pair.p },
    { label: "p_adjusted", value: (pair) => pair.adjusted },
  ];
  const made = table(columns, rows, "Paired differences");
  made.classList.add("matrix");
  return section(
    "Every pair",
    paragraph(`Difference of the ${found.metric === "loss" ? "test loss" : "test accuracy in points"}, the row’s minus the column’s, paired by seed. p is that of the max-T test over all ${plural(found.pairs.length, "pair")}, which the ranks are made of, so that rows without a rank (controls, networks of the seed’s size) have no line; the questions below were asked before looking and are families of their own. ▲ the row is significantly better, ▼ significantly worse (p ≤ 0.05).`, "says"),
    made,
    under(saving(columns, rows, "pairs", { plain: [flat, found.pairs] })),
  );
}

function tally(each) {
  const known = each.pairs.filter(Boolean);
  const real = known.filter(isReal);
  const won = real.filter((pair) => isBetter(pair)).length;
  return `${won} · ${real.length - won} · ${known.length - real.length}`;
}

function pairCell(pair) {
  if (!pair) return "";
  const verdict = isReal(pair) ? (isBetter(pair) ? "better" : "worse") : "open";
  const sign = { better: "▲ ", worse: "▼ ", open: "" }[verdict];
  const short = isNumber(pair.adjusted) ? pValue(pair.adjusted).replace("= ", "") : `${plural(pair.pairs, "seed")}`;
  const { metric } = comparison();
  const made = opens([rowNamed(pair.first), rowNamed(pair.second)], element("span", {}, sign + signed(pair.difference, metric, half(pair.interval))), pair.interval && element("small", {}, range(pair.difference, pair.interval, metric)), element("small", {}, short));
  made.classList.add("pair", verdict);
  const seen = isNumber(pair.detectable) ? `; ${score(pair.detectable, metric)} would be seen in four of five cases` : "";
  made.title = `${pair.first} − ${pair.second}: ${signed(pair.difference, metric, half(pair.interval))}, interval ${range(pair.difference, pair.interval, metric)}, ${pValue(pair.adjusted)}, ${plural(pair.pairs, "paired seed")}${seen}`;
  return made;
}

function questions(title, name, pairs, words) {
  if (!pairs.length) return section(title, paragraph({ against: "No method has fixed or random_growth beside it.", growing: "No row has a twin, so this cannot be said. Twins are trained by protocols that ask for them.", attribution: "Needs results of tiny, random_growth and their controls on the same seeds." }[name], "says"));
  const { metric } = comparison();
  const end = (pair, i) => (pair.interval ? range(pair.difference, pair.interval, metric).split(" to ")[i] : "–");
  const columns = [
    { label: "Question", head: true, value: (pair) => pair.question, text: (pair) => oneLine(pair.question).replace("flops", "FLOPs") },
    { label: "Compared", value: (pair) => `${pair.first} − ${pair.second}`, cell: (pair) => opens([rowNamed(pair.first), rowNamed(pair.second)], element("span", { className: "versus" }, rowLabel(rowNamed(pair.first), 44), element("span", { className: "less" }, "− ", rowLabel(rowNamed(pair.second), 44)), apart(pair) && element("small", {}, apart(pair)))) },
    { label: "Difference", numeric: true, value: (pair) => pair.difference, cell: (pair) => differenceText(pair) },
    { label: "CI from", numeric: true, value: (pair) => pair.interval?.[0], cell: (pair) => end(pair, 0) },
    { label: "CI to", numeric: true, value: (pair) => pair.interval?.[1], cell: (pair) => end(pair, 1) },
    { label: "Seeds", numeric: true, value: (pair) => pair.pairs },
    { label: "p", numeric: true, value: (pair) => pair.adjusted, text: (pair) => (isNumber(pair.adjusted) ? pNumber(pair.adjusted) : "not testable") },
    { label: "In words", value: words, className: "prose" },
  ];
  return section(title, cards(table(columns, pairs, title)), under(saving(columns, pairs, name)));
}

const untested = (pair) => (isNumber(pair.adjusted) ? "The difference may be chance." : `Not testable with ${plural(pair.pairs, "paired seed")}: it takes ${content.testable_from}.`);

function againstWords(pair) {
  if (!isReal(pair)) return untested(pair);
  return `${shortened(pair.first, 40)} is ${isBetter(pair) ? "better" : "worse"}.`;
}

function growingWords(pair) {
  if (!isReal(pair)) return untested(pair);
  return isBetter(pair) ? "Growing paid: the grown network is better than the same one from scratch." : "Growing did not pay: from scratch the same network is better.";
}

function attributionWords(pair) {
  if (!isReal(pair)) return untested(pair);
  return isBetter(pair) ? "It helps." : "It harms.";
}
