"""What the scores of a comparison say: ranks, differences, whether growing paid."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from nas_bench.report.comparison import (
    Comparison,
    Estimate,
    Measure,
    Row,
    estimate,
    seconds,
    training_flops,
)
from nas_bench.report.contrasts import Contrast, answered
from nas_bench.report.questions import BASELINES, RANDOM, SEED_SIZE, families
from nas_bench.report.statistics import (
    Interval,
    RankSet,
    front_probability,
    rank_sets,
    t_interval,
)

COSTS: dict[str, Measure] = {
    "flops": lambda record: record.flops,
    "parameters": lambda record: record.parameters,
    "training_flops": training_flops,
    "seconds": seconds,
}
"""What accuracy is bought with."""
WITH_TUNING = "with_tuning"
"""The cost of rows that were tuned: training FLOPs and those of the whole search."""


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

        A row is tied that cannot be told from any better one, whichever family asks of the best,
        and is no farther from it than these seeds can see: what varies wildly is not told either,
        but it is not as good.
        """
        rank = self.ranks.get(row.name)
        if rank is None or self.best is None or not row.complete or self.scores[row.name].missing:
            return False
        means = (self.scores[name].estimate.mean for name in (row.name, self.best))
        near = abs(next(means) - next(means)) <= (self.detectable or 0.0)
        asked = (c for c in (*self.growing, *self.against) if c.is_significant)
        told = any({c.first, c.second} == {row.name, self.best} for c in asked)
        return row.name == self.best or (rank.best == 1 and near and not told)

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
    values = {name: score.values for name, score in scores.items() if _known(score)}
    (pairs,) = answered(comparison, [asked], values)
    declared = families(comparison)
    found = iter(answered(comparison, itertools.chain(*declared.values()), values))
    parts = {about: [next(found) for _ in those] for about, those in declared.items()}
    return Standing(
        comparison=comparison,
        scores=scores,
        ranks=_ranks(comparison, ranked, pairs),
        pairs=pairs,
        **{about: tuple(itertools.chain(*those)) for about, those in parts.items()},
        front={name: _front(comparison, own, scores, name) for name in (*COSTS, WITH_TUNING)},
        lacking=tuple(_lacking(comparison)),
    )


def _is_ranked(row: Row) -> bool:
    return row.config is not None and row.role != "control" and row.method != SEED_SIZE


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
    own = [r for r in comparison.rows if r.role != "twin" and r.method != SEED_SIZE and r.results]
    for name in names:
        means = [row.estimate(COSTS[name]).mean for row in own]
        if means and max(means) > 1.005 * min(means):
            return name
    return names[0]


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
    if not own:
        return
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
        if row.method == "tiny" and comparison.row_like(row, RANDOM):
            wanted = (f"{RANDOM}[update=true]", "tiny[update=false]")
            yield from (spec for spec in wanted if not comparison.row_like(row, spec))
