"""What the scores of a comparison say: ranks, differences, whether growing paid."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from nas_bench.report.comparison import (
    Comparison,
    Estimate,
    Measure,
    Row,
    differing,
    estimate,
    seconds,
    training_flops,
)
from nas_bench.report.statistics import (
    TESTABLE,
    Difference,
    Interval,
    RankSet,
    answers,
    detectable_gap,
    front_probability,
    paired,
    rank_sets,
    t_interval,
)
from nas_bench.report.statistics.differences import differences
from nas_bench.report.statistics.power import ALPHA
from nas_bench.specs import InputError, Spec, parse
from nas_bench.tuning.history import settings

COSTS: dict[str, Measure] = {
    "flops": lambda record: record.flops,
    "parameters": lambda record: record.parameters,
    "training_flops": training_flops,
    "seconds": seconds,
}
"""What accuracy is bought with."""
WITH_TUNING = "with_tuning"
"""The cost of rows that were tuned: training FLOPs and those of the whole search."""
_SEED_SIZE = "fixed[size=seed]"
BASELINES = ("fixed", _SEED_SIZE)
_RANDOM = "random_growth"
RIVALS = (BASELINES[0], _RANDOM)
"""What each method is compared with."""
MATCHES = ("steps", "flops")
"""How twins are matched with what they are twins of."""


@dataclass(frozen=True)
class Score:
    """The test score of a row over all seeds asked.

    Attributes:
        values: by seed, a seed without a result as the worst of the comparison.
        missing: the seeds that count as the worst.
        estimate: mean and standard deviation of the values.
        interval: 95 % confidence interval of the mean (Student's t), where scores can be.
        is_cut: whether the interval would go on beyond that.
    """

    values: Mapping[int, float]
    missing: tuple[int, ...]
    estimate: Estimate
    interval: Interval | None
    is_cut: bool


@dataclass(frozen=True)
class Contrast:
    """A paired difference between two rows, as part of a family of questions.

    Attributes:
        question: what it answers.
        first, second: names of the rows; the difference is first minus second.
        difference: paired by seed.
        adjusted: its p among the questions of the family (max-T), None if not testable.
        interval: the differences that the same test would not reject; None if not testable.
    """

    question: str
    first: str
    second: str
    difference: Difference
    adjusted: float | None = None
    interval: Interval | None = None

    @property
    def is_significant(self) -> bool:
        """Whether it is told from 0, at 5 % for the whole family."""
        return self.adjusted is not None and self.adjusted <= ALPHA

    @property
    def detectable(self) -> float | None:
        """The difference that these seeds would show in four of five cases, asked alone."""
        if self.difference.pairs < TESTABLE or not self.difference.sd > 0:
            return None
        sd = self.difference.sd / math.sqrt(2)  # of one row's scores
        return detectable_gap(sd, self.difference.pairs)


@dataclass(frozen=True)
class Standing:
    """A comparison with what its scores say.

    Every family of questions is declared before looking. A pair that an earlier family asks of
    has that answer in later ones too, so that nothing is answered twice.

    Attributes:
        comparison: the rows.
        scores: by row.
        ranks: by name, of methods and baselines; seed networks, controls and twins explain and
            are not ranked. None for all with too few seeds, or where rows are of different data
            or behaviour.
        pairs: every two ranked rows, one family: what ranks are made of.
        growing: each grown row against the same networks trained from scratch, one family for
            each way of matching.
        against: each method against `fixed`, and against random growth, a family each.
        attribution: what TINY gains, taken apart into its neurons and δW*; one family.
        front: by cost, the probability of each row to be on the Pareto front; twins left out.
        lacking: baselines and controls that should be there and are not.
    """

    comparison: Comparison
    scores: Mapping[str, Score]
    ranks: Mapping[str, RankSet | None]
    pairs: tuple[Contrast, ...]
    growing: tuple[Contrast, ...]
    against: tuple[Contrast, ...]
    attribution: tuple[Contrast, ...]
    front: Mapping[str, Mapping[str, float]]
    lacking: tuple[str, ...]

    @property
    def best(self) -> str | None:
        """The ranked row with the best mean."""
        return next((row.name for row in self.comparison.rows if row.name in self.ranks), None)

    @property
    def detectable(self) -> float | None:
        """The difference of the two best ranked rows that these seeds would show."""
        two = [row.name for row in self.comparison.rows if row.name in self.ranks][:2]
        found = (pair.detectable for pair in self.pairs if {pair.first, pair.second} == {*two})
        return next(found, None)

    def leads(self, row: Row) -> bool:
        """Whether a row is the best or tied with it, and complete.

        A row is tied that cannot be told from any better one and is no farther from the best
        than these seeds can see: what varies wildly is not told either, but it is not as good.
        """
        rank = self.ranks.get(row.name)
        if rank is None or self.best is None or not row.complete or self.scores[row.name].missing:
            return False
        means = (self.scores[name].estimate.mean for name in (row.name, self.best))
        near = abs(next(means) - next(means)) <= (self.detectable or 0.0)
        return row.name == self.best or (rank.best == 1 and near)

    def told_apart(self, first: str, second: str) -> bool:
        """Whether two rows differ significantly, among all pairs of the comparison."""
        return any(
            pair.is_significant
            for pair in self.pairs
            if {pair.first, pair.second} == {first, second}
        )


def standing(comparison: Comparison) -> Standing:
    """What the scores of a comparison say."""
    scores = {row.name: _score(comparison, row) for row in comparison.rows}
    own = [row for row in comparison.rows if row.role != "twin"]
    ranked = [row.name for row in own if _is_ranked(row) and _known(scores[row.name])]
    asked = [("", first, second) for first, second in itertools.combinations(ranked, 2)]
    (pairs,) = _answered(comparison, [asked], scores)
    grown = [list(_growing(comparison, match)) for match in MATCHES]
    others = [list(_against(comparison, spec)) for spec in RIVALS]
    families = [*grown, *others, list(_attribution(comparison))]
    *parts, attribution = _answered(comparison, families, scores)
    return Standing(
        comparison=comparison,
        scores=scores,
        ranks=_ranks(comparison, ranked, pairs),
        pairs=pairs,
        growing=tuple(itertools.chain(*parts[: len(grown)])),
        against=tuple(itertools.chain(*parts[len(grown) :])),
        attribution=attribution,
        front={name: _front(comparison, own, scores, name) for name in (*COSTS, WITH_TUNING)},
        lacking=tuple(_lacking(comparison)),
    )


def _is_ranked(row: Row) -> bool:
    return row.config is not None and row.role != "control" and row.method != _SEED_SIZE


def _ranks(
    comparison: Comparison, ranked: Sequence[str], pairs: Sequence[Contrast]
) -> Mapping[str, RankSet | None]:
    if not pairs or comparison.differing or any(pair.adjusted is None for pair in pairs):
        return dict.fromkeys(ranked)
    told = [
        (pair.first, pair.second)
        if (pair.difference.mean > 0) == comparison.higher
        else (pair.second, pair.first)
        for pair in pairs
        if pair.is_significant
    ]
    return dict(rank_sets(ranked, told))


def telling_cost(comparison: Comparison) -> str:
    """The first cost in which rows differ: of training with the same target, else of networks."""
    networks, training = ["parameters", "flops"], ["training_flops"]
    free = comparison.kind == "free"
    names = [*networks, *training] if free else [*training, *networks]
    own = [r for r in comparison.rows if r.role != "twin" and r.method != _SEED_SIZE and r.results]
    for name in names:
        means = [row.estimate(COSTS[name]).mean for row in own]
        if means and max(means) > 1.005 * min(means):
            return name
    return names[0]


def settings_apart(comparison: Comparison, contrast: Contrast) -> tuple[str, ...]:
    """The settings in which two tuned rows differ; rows that were not tuned are alike."""
    rows = {row.name: row for row in comparison.rows}
    both = [rows[name] for name in (contrast.first, contrast.second)]
    first, second = (settings(r.config) if r.tuning and r.config else {} for r in both)
    if not first or not second:
        return ()
    names = [name for name in first if name != "method" and first[name] != second.get(name)]
    changed = any(settings(r.config)["method"] != r.method for r in both if r.config)
    return (*(["options"] if changed else []), *names)


def costs(row: Row) -> dict[str, Measure]:
    """What the accuracy of a row is bought with; the search too where it was tuned."""
    if (tuning := row.tuning) is None:
        return COSTS
    return {**COSTS, WITH_TUNING: lambda record: training_flops(record) + tuning.flops}


def _known(score: Score) -> bool:
    return bool(score.values) and not any(map(math.isnan, score.values.values()))


def _score(comparison: Comparison, row: Row) -> Score:
    values = comparison.scores(row)
    found = {run.seed for run in row.runs if run.result}
    known = [value for value in values.values() if math.isfinite(value)]
    whole = t_interval(known)
    possible = _possible(comparison, whole)
    return Score(
        values=values,
        missing=tuple(seed for seed in values if seed not in found),
        estimate=estimate(known),
        interval=possible,
        is_cut=possible != whole,
    )


def _possible(comparison: Comparison, interval: Interval | None) -> Interval | None:
    """The part of an interval where scores can be: from 0, and up to 100 % for accuracies."""
    if interval is None:
        return None
    high = min(interval.high, 100.0) if comparison.higher else interval.high
    return Interval(max(interval.low, 0.0), high)


def _answered(
    comparison: Comparison,
    families: Iterable[Sequence[tuple[str, str, str]]],
    scores: Mapping[str, Score],
) -> list[tuple[Contrast, ...]]:
    """The answers of each family, of pairs of rows that have scores and are comparable.

    What an earlier family has answered is no part of a later one's test.
    """
    known: dict[tuple[str, str], Contrast] = {}
    found = []
    for family in families:
        asked = [(q, pair) for q, *pair in family if _comparable(comparison, pair, scores)]
        new = dict.fromkeys((a, b) for _, (a, b) in asked if (a, b) not in known)
        known |= {(c.first, c.second): c for c in _contrasts(list(new), scores)}
        found.append(tuple(replace(known[a, b], question=q) for q, (a, b) in asked))
    return found


def _comparable(comparison: Comparison, names: Sequence[str], scores: Mapping[str, Score]) -> bool:
    rows = {row.name: row for row in comparison.rows}
    readable = all(name in scores and _known(scores[name]) and rows[name].config for name in names)
    return readable and not (comparison.differing and differing(rows[name] for name in names))


def _contrasts(
    pairs: Sequence[tuple[str, str]], scores: Mapping[str, Score]
) -> Iterator[Contrast]:
    """The answers of one family; all rows have the same seeds."""
    values = [(scores[first].values, scores[second].values) for first, second in pairs]
    found = [paired(*both) for both in values]
    if not found or found[0].pairs < TESTABLE:
        yield from (Contrast("", *names, gap) for names, gap in zip(pairs, found, strict=True))
        return
    tested = answers([differences(*both) for both in values])
    for names, gap, answer in zip(pairs, found, tested, strict=True):
        yield Contrast("", *names, gap, answer.p, answer.interval)


def _growing(comparison: Comparison, match: str) -> Iterator[tuple[str, str, str]]:
    """Each grown row and what it is to be compared with, from scratch."""
    for row in comparison.rows:
        if row.role in ("method", "control"):
            twin = twin_of(comparison, row, match)
            if twin is not None:
                yield f"equal {match}", row.name, twin.name


def _against(comparison: Comparison, spec: str) -> Iterator[tuple[str, str, str]]:
    """Each method and a rival that is configured alike."""
    for row in comparison.rows:
        rival = comparison.row_like(row, spec) if row.role == "method" else None
        if rival is not None and rival is not row:
            yield f"against {spec}", row.name, rival.name


def twin_of(comparison: Comparison, row: Row, match: str) -> Row | None:
    """The networks that a row grew, trained from scratch.

    With the same target that is `fixed`, where the budget makes it equal.
    """
    originals = {run.id for run in row.runs}
    for other in comparison.rows:
        twin = other.config.twin if other.config else None
        if twin and twin.match == match and twin.of in originals:
            return other
    equal = {"flops": "flops", "seconds": None}.get(comparison.budget.unit, "steps")
    if comparison.kind != "same_target" or match != equal:
        return None
    return comparison.row_like(row, BASELINES[0])


def _attribution(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """What each variant of TINY gains over random neurons, by its neurons and by δW*."""
    updated = f"{_RANDOM}[update=true]"
    for row in comparison.rows:
        neurons = _without_update(row.method) if row.role != "twin" else None
        if neurons is not None:
            like = {spec: comparison.row_like(row, spec) for spec in (_RANDOM, updated, neurons)}
            yield from _named(
                (f"{row.name} against random neurons", row, like[_RANDOM]),
                ("its neurons, with δW*", row, like[updated]),
                ("its neurons, without δW*", like[neurons], like[_RANDOM]),
                ("δW*, with its neurons", row, like[neurons]),
            )
    for row in comparison.rows:
        if row.method == _RANDOM and row.role != "twin":
            with_update = comparison.row_like(row, updated)
            yield from _named(("δW*, with random neurons", with_update, row))


def _named(
    *questions: tuple[str, Row | None, Row | None],
) -> Iterator[tuple[str, str, str]]:
    """The questions of which both rows are there, with the rows' names."""
    for question, first, second in questions:
        if first and second:
            yield question, first.name, second.name


def _without_update(name: str) -> str | None:
    """The control that adds the same neurons of TINY without δW*; None if there is no δW*."""
    try:
        spec = parse(name)
    except InputError:  # whatever else a row is called
        return None
    if spec.name != "tiny" or False in (
        spec.options.get("update"),
        spec.options.get("projection"),
    ):
        return None
    return str(Spec("tiny", {**spec.options, "update": False}))


def _front(
    comparison: Comparison, rows: Sequence[Row], scores: Mapping[str, Score], cost: str
) -> dict[str, float]:
    """Of rows with a result; a seed without one costs what the others do on average."""
    spent: dict[str, dict[int, float]] = {}
    for row in rows:
        measure = costs(row).get(cost)
        found = {run.seed: measure(run.result) for run in row.runs if run.result and measure}
        if found and _known(scores[row.name]):
            mean = fmean(found.values())
            spent[row.name] = {s: found.get(s, mean) for s in scores[row.name].values}
    values = {name: scores[name].values for name in spent}
    return front_probability(spent, values, comparison.higher) if spent else {}


def _lacking(comparison: Comparison) -> Iterator[str]:
    """Rows without which a comparison cannot answer its question."""
    own = [row for row in comparison.rows if row.role != "twin"]
    there = {row.method for row in own}
    yield from (spec for spec in BASELINES if spec not in there)
    for row in own:
        alone = row.role in ("method", "control") and BASELINES[0] in there
        if (
            alone
            and comparison.kind == "same_target"
            and not comparison.row_like(row, BASELINES[0])
        ):
            yield f"{BASELINES[0]} configured as {row.name}"
    for row in own:
        if row.method == "tiny" and comparison.row_like(row, _RANDOM):
            wanted = (f"{_RANDOM}[update=true]", "tiny[update=false]")
            yield from (spec for spec in wanted if not comparison.row_like(row, spec))
