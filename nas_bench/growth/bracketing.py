"""The amplitude of a step with the lowest loss, of those on a grid, from few losses."""

import math
from collections.abc import Callable

SMALLEST = -20
"""Exponent of the smallest amplitude 2^j that is tried."""
FIRST = -1
"""Of the amplitude that is tried first."""
FAR = 4
"""Exponents that are left out on the way to amplitudes at which a step helps at all."""
MOST_LOSSES = 10


def exponents_up_to(largest: float) -> range:
    """Exponents j of the amplitudes 2^j up to this one, rising."""
    return range(SMALLEST, math.floor(math.log2(largest)) + 1)


def bracketed(
    loss: Callable[[int], float], exponents: range, unchanged: float, slope: float
) -> dict[int, float]:
    """Losses at some of the exponents: at the lowest found and its neighbours.

    From the first on to where the parabola through the loss without a step, its slope there and
    the lowest loss found is lowest, while that is nearer than what was tried; then the middles of
    the gaps beside the lowest. At most ten.

    Args:
        loss: by the exponent j of the amplitude 2^j.
        exponents: rising.
        unchanged: the loss without a step.
        slope: by how much the loss falls, to first order, at amplitude 1.
    """
    found: dict[int, float] = {}
    exponent = min(max(FIRST, exponents[0]), exponents[-1])
    while exponent is not None and len(found) < MOST_LOSSES:
        found[exponent] = loss(exponent)
        exponent = _next(found, exponents, unchanged, slope)
    return found


def _next(found: dict[int, float], exponents: range, unchanged: float, slope: float) -> int | None:
    lowest = min(found, key=lambda j: (found[j], j))
    drop = unchanged - found[lowest]
    below = max((j for j in found if j < lowest), default=None)
    above = min((j for j in found if j > lowest), default=None)
    if slope > 0 and math.isfinite(drop):
        bottom = round(min(max(_bottom(lowest, drop, slope), exponents[0]), exponents[-1]))
        between = (below is None or bottom > below) and (above is None or bottom < above)
        if between and bottom != lowest:
            return bottom
    if drop <= 0:
        return min(found) - FAR if min(found) - FAR in exponents else None
    beside = (
        lowest + 1 if above is None else (lowest + above) // 2,
        lowest - 1 if below is None else (lowest + below + 1) // 2,
    )
    return next((j for j in beside if j in exponents and j not in found), None)


def _bottom(exponent: int, drop: float, slope: float) -> float:
    """The exponent at which s ε − c ε², which is the drop at this one, is largest."""
    curvature = 2.0**exponent * slope - drop
    if curvature <= 0:
        return math.inf
    return 2 * exponent + math.log2(slope) - math.log2(curvature) - 1
