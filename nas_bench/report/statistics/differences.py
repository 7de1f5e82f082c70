"""Differences of two methods seed by seed, and the exact test of their mean.

References:
    Permutation, Parametric, and Bootstrap Tests of Hypotheses. P. Good, 2005.
    A simple sequentially rejective multiple test procedure. S. Holm, 1979.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.intervals import Interval, t_interval
from nas_bench.report.statistics.values import EQUAL, Values, finite

TESTABLE = 6  # with 5 pairs the smallest two-sided p is 0.0625
_EXACT = 20  # differences up to which all 2ⁿ sign flips are taken
_FLIPS = 99_999  # drawn above that
_BLOCK = 2**18  # sums held at once: they fit the processor's cache


@dataclass(frozen=True)
class Difference:
    """One method minus another over the seeds that both have.

    Attributes:
        pairs: the number of these seeds.
        mean: of the differences; NaN without a pair.
        sd: of the differences; NaN below two pairs.
        interval: Student's, of the mean; None below two pairs.
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
    return Difference(
        pairs=x.size,
        mean=float(x.mean()) if x.size else math.nan,
        sd=float(x.std(ddof=1)) if x.size > 1 else math.nan,
        interval=t_interval(x),
        p=sign_flip(x) if x.size >= TESTABLE else None,
    )


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> np.ndarray:
    """First minus second for each seed that both have: (pairs,)."""
    return finite([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def sign_flip(differences: Values) -> float:
    """Two-sided p of the mean, if each difference were as likely to have the other sign.

    Exact over all 2ⁿ sign flips for up to 20 differences, drawn with a fixed seed above.
    """
    return float(sign_flips([differences])[0])


def sign_flips(rows: Iterable[Values]) -> np.ndarray:
    """`sign_flip` of k rows of differences, of any lengths: (k,)."""
    arrays = [finite(row) for row in rows]
    exact = iter(_exact([row for row in arrays if row.size <= _EXACT]))
    return np.array([_drawn(row) if row.size > _EXACT else next(exact) for row in arrays])


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


def corrected(family: Sequence[Difference | None]) -> tuple[float | None, ...]:
    """Holm's adjusted p of each, over those that have one; None for the others."""
    adjusted = iter(holm([found.p for found in family if found and found.p is not None]))
    return tuple(next(adjusted) if found and found.p is not None else None for found in family)


def _exact(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Sign-flip p over all flips; zeros that fill shorter rows change none."""
    table = np.zeros((len(rows), max((row.size for row in rows), default=0)))
    for line, row in zip(table, rows, strict=True):
        line[: row.size] = row
    step = max(1, _BLOCK >> table.shape[1])
    parts = [_enumerated(table[at : at + step]) for at in range(0, len(rows), step)]
    return np.concatenate([np.empty(0), *parts])


def _enumerated(table: np.ndarray) -> np.ndarray:
    """All sums of a row: each of its first half plus each of its second half.

    The very first difference keeps its sign: flipping all signs changes no |sum|.
    """
    half = table.shape[1] // 2
    first, second = _sums(table[:, :half])[:, ::2], _sums(table[:, half:])
    sums = abs(first[:, :, None] + second[:, None, :])
    return (sums >= _observed(table)[:, None, None]).mean(axis=(1, 2))


def _sums(table: np.ndarray) -> np.ndarray:
    """The sums of each row's n differences under all signs: (k, 2ⁿ)."""
    n = table.shape[1]
    return table @ (1.0 - 2 * (np.arange(2**n) >> np.arange(n)[:, None] & 1))


def _observed(table: np.ndarray) -> np.ndarray:
    """|Σ differences| less rounding, so that flips of equal sum count."""
    return abs(table.sum(axis=-1)) - EQUAL * abs(table).sum(axis=-1)


def _drawn(row: np.ndarray) -> float:
    signs = np.random.default_rng(0).integers(0, 2, (_FLIPS, row.size), dtype=np.int8) * 2 - 1
    return float(((abs(signs @ row) >= _observed(row)).sum() + 1) / (_FLIPS + 1))
