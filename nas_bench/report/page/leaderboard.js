// The table of methods: score, cost, and whether growing paid.

const ROLES = {
  control: "explains a method: one of its parts is switched",
  baseline: "does not grow: trained from scratch at the seed's or the target's size",
  twin: "a network that a method grew, trained from scratch",
};

const UNRANKED = {
  twin: "twins are not ranked",
  control: "controls explain a method and are not ranked",
  baseline: "networks of the seed's size show where growing begins and are not ranked",
};

/** Why nothing is ranked. */
const untestable = (found) =>
  found.differing.length ? `rows are of different ${listed(found.differing)}` : `not testable below ${content.testable_from} paired seeds`;

const BADGES = {
  reproduced: ["good", "every result was run again and came out the same"],
  "not reproduced": ["bad", "a result was run again and came out differently"],
  incomplete: ["bad", "some seeds have no result; they count as the worst of this comparison"],
  "mixed behaviour or data": ["bad", "its seeds are of different behaviour versions, defaults or data"],
  "stale": ["plain", "behaviour or data have changed since it ran; the result itself is whole"],
  "shared device": ["plain", "trials ran beside each other on one device: its seconds are too long"],
};

function leaderboard() {
  const found = comparison();
  const rows = candidates();
  const refused = found.refused.length > 0 && section("Not applicable", table(REFUSED, found.refused, "Not applicable"));
  if (!rows.length) return [refused];
  const all = boardColumns(found, rows);
  const columns = all.filter((column) => !column.chosen || state.columns.includes(column.chosen));
  const twins = found.rows.some((row) => row.role === "twin");
  const common = commonBadges(rows);
  const board = cards(table(columns, rows, `Leaderboard: ${found.title}`, state.sort), "board");
  for (const button of board.querySelectorAll("tbody td .opens")) button.tabIndex = -1;
  return [
    controls(sortPicker(all), twins && toggle("Show twins", "twins"), columnChooser(all), saving(columns, rows, "leaderboard", { plain: [plain(columns), rows] })),
    forest(found),
    common.length > 0 && paragraph(`Of every row: ${common.map((badge) => `${badge} – ${BADGES[badge]?.[1] ?? badge}`).join("; ")}.`, "says"),
    ...(rows.length >= MANY ? [finder(board, rows)] : []),
    board,
    refused,
    ...boardNotes(found, rows),
    ...across(),
  ];
}

/** The columns of the CSV: numbers that one cell shows together, apart. */
const plain = (columns) => columns.flatMap((column) => column.parts ?? [column]);

function boardColumns(found, rows) {
  const ends = whiskerEnds(found, rows);
  return [
    rankColumn(found),
    { label: "Method", key: "method", head: true, value: (row) => row.name, cell: methodCell },
    scoreColumn(found, ends),
    ...askedOf(found).map((question) => paidColumn(found, question)),
    {
      label: "Seeds", key: "seeds", chosen: "seeds", numeric: true, falls: true,
      help: "seeds with a result, of those asked",
      value: (row) => row.seeds_ok,
      cell: (row) => opens([row], `${row.seeds_ok}/${row.seeds}`),
    },
    ...(rows.some((row) => isNumber(row.own_neurons)) ? [ownColumn()] : []),
    ...knownCosts().map(([name, cost]) => costColumn(name, cost)),
  ];
}

function ownColumn() {
  return {
    label: "Own neurons", key: "own", chosen: "own", numeric: true, falls: true,
    help: "Of the neurons added, the method's own; the others are random, silent ones of the harness",
    value: (row) => row.own_neurons,
    cell: (row) => (isNumber(row.own_neurons) ? opens([row], element("span", { className: row.own_neurons < 0.5 ? "worse" : "" }, percent(row.own_neurons))) : element("span", { className: "soft none" }, "–")),
  };
}

function rankColumn(found) {
  const why = (row) => (row.is_ranked ? untestable(found) : UNRANKED[row.role]) ?? "nothing is known of it";
  return {
    label: "Ranks", key: "rank", numeric: true,
    help: "The ranks that a row may have: from 1 + the rows that are significantly better to the number of rows less those that are worse",
    value: (row) => row.rank && row.rank[0] + row.rank[1] / 1000,
    parts: ["best", "worst"].map((end, i) => ({ label: `rank_${end}`, value: (row) => row.rank?.[i] })),
    cell: (row) => (row.rank === null ? element("span", { className: "soft", title: why(row) }, "–") : opens([row], [...new Set(row.rank)].join("–"))),
  };
}

/** What is said once because it is true of every row. */
const commonBadges = (rows) => (rows.length > 1 ? rows[0].badges.filter((badge) => rows.every((row) => row.badges.includes(badge))) : []);

/** What tuning chose for a row. */
const tunedSettings = (row) => `tuned: ${Object.entries(row.tuning.settings).filter(([name, value]) => value !== null && !(name === "method" && value === row.name)).map(([name, value]) => `${name.replaceAll("_", " ")} ${oneLine(value)}`).join(", ")}`;

function methodCell(row) {
  const role = ROLES[row.role];
  const common = commonBadges(candidates());
  const badges = row.badges.filter((badge) => !common.includes(badge)).map((badge) => {
    const [kind, meaning] = BADGES[badge] ?? ["plain", badge];
    return element("span", { className: `badge ${kind}`, title: meaning }, badge);
  });
  return element(
    "div",
    { className: "method" },
    opens([row], rowLabel(row)),
    row.tuning && element("small", {}, tunedSettings(row)),
    role && element("span", { className: "badge role", title: role }, row.role),
    ...badges,
  );
}

function scoreColumn(found, ends) {
  const place = whiskerScale(ends);
  const missing = (row) => row.counted_as_worst.length > 0;
  return {
    label: found.metric === "loss" ? "Test loss" : "Test accuracy, %",
    key: "score", numeric: true, falls: found.higher,
    help: "Mean over all seeds ± half of its 95 % confidence interval",
    under: ends.every(isNumber) && element("span", { className: "ends", "aria-hidden": "true" }, ...ends.map((end) => element("span", {}, score(end, found.metric)))),
    value: (row) => row.score.mean,
    parts: [
      { label: "score", value: (row) => row.score.mean },
      { label: "score_ci_low", value: (row) => row.score.interval?.[0] },
      { label: "score_ci_high", value: (row) => row.score.interval?.[1] },
      { label: "score_sd", value: (row) => row.score.sd },
      { label: "seeds_counted_as_worst", value: (row) => row.counted_as_worst.join(" ") },
    ],
    cell: (row) => {
      const [mean, range] = row.score.text;
      const mark = missing(row) ? element("sup", { title: worstReason(found, row) }, "†") : null;
      const text = opens([row], element(row.leads ? "strong" : "span", {}, mean), range && element("span", { className: "soft" }, ` ${range}`), mark);
      return element("div", { className: "score" }, text, whisker(found, row, place));
    },
  };
}

const worstReason = (found, row) =>
  `no result for ${seedWords(row.counted_as_worst)}: counts as ${score(found.worst, found.metric)}, the worst of this comparison`;

/** The scores that the small bars reach from and to, worse first: of all rows but the far worse. */
function whiskerEnds(found, rows) {
  const known = rows.filter((row) => isNumber(row.score.mean));
  const means = known.map((row) => row.score.mean);
  const [q1, q3] = [0.25, 0.75].map((share) => d3.quantile(means, share));
  const far = 1.5 * (q3 - q1) || Math.abs(0.01 * q3) || 1;
  const near = means.filter((mean) => (found.higher ? q1 - far <= mean : mean <= q3 + far));
  const [least, most] = d3.extent(near);
  const ends = known.filter((row) => near.includes(row.score.mean)).flatMap((row) => clipped(row.score.interval, row.score.mean));
  const shown = ends.filter((end) => least - far <= end && end <= most + far);
  const [low, high] = d3.extent([...near, ...shown]);
  return found.higher ? [low, high] : [high, low];
}

/** From a score to its place between 0, worse, and 1; rows beyond are at the edge. */
function whiskerScale([worse, better]) {
  return (value) => Math.min(1, Math.max(0, better !== worse ? 0.02 + (0.96 * (value - worse)) / (better - worse) : 0.5));
}

function whisker(found, row, place) {
  if (!isNumber(row.score.mean)) return null;
  const ends = clipped(row.score.interval, row.score.mean).map(place);
  const [low, high] = d3.extent(ends);
  const mean = place(row.score.mean);
  const colour = rowColour(row);
  const reference = place(found.rows.find((each) => each.name === "fixed")?.score.mean ?? NaN);
  return element(
    "span",
    { className: "whisker", "aria-hidden": "true" },
    reference > 0 && element("i", { className: "reference", style: { left: `${100 * reference}%` } }),
    element("i", { className: "range", style: { left: `${100 * low}%`, width: `${100 * (high - low)}%`, background: colour } }),
    mean > 0 ? element("i", { className: "mean", style: { left: `${100 * mean}%`, background: colour } }) : element("i", { className: "cut" }, "‹"),
  );
}

const QUESTIONS = {
  "equal steps": ["Growing, at equal steps", "The grown network's score minus that of the same network trained from scratch, with equal steps"],
  "equal flops": ["Growing, at equal FLOPs", "The grown network's score minus that of the same network trained from scratch, with equal FLOPs"],
  "against fixed": ["Minus fixed", "The score minus that of fixed, seed by seed"],
  "against random_growth": ["Minus random neurons", "The score minus that of random neurons added in the same way, seed by seed"],
};

/** The questions that have a column; with the same target the first says what fixed says. */
function askedOf(found) {
  const key = (pair) => `${pair.first}\n${pair.second}`;
  const known = new Set(found.growing.map(key));
  const against = d3.groups(found.against, (pair) => pair.question).filter(([, pairs]) => !pairs.every((pair) => known.has(key(pair))));
  return [...new Set(found.growing.map((pair) => pair.question)), ...against.map(([question]) => question)];
}

function paidColumn(found, question) {
  const pair = (row) => [...found.growing, ...found.against].find((each) => each.question === question && each.first === row.name);
  const [label, help] = QUESTIONS[question] ?? [question, question];
  return {
    label,
    key: `paid ${question}`, chosen: question.startsWith("equal") ? "paid" : question, numeric: true, falls: found.higher,
    help,
    value: (row) => pair(row)?.difference,
    parts: ["difference", "adjusted"].map((name) => ({ label: `${name} ${question}`, value: (row) => pair(row)?.[name] })),
    cell: (row) => {
      const against = pair(row);
      if (!against) return element("span", { className: "soft none" }, "–");
      const twin = rowNamed(against.second);
      return element(
        "div",
        { className: "paid" },
        opens([row, twin], element("span", { title: `${shortened(twin.name, 60)}: ${twin.score.text[0]}` }, differenceText(against))),
        against.text[1] && element("small", {}, against.text[1]),
        element("small", {}, pValue(against.adjusted)),
        apart(against) && element("small", {}, apart(against)),
      );
    },
  };
}

const isReal = (pair) => isNumber(pair.adjusted) && pair.adjusted <= 0.05;

/** Whether the first of a pair is the better one. */
const isBetter = (pair, found = comparison()) => pair.difference > 0 === found.higher;

/** A difference, in colour and with an arrow only where it is significant. */
function differenceText(pair, found = comparison()) {
  const verdict = isReal(pair) ? (isBetter(pair, found) ? "better" : "worse") : "open";
  const arrow = { better: "▲ ", worse: "▼ ", open: "" }[verdict];
  return element("span", { className: verdict }, `${arrow}${pair.text[0]}`);
}

/** In which settings two tuned rows differ. */
const apart = (pair) => (pair.settings_apart.length ? `settings differ: ${pair.settings_apart.join(", ").replaceAll("_", " ")}` : "");

function costColumn(name, cost) {
  const growth = (row) => name === "training_flops" && row.growth_share > 0 && element("small", {}, `growth ${percent(row.growth_share)}`);
  return {
    label: cost.short, key: name, chosen: name, numeric: true,
    help: `mean over the seeds with a result: ${cost.label}`,
    value: (row) => row.costs[name]?.mean,
    parts: [
      { label: name, value: (row) => row.costs[name]?.mean },
      ...(name === "training_flops" ? [{ label: "growth_share", value: (row) => row.growth_share }] : []),
    ],
    cell: (row) => element("div", {}, opens([row], cost.text(row.costs[name]?.mean)), growth(row)),
  };
}

/** What narrow screens have instead of heads to press. */
function sortPicker(all) {
  const keyed = all.filter((column) => column.key).map((column) => [`${column.falls ? "-" : ""}${column.key}`, oneLine(column.label)]);
  const made = picker("Sort by", "sort", [["", "as ranked"], ...keyed]);
  made.classList.add("narrow");
  return made;
}

const MANY = 20; // rows that are searched rather than read

/** Shows those lines of a board whose name has some letters and whose role is the one chosen. */
function finder(board, rows) {
  const lines = new Map([...board.querySelectorAll("tbody tr")].map((line) => [line.querySelector(".row-label > span").title, line]));
  const count = element("span", { className: "soft", role: "status" });
  const show = () => {
    const found = rows.filter((row) => (state.only === "" || row.role === state.only) && row.name.toLowerCase().includes(state.find.toLowerCase()));
    for (const row of rows) if (lines.has(row.name)) lines.get(row.name).hidden = !found.includes(row);
    count.textContent = found.length < rows.length ? `${found.length} of ${plural(rows.length, "row")}` : "";
  };
  const box = element("input", {
    type: "search", value: state.find, placeholder: "Find a row", "aria-label": "Find a row", dataset: { key: "find" },
    input: () => {
      state.find = box.value;
      history.replaceState(null, "", address({}));
      show();
    },
  });
  show();
  const roles = [...new Set(rows.map((row) => row.role))].map((role) => [role, `${role}s`]);
  return controls(box, roles.length > 1 && choice("Rows", "only", [["", "all"], ...roles]), count);
}

function columnChooser(all) {
  const choices = new Map(all.filter((column) => column.chosen).map((column) => [column.chosen, column.chosen === "paid" ? "Did growing pay?" : column.label]));
  const boxes = [...choices].map(([key, label]) => {
    const shown = state.columns.includes(key);
    const columns = shown ? state.columns.filter((other) => other !== key) : [...state.columns, key];
    const box = element("input", { type: "checkbox", checked: shown, dataset: { key: `column:${key}` }, change: () => go({ columns }) });
    return element("label", { className: "toggle" }, box, element("span", {}, label));
  });
  return element("details", { className: "menu", dataset: { key: "columns" } }, element("summary", {}, "Columns"), element("div", {}, ...boxes));
}

function boardNotes(found, rows) {
  const marked = found.rows.filter((row) => row.counted_as_worst.length);
  const common = commonBadges(rows);
  const badges = [...new Set(rows.flatMap((row) => row.badges))].filter((badge) => !common.includes(badge));
  const roles = [...new Set(rows.map((row) => row.role))].filter((role) => ROLES[role]);
  const meanings = [
    ...roles.map((role) => [element("span", { className: "badge role" }, role), ROLES[role]]),
    ...badges.map((badge) => [element("span", { className: `badge ${BADGES[badge]?.[0] ?? "plain"}` }, badge), BADGES[badge]?.[1] ?? badge]),
  ];
  const { metric } = found;
  const marks = marked.map((row) => `${shortened(row.name, 40)} (${seedWords(row.counted_as_worst)})`);
  const texts = [
    marks.length > 0 && `† Trials without a result ${isNumber(found.worst) ? `count as ${score(found.worst, metric)}, the worst score of this comparison, untrained networks included, and ` : ""}are never left out: ${listed(marks)}.`,
    "Scores are means over all seeds with their 95 % confidence interval, drawn as a bar whose scale stands above the column, better to the right: ‹ are rows that are far worse, the thin line is fixed, unless it is one of them. Costs are means over the seeds with a result. FLOPs are multiply-adds.",
    found.growing.length > 0 && "Growing compares each grown network with the same network trained from scratch, seed by seed: ▲ growing gave a better network, ▼ a worse one, neither where the difference is not significant. p is that of the max-T test over all rows of the column, the interval what that test would not reject.",
  ];
  if (found.departures.length) texts.push(`The protocol has ${plural(found.departures.length, "thing")} otherwise than its source; Provenance says which.`);
  return [
    element("div", { className: "notes" }, ...texts.filter(Boolean).map((text) => paragraph(text, "says")), ...found.notes.flatMap(remark)),
    meanings.length > 0 && element("dl", { className: "meanings" }, ...meanings.flatMap(([name, meaning]) => [element("dt", {}, name), element("dd", {}, meaning)])),
  ];
}

/** What the tables beside the page say too. */
const remark = ({ sentence, items }) => [
  paragraph(sentence, "says"),
  items.length > 0 && element("ul", { className: "says" }, ...items.map((item) => element("li", {}, item))),
];
