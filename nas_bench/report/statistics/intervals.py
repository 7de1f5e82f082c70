"""Confidence intervals of a mean over seeds."""

import math
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.values import DRAWS, Values, finite

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


def t_interval(values: Values, level: float = LEVEL) -> Interval | None:
    """Student's interval of the mean; None for fewer than two values."""
    from scipy.special import stdtrit

    x = finite(values)
    if x.size < 2:
        return None
    margin = float(stdtrit(x.size - 1, (1 + level) / 2)) * x.std(ddof=1) / math.sqrt(x.size)
    return Interval(float(x.mean() - margin), float(x.mean() + margin))


def bca_interval(values: Values, level: float = LEVEL, seed: int = 0) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean.

    None where it is not defined: for fewer than three values. Equal values give a point.

    References:
        Better bootstrap confidence intervals. B. Efron, 1987.
    """
    from scipy.stats import bootstrap

    x = finite(values)
    if x.size < 3:
        return None
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]))
    generator = np.random.default_rng(seed)
    result = bootstrap((x,), np.mean, n_resamples=DRAWS, confidence_level=level, rng=generator)
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))
