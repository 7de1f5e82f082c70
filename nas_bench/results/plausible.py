"""Numbers that a trial can have measured: what is far beyond them is damage, not a result."""

import math
from collections.abc import Iterable

from pydantic import ValidationError

from nas_bench.trials.messages import GrowthRecord, Record

COUNT = 10**15
"""No trial has more steps, samples, parameters or neurons."""
COST = 1e30
"""No trial costs more FLOPs or seconds."""
LOSS = 1e39
"""Beyond float32."""


def refuse_implausible(record: Record | GrowthRecord) -> None:
    """Refuse numbers that would make tables overflow.

    Raises:
        ValueError: naming the field.
    """
    for name, value in vars(record).items():
        _check(name, value)


def sentence(error: Exception) -> str:
    """What is wrong with a file's content, in one line."""
    if isinstance(error, ValidationError):
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, detail["loc"]))[:80]
        return _one_line(f"{place}: {detail['msg']}" if place else detail["msg"])
    return "it is nested too deep" if isinstance(error, RecursionError) else _one_line(str(error))


def _check(name: str, value: object) -> None:
    if isinstance(value, bool | str | None):
        return
    if isinstance(value, int):
        fits = 0 <= value <= COUNT
    elif isinstance(value, float):
        fits = _fits(name, value)
    else:
        _check_all(name, value)
        return
    if not fits:
        raise ValueError(f"{name} is {str(value)[:30]}, which no trial measures")


def _check_all(name: str, values: object) -> None:
    """Parts of a cost, clocks, widths, gains."""
    if isinstance(values, dict):
        parts: Iterable[object] = values.values()
    elif isinstance(values, tuple):
        parts = values
    else:
        parts = vars(values).values()
    for part in parts:
        _check(name, part)


def _fits(name: str, value: float) -> bool:
    """Losses, gains and what a line search finds may be anything that a float32 can be."""
    if name.endswith("accuracy"):
        return 0 <= value <= 1
    if name in ("epoch", "flops", "seconds") or name.endswith("_flops"):
        return 0 <= value <= COST
    return not math.isfinite(value) or abs(value) <= LOSS


def _one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:200]
