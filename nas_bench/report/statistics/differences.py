"""Differences of two methods seed by seed, and the exact test of their mean.

References:
    Permutation, Parametric, and Bootstrap Tests of Hypotheses. P. Good, 2005.
    A simple sequentially rejective multiple test procedure. S. Holm, 1979.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.families import answers
from nas_bench.report.statistics.intervals import Interval
from nas_bench.report.statistics.values import Values, finite

TESTABLE = 6  # with 5 pairs the smallest two-sided p is 0.0625


@dataclass(frozen=True)
class Difference:
    """One method minus another over the seeds that both have.

    Attributes:
        pairs: the number of these seeds.
        mean: of the differences; NaN without a pair.
        sd: of the differences; NaN below two pairs.
        interval: of the mean, the differences that `sign_flip` would not reject; None below
            TESTABLE pairs.
        p: of `sign_flip`, not corrected for other tests; None below TESTABLE pairs.
    """

    pairs: int
    mean: float
    sd: float
    interval: Interval | None
    p: float | None


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Difference:
    """First minus second, seed by seed."""
    x = differences(first, second)
    alone = answers([x])[0] if x.size >= TESTABLE else None
    return Difference(
        pairs=x.size,
        mean=float(x.mean()) if x.size else math.nan,
        sd=float(x.std(ddof=1)) if x.size > 1 else math.nan,
        interval=alone and alone.interval,
        p=alone and alone.p,
    )


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> np.ndarray:
    """First minus second for each seed that both have: (pairs,)."""
    return finite([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def sign_flip(differences: Values) -> float:
    """Two-sided p of the mean, if each difference were as likely to have the other sign.

    Exact over all 2ⁿ sign flips for up to 20 differences, drawn with a fixed seed above.
    """
    return answers([differences])[0].p


def smallest_p(pairs: int) -> float:
    """The least p that `sign_flip` can give for this many differences: 2/2ⁿ."""
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p_values: Values) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given."""
    p = finite(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return tuple(np.minimum(adjusted, 1).tolist())


def jointly(questions: Sequence[Mapping[int, float]]) -> tuple[float, ...]:
    """The p of each question, of differences by seed, among all of them (max-T).

    A seed's differences have the same sign flipped in all questions; to one that lacks the seed
    it adds nothing.
    """
    seeds = sorted({seed for question in questions for seed in question})
    rows = [[question.get(seed, 0.0) for seed in seeds] for question in questions]
    return tuple(answer.p for answer in answers(rows))
