"""What the scores of a comparison say: ranks, differences, whether growing paid."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

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
    corrected,
    detectable_gap,
    front_probability,
    paired,
    shared_ranks,
    smallest_p,
    t_interval,
)
from nas_bench.specs import InputError, Spec, parse

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


@dataclass(frozen=True)
class Score:
    """The test score of a row over all seeds asked.

    Attributes:
        values: by seed, a seed without a result as the worst of the comparison.
        missing: the seeds that count as the worst.
        estimate: mean and standard deviation of the values.
        interval: 95 % confidence interval of the mean (Student's t), where scores can be.
    """

    values: Mapping[int, float]
    missing: tuple[int, ...]
    estimate: Estimate
    interval: Interval | None


@dataclass(frozen=True)
class Contrast:
    """A paired difference between two rows, as part of a family of questions.

    Attributes:
        question: what it answers.
        first, second: names of the rows; the difference is first minus second.
        difference: paired by seed.
        adjusted: its p after Holm's correction over the family, None if not testable.
    """

    question: str
    first: str
    second: str
    difference: Difference
    adjusted: float | None


@dataclass(frozen=True)
class Standing:
    """A comparison with what its scores say.

    Attributes:
        comparison: the rows.
        scores: by row.
        ranks: by name, of methods and baselines; controls and twins explain and are not ranked.
            None for all where the seeds cannot tell so many rows apart, or where rows are of
            different data or behaviour.
        pairs: every two ranked rows, one family.
        growing: each grown row against the same networks trained from scratch, one family for
            each way of matching.
        attribution: what TINY gains, taken apart into its neurons and δW*; one family.
        front: by cost, the probability of each row to be on the Pareto front; twins left out.
        lacking: baselines and controls that should be there and are not.
    """

    comparison: Comparison
    scores: Mapping[str, Score]
    ranks: Mapping[str, int | None]
    pairs: tuple[Contrast, ...]
    growing: tuple[Contrast, ...]
    attribution: tuple[Contrast, ...]
    front: Mapping[str, Mapping[str, float]]
    lacking: tuple[str, ...]

    @property
    def detectable(self) -> float | None:
        """The difference that these seeds would show in four of five cases; None if untestable.

        From the pair with the median spread, seed networks aside: nobody asks how far those are.
        """
        known = [
            contrast.difference
            for contrast in self.pairs
            if contrast.difference.sd > 0 and _SEED_SIZE not in (contrast.first, contrast.second)
        ]
        pairs = min((difference.pairs for difference in known), default=0)
        if pairs < TESTABLE:
            return None
        sd = median(difference.sd for difference in known) / math.sqrt(2)  # of one row's scores
        return detectable_gap(sd, pairs)

    def told_apart(self, first: str, second: str) -> bool:
        """Whether two rows differ significantly, among all pairs of the comparison."""
        return any(
            contrast.adjusted is not None and contrast.adjusted <= 0.05
            for contrast in self.pairs
            if {contrast.first, contrast.second} == {first, second}
        )


def standing(comparison: Comparison) -> Standing:
    """What the scores of a comparison say."""
    scores = {row.name: _score(comparison, row) for row in comparison.rows}
    own = [row for row in comparison.rows if row.role != "twin"]
    ranked = [row.name for row in own if row.role != "control" and _known(scores[row.name])]
    values = {name: scores[name].values for name in ranked}
    asked = [("", first, second) for first, second in itertools.combinations(ranked, 2)]
    growing = list(_growing(comparison))
    matches = dict.fromkeys(question for question, _, _ in growing)
    families = [[pair for pair in growing if pair[0] == match] for match in matches]
    return Standing(
        comparison=comparison,
        scores=scores,
        ranks=shared_ranks(values, comparison.higher)
        if len(values) > 1 and not comparison.differing
        else dict.fromkeys(values),
        pairs=_contrasts(comparison, asked, scores),
        growing=tuple(c for family in families for c in _contrasts(comparison, family, scores)),
        attribution=_contrasts(comparison, _attribution(comparison), scores),
        front={name: _front(comparison, own, scores, name) for name in (*COSTS, WITH_TUNING)},
        lacking=tuple(_lacking(comparison)),
    )


def smallest_possible(family: Sequence[Contrast]) -> float | None:
    """The smallest p that Holm's correction over a family leaves possible with these seeds."""
    tested = [contrast.difference.pairs for contrast in family if contrast.adjusted is not None]
    return min(1.0, len(tested) * smallest_p(max(tested))) if tested else None


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
    return Score(
        values=values,
        missing=tuple(seed for seed in values if seed not in found),
        estimate=estimate(known),
        interval=_possible(comparison, t_interval(known)),
    )


def _possible(comparison: Comparison, interval: Interval | None) -> Interval | None:
    """The part of an interval where scores can be: from 0, and up to 100 % for accuracies."""
    if interval is None:
        return None
    high = min(interval.high, 100.0) if comparison.higher else interval.high
    return Interval(max(interval.low, 0.0), high)


def _contrasts(
    comparison: Comparison, questions: Iterable[tuple[str, str, str]], scores: Mapping[str, Score]
) -> tuple[Contrast, ...]:
    """The answers of one family, of pairs of rows that have scores and are comparable."""
    rows = {row.name: row for row in comparison.rows}
    asked = [
        (question, first, second)
        for question, first, second in questions
        if all(name in scores and _known(scores[name]) for name in (first, second))
        and not (comparison.differing and differing((rows[first], rows[second])))
    ]
    found = [paired(scores[first].values, scores[second].values) for _, first, second in asked]
    answers = zip(asked, found, corrected(found), strict=True)
    return tuple(Contrast(*names, difference, p) for names, difference, p in answers)


def _growing(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """Each grown row and what it is to be compared with, from scratch."""
    for match in ("steps", "flops"):
        for row in comparison.rows:
            if row.role in ("method", "control"):
                twin = twin_of(comparison, row, match)
                if twin is not None:
                    yield f"equal {match}", row.name, twin.name


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
