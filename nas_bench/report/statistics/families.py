"""Questions that are asked together, each of paired differences: max-T over joint sign flips.

References:
    Resampling-Based Multiple Testing. P. Westfall, S. Young, 1993.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.intervals import LEVEL, Interval
from nas_bench.report.statistics.power import ALPHA
from nas_bench.report.statistics.values import EQUAL, Values, finite

_HELD = 2**22  # sums held at once; as many sign flips are exact
_BLOCK = 1024  # flips that are multiplied at once
_DRAWN = 100_000  # of more, at most, the differences as they are among them


@dataclass(frozen=True)
class Answer:
    """Of one question of a family.

    Attributes:
        p: two-sided; the chance of any p ≤ 0.05 in a family without differences is at most 5 %.
        interval: the differences that the same test would not reject at 5 %, those of the other
            questions as they are: without 0 exactly where p ≤ 0.05. None where it has no end.
    """

    p: float
    interval: Interval | None


def answers(rows: Sequence[Values]) -> tuple[Answer, ...]:
    """Whether the means of k rows of differences over the same n seeds are 0.

    If nothing differs, the differences of a seed might as well all have the other sign. p is the
    share of sign flips, the same for all rows, in which the largest |t| of any row is no smaller
    than the row's own. All 2ⁿ are taken where these are few, else some, with a fixed seed.

    Raises:
        ValueError: if the rows are of different lengths.
    """
    if len({len(row) for row in rows}) > 1:
        raise ValueError("rows of differences have different seeds; give those that all share")
    table = np.array([finite(row) for row in rows])
    if not table.size:
        return (Answer(1.0, None),) * len(rows)
    sums = flipped_sums(np.vstack([table, np.ones(table.shape[1])]))
    return tuple(_answered(table, sums[:-1], (table.shape[1] - sums[-1]) / 2))


def flipped_sums(table: np.ndarray) -> np.ndarray:
    """Σ ± differences of each row under joint sign flips, unflipped first: (k, flips).

    Where all are taken, the first difference keeps its sign: flipping all changes no |t|.
    """
    k, n = table.shape
    if k << max(n - 1, 0) > _HELD:
        signs = _drawn_signs(min(_DRAWN, _HELD // k), n)
        blocks = (signs[:, start : start + _BLOCK] for start in range(0, signs.shape[1], _BLOCK))
        return np.hstack([table @ block.astype(float) for block in blocks])
    first, second = _sums(table[:, : n // 2])[:, ::2], _sums(table[:, n // 2 :])
    return (first[:, :, None] + second[:, None, :]).reshape(k, -1)


@functools.lru_cache(2)  # the questions of a ledger have the same seeds
def _drawn_signs(draws: int, n: int) -> np.ndarray:
    """Signs, the first draw's all positive: (n, draws)."""
    signs = np.random.default_rng(0).integers(0, 2, (draws, n), dtype=np.int8) * 2 - 1
    signs[0] = 1
    return np.ascontiguousarray(signs.T)


def _sums(table: np.ndarray) -> np.ndarray:
    """The sums of each row's n differences under all signs: (k, 2ⁿ)."""
    n = table.shape[1]
    return table @ (1.0 - 2 * (np.arange(2**n) >> np.arange(n)[:, None] & 1))


def _answered(table: np.ndarray, sums: np.ndarray, flipped: np.ndarray) -> list[Answer]:
    """The answers; `flipped` says how many seeds each flip turns: (flips,).

    r = |Σ d| / √(n Σ d²) stands for |t| = r √((n - 1) / (1 - r²)): it rises with it, and the
    square root is the same under all flips.
    """
    length = np.sqrt(table.shape[1] * (table**2).sum(axis=1, keepdims=True))
    length[length == 0] = 1.0
    r = abs(sums) / length
    least = r[:, 0] - EQUAL * abs(table).sum(axis=1) / length[:, 0]
    second, first = _two_largest(r)
    found = []
    for row, own, total, bound in zip(table, r, sums, least, strict=True):
        p = float((first >= bound).mean())
        others = np.where(own == first, second, first)
        found.append(Answer(p, _interval(row, total, others, flipped, p)))
    return found


def _two_largest(r: np.ndarray) -> np.ndarray:
    """The second largest of each flip and the largest: (2, flips)."""
    padded = np.vstack([np.zeros(r.shape[1]), r])
    return np.partition(padded, -2, axis=0)[-2:]


def _interval(
    row: np.ndarray, sums: np.ndarray, others: np.ndarray, flipped: np.ndarray, p: float
) -> Interval | None:
    """The θ for which more than 5 % of the flips of row - θ, or of others, are no smaller.

    A flip's |Σ ± (d - θ)| is no smaller than |Σ d - θ| for the θ between the mean of the seeds
    that it turns and that of the rest; the others' r is, for those near the mean of all.
    """
    n, mean = row.size, float(row.mean())
    turned = (sums[0] - sums) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.array([turned / flipped, (sums[0] - turned) / (n - flipped)])
        around = float(row.std()) * others / np.sqrt(np.maximum(1 - others**2, 0))
    around[others > 1 - EQUAL] = np.inf
    always = (flipped < 0.5) | (flipped > n - 0.5)
    lows = np.where(always, -np.inf, np.minimum(parts.min(axis=0), mean - around))
    highs = np.where(always, np.inf, np.maximum(parts.max(axis=0), mean + around))
    rejected = math.floor((1 - LEVEL) * len(lows) * (1 + EQUAL))
    if rejected >= len(lows):
        return None
    low = float(np.partition(lows, rejected)[rejected])
    high = -float(np.partition(-highs, rejected)[rejected])
    if not math.isfinite(low) or not math.isfinite(high):
        return None
    rounding = EQUAL * float(abs(row).mean())
    low, high = (0.0 if abs(end) <= rounding else end for end in (low, high))
    return Interval(min(low, 0.0), max(high, 0.0)) if p > ALPHA else Interval(low, high)
