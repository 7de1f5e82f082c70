// The table of methods: score, cost, and whether growing paid.

const ROLES = {
  control: "explains a method: one of its parts is switched",
  baseline: "does not grow: trained from scratch at the seed's or the target's size",
  twin: "a network that a method grew, trained from scratch",
};

const UNRANKED = { twin: "twins are not ranked", control: "controls explain a method and are not ranked" };

/** Why nothing is ranked. */
const untestable = (found) =>
  found.seeds_to_rank > content.testable_from
    ? `not testable: to tell so many rows apart takes at least ${found.seeds_to_rank} paired seeds`
    : `not testable below ${content.testable_from} paired seeds`;

const BADGES = {
  reproduced: ["good", "every result was run again and came out the same"],
  "not reproduced": ["bad", "a result was run again and came out differently"],
  incomplete: ["bad", "some seeds have no result; they count as the worst of this comparison"],
  "mixed behaviour or data": ["bad", "its seeds are of different behaviour versions or data"],
  "stale": ["plain", "behaviour or data have changed since it ran; the result itself is whole"],
  "shared device": ["plain", "trials ran beside each other on one device: its seconds are too long"],
};

function leaderboard() {
  const found = comparison();
  const rows = candidates();
  const all = boardColumns(found, rows);
  const columns = all.filter((column) => !column.chosen || state.columns.includes(column.chosen));
  const twins = found.rows.some((row) => row.role === "twin");
  const common = commonBadges(rows);
  const board = table(columns, rows, `Leaderboard: ${found.title}`, state.sort);
  board.classList.add("board");
  return [
    controls(twins && toggle("Show twins", "twins"), columnChooser(all), csvButton(plain(columns), rows, "leaderboard")),
    common.length > 0 && paragraph(`Of every row: ${common.map((badge) => `${badge} – ${BADGES[badge]?.[1] ?? badge}`).join("; ")}.`, "says"),
    board,
    ...boardNotes(found, rows),
    ...across(),
  ];
}

/** The columns of the CSV: numbers that one cell shows together, apart. */
const plain = (columns) => columns.flatMap((column) => column.parts ?? [column]);

function boardColumns(found, rows) {
  const place = whiskerScale(found, rows);
  const questions = [...new Set(found.growing.map((pair) => pair.question))];
  return [
    rankColumn(found),
    { label: "Method", key: "method", head: true, value: (row) => row.name, cell: methodCell },
    scoreColumn(found, place),
    ...questions.map((question) => paidColumn(found, question)),
    {
      label: "Seeds", key: "seeds", chosen: "seeds", numeric: true, falls: true,
      help: "seeds with a result, of those asked",
      value: (row) => row.seeds_ok,
      cell: (row) => opens([row], `${row.seeds_ok}/${row.seeds}`),
    },
    ...knownCosts().map(([name, cost]) => costColumn(name, cost)),
  ];
}

function rankColumn(found) {
  const why = (row) => UNRANKED[row.role] ?? untestable(found);
  return {
    label: "Rank", key: "rank", numeric: true,
    help: "Rows that cannot be told apart share a rank",
    value: (row) => row.rank,
    cell: (row) => (row.rank === null ? element("span", { className: "soft", title: why(row) }, "–") : opens(found.rows.filter((other) => other.rank === row.rank), String(row.rank))),
  };
}

/** What is said once because it is true of every row. */
const commonBadges = (rows) => (rows.length > 1 ? rows[0].badges.filter((badge) => rows.every((row) => row.badges.includes(badge))) : []);

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
    role && element("span", { className: "badge role", title: role }, row.role),
    ...badges,
  );
}

function scoreColumn(found, place) {
  const missing = (row) => row.counted_as_worst.length > 0;
  return {
    label: found.metric === "loss" ? "Test loss" : "Test accuracy, %",
    key: "score", chosen: "score", numeric: true, falls: found.higher,
    help: "Mean over all seeds ± half of its 95 % confidence interval",
    value: (row) => row.score.mean,
    parts: [
      { label: "score", value: (row) => row.score.mean },
      { label: "score_ci_low", value: (row) => row.score.interval?.[0] },
      { label: "score_ci_high", value: (row) => row.score.interval?.[1] },
      { label: "score_sd", value: (row) => row.score.sd },
      { label: "seeds_counted_as_worst", value: (row) => row.counted_as_worst.join(" ") },
    ],
    cell: (row) => {
      const mean = score(row.score.mean, found.metric);
      const range = spread(row.score.mean, row.score.interval, found.metric);
      const mark = missing(row) ? element("sup", { title: worstReason(found, row) }, "†") : null;
      const text = opens([row], element("strong", {}, mean), range && element("span", { className: "soft" }, ` ${range}`), mark);
      return element("div", { className: "score" }, text, whisker(row, place));
    },
  };
}

const worstReason = (found, row) =>
  `no result for seed ${seedList(row.counted_as_worst)}: counts as ${score(found.worst, found.metric)}, the worst of this comparison`;

/** From a score to its place between 0 and 1 in the small bars; rows far away are at the edge. */
function whiskerScale(found, rows) {
  const known = rows.filter((row) => isNumber(row.score.mean));
  const near = nearBest(known, (row) => row.score.mean, 2);
  const ends = near.flatMap((row) => [row.score.mean, ...(row.score.interval ?? [])]);
  const widest = 4 * (d3.max(near, (row) => row.score.mean) - d3.min(near, (row) => row.score.mean));
  const middle = d3.mean(near, (row) => row.score.mean);
  const [low, high] = d3.extent(ends.filter((end) => !widest || Math.abs(end - middle) <= widest));
  return (value) => Math.min(1, Math.max(0, high > low ? 0.02 + (0.96 * (value - low)) / (high - low) : 0.5));
}

function whisker(row, place) {
  if (!isNumber(row.score.mean)) return null;
  const [low, high] = clipped(row.score.interval, row.score.mean).map(place);
  const colour = rowColour(row);
  return element(
    "span",
    { className: "whisker", "aria-hidden": "true" },
    element("i", { className: "range", style: { left: `${100 * low}%`, width: `${100 * (high - low)}%`, background: colour } }),
    element("i", { className: "mean", style: { left: `${100 * place(row.score.mean)}%`, background: colour } }),
  );
}

function paidColumn(found, question) {
  const pair = (row) => found.growing.find((each) => each.question === question && each.first === row.name);
  return {
    label: `Growing, at ${question.replace("flops", "FLOPs")}`,
    key: `paid ${question}`, chosen: "paid", numeric: true, falls: found.higher,
    help: `The grown network's score less that of the same network trained from scratch, with ${question}`,
    value: (row) => pair(row)?.difference,
    parts: ["difference", "adjusted"].map((name) => ({ label: `${name} ${question}`, value: (row) => pair(row)?.[name] })),
    cell: (row) => {
      const against = pair(row);
      if (!against) return element("span", { className: "soft" }, "–");
      const twin = rowNamed(against.second);
      return element(
        "div",
        { className: "paid" },
        opens([row, twin], differenceText(against)),
        element("small", {}, `${twin.role === "twin" ? "twin" : shortened(twin.name, 20)} ${score(twin.score.mean, found.metric)} · ${pValue(against.adjusted)}`),
      );
    },
  };
}

const isReal = (pair) => isNumber(pair.adjusted) && pair.adjusted <= 0.05;

/** Whether the first of a pair is the better one. */
const isBetter = (pair) => pair.difference > 0 === comparison().higher;

/** A difference with its interval; in colour and with an arrow only where it is significant. */
function differenceText(pair) {
  const metric = comparison().metric;
  const half = pair.interval ? ` ± ${signed((pair.interval[1] - pair.interval[0]) / 2, metric).replace("+", "")}` : "";
  const verdict = isReal(pair) ? (isBetter(pair) ? "better" : "worse") : "open";
  const arrow = { better: "▲ ", worse: "▼ ", open: "" }[verdict];
  return element("span", { className: verdict }, `${arrow}${signed(pair.difference, metric)}`, element("span", { className: "soft" }, half));
}

function costColumn(name, cost) {
  const share = (row) => {
    const { train, ...parts } = row.spent.flops;
    const growth = d3.sum(Object.values(parts));
    return growth ? growth / (growth + train) : 0;
  };
  const growth = (row) => name === "training_flops" && share(row) > 0 && element("small", {}, `growth ${percent(share(row))}`);
  return {
    label: cost.short, key: name, chosen: name, numeric: true,
    help: `mean over the seeds with a result: ${cost.label}`,
    value: (row) => row.costs[name]?.mean,
    parts: [
      { label: name, value: (row) => row.costs[name]?.mean },
      ...(name === "training_flops" ? [{ label: "growth_share", value: share }] : []),
    ],
    cell: (row) => element("div", {}, opens([row], cost.text(row.costs[name]?.mean)), growth(row)),
  };
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
  const marks = marked.map((row) => `${shortened(row.name, 40)} (seed ${seedList(row.counted_as_worst)})`);
  const texts = [
    marks.length > 0 && `† Trials without a result count as ${score(found.worst, metric)}, the worst score of this comparison, untrained networks included, and are never left out: ${listed(marks)}.`,
    "Scores are means over all seeds with their 95 % confidence interval, drawn as a bar whose scale fits the best rows: those far from them stand at its edge. Costs are means over the seeds with a result. FLOPs are multiply-adds.",
    found.growing.length > 0 && "Growing compares each grown network with the same network trained from scratch, seed by seed: ▲ growing gave a better network, ▼ a worse one, neither where the difference is not significant. p is corrected by Holm’s method.",
  ];
  return [
    element("div", { className: "notes" }, ...texts.filter(Boolean).map((text) => paragraph(text, "says"))),
    meanings.length > 0 && element("dl", { className: "meanings" }, ...meanings.flatMap(([name, meaning]) => [element("dt", {}, name), element("dd", {}, meaning)])),
  ];
}
