"""Numbers that a trial can have measured: what is far beyond them is damage, not a result."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from nas_bench.trials.messages import GrowthRecord, Record

T = TypeVar("T", bound=Record | GrowthRecord)

COUNT = 10**15
"""No trial has more steps, samples, parameters or neurons."""
COST = 1e30
"""No trial costs more FLOPs or seconds."""
LOSS = 1e39
"""Beyond float32."""
_ANY = 1e100
"""What no number of a trial is beyond, whatever it counts."""


def refuse_implausible(record: Record | GrowthRecord) -> None:
    """Refuse numbers that would make tables overflow.

    Raises:
        ValueError: naming the field.
    """
    for name, value in vars(record).items():
        _check(name, value)


def refuse_implausible_parts(whole: str, parts: Mapping[str, Any]) -> None:
    """The same for sizes or costs that are kept by name.

    Raises:
        ValueError: naming the part.
    """
    for name, value in parts.items():
        numbers = value.values() if isinstance(value, dict) else value
        for number in numbers if isinstance(value, dict | list) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"its {whole}.{name} is no number")
            _check(name, number)


def refuse_odd_numbers(value: Any) -> None:
    """Refuse numbers that JSON can spell and nothing can hold, wherever they are.

    Raises:
        ValueError: if there is one.
    """
    if not _is_usual(value):
        raise ValueError("it holds a number that is too large")


def _is_usual(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_usual, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) < _ANY


def parser(kind: type[T]) -> Callable[[bytes], T]:
    """What reads a value from JSON, and raises a ValueError where it is none or implausible.

    Usual numbers are checked in the same pass as their types, which costs nothing; the others
    (a loss may be NaN) by `refuse_implausible`, which says what is wrong.
    """
    anything = TypeAdapter(kind)
    usual = SchemaValidator(_bounded(anything.core_schema))

    def parse(line: bytes) -> T:
        try:
            return usual.validate_json(line)
        except ValidationError:
            value = anything.validate_json(line)
            refuse_implausible(value)
            return value

    return parse


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


def _bounded(schema: Any, name: str = "") -> Any:
    """A schema of pydantic's with the limits of `_check` for finite numbers.

    Args:
        schema: or a part of it.
        name: of the outermost field that the part belongs to.
    """
    if isinstance(schema, list):
        return [_bounded(part, name) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "int":
        return {**schema, "ge": 0, "le": COUNT}
    if schema.get("type") == "float":
        low, high = _limits(name)
        return {**schema, "ge": low, "le": high}
    if schema.get("type") == "dataclass-field":
        name = name or schema["name"]
    return {key: _bounded(part, name) for key, part in schema.items()}


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
    low, high = _limits(name)
    return low <= value <= high or (high == LOSS and not math.isfinite(value))


def _limits(name: str) -> tuple[float, float]:
    if name.endswith("accuracy"):
        return 0, 1
    if name in ("epoch", "flops", "seconds") or name.endswith("_flops"):
        return 0, COST
    return -LOSS, LOSS


def _one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:200]
