"""When curves reach a score: between two evaluations, for nothing is known in between."""

import math
from dataclasses import dataclass
from functools import partial
from statistics import median_high

from nas_bench.report.comparison import Comparison, Measure, Row, training_flops
from nas_bench.report.shipped import declared_targets
from nas_bench.results.reading import Run

_ACCURACIES = (20.0, 50.0, 80.0, 90.0, 95.0, 97.0, 98.0, 99.0, 99.5)
_MOST = 3


@dataclass(frozen=True)
class Reached:
    """What a row had spent when its seeds were first seen at a score.

    Attributes:
        seeds: with a curve that gets there, of `of` asked.
        after: spent at the evaluation before, the median over seeds; None where the first
            evaluation is there already, or half of the seeds never are.
        by: spent at the evaluation that shows it, the median over seeds; None where half of the
            seeds never are.
    """

    seeds: int
    of: int
    after: float | None
    by: float | None


def targets(comparison: Comparison) -> tuple[float, ...]:
    """The validation scores that the protocol declares, easiest first.

    Of other protocols at most three round ones, the last one that the best row ends with.
    """
    if declared := declared_targets(comparison):
        return tuple(sorted(declared, reverse=not comparison.higher))
    validation = partial(comparison.score, split="validation")
    means = (row.estimate(validation).mean for row in comparison.rows if row.role != "twin")
    if not (ends := [mean for mean in means if math.isfinite(mean)]):
        return ()
    if comparison.higher:
        return tuple(score for score in _ACCURACIES if score <= max(ends))[-_MOST:]
    return _losses(min(ends)) if min(ends) > 0 else ()


def reached(
    comparison: Comparison, row: Row, target: float, measure: Measure = training_flops
) -> Reached:
    """When a row reaches a validation score, by what is measured of a record.

    Seeds without a curve never do.
    """
    found = [_between(comparison, run, target, measure) for run in row.runs if run.curve]
    missing = len(row.asked) - len(found)
    never = [(math.inf, math.inf)] * missing
    lows, highs = zip(*(*found, *never), strict=True)
    after, by = median_high(lows), median_high(highs)
    seeds = sum(math.isfinite(high) for high in highs)
    known = math.isfinite(by)
    return Reached(
        seeds, len(row.asked), after if known and after >= 0 else None, by if known else None
    )


def _losses(best: float) -> tuple[float, ...]:
    """Losses of 1, 2 or 5 times a power of ten, from above the best on."""
    power = math.floor(math.log10(best))
    steps = [m * 10.0**p for p in range(power, power + 2) for m in (1, 2, 5)]
    return tuple(sorted((loss for loss in steps if loss >= best), reverse=True)[-_MOST:])


def _between(
    comparison: Comparison, run: Run, target: float, measure: Measure
) -> tuple[float, float]:
    """What was spent at the last evaluation before the score and at the first at it.

    -1 where there is none before, infinite where it is never seen.
    """
    before = None
    for record in run.curve:
        score = comparison.score(record, "validation")
        if not math.isfinite(score):
            continue
        if score >= target if comparison.higher else score <= target:
            return -1.0 if before is None else measure(before), measure(record)
        before = record
    return math.inf, math.inf
