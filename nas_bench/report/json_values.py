"""Numbers as JSON holds them: rounded, and nothing for what is not finite."""

import math
from collections.abc import Iterable

from nas_bench.report.statistics import Interval


def interval(ends: Interval | None) -> list[float | None] | None:
    """Both ends of an interval."""
    return None if ends is None else [number(ends.low), number(ends.high)]


def number(value: float | None) -> float | None:
    """Five significant digits; nothing for what is not finite, which JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() else rounded


def numbers(values: Iterable[float]) -> list[float | None]:
    """`number` of each."""
    return [number(value) for value in values]
