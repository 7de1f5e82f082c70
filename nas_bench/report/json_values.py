"""Numbers as JSON holds them: nothing for what is not finite."""

import math
from collections.abc import Iterable

from nas_bench.report.statistics import Interval


def interval(ends: Interval | None) -> list[float | None] | None:
    """Both ends of an interval."""
    return None if ends is None else [number(ends.low), number(ends.high)]


def number(value: float | None) -> float | None:
    """The number; nothing for what is not finite, which JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**53)
    return int(value) if whole else float(value)


def drawn(value: float | None, digits: int = 5) -> float | None:
    """The number with so many digits: more than a chart shows, and half as long."""
    return number(None if value is None else float(f"{value:.{digits}g}"))


def all_drawn(values: Iterable[float], digits: int = 5) -> list[float | None]:
    """`drawn` of each."""
    return [drawn(value, digits) for value in values]
