"""What people type into protocols and options: seeds, budgets, settings, YAML files."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nas_bench import options
from nas_bench.specs import DECIMAL, InputError, unknown
from nas_bench.trials.config import Budget

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_UNITS = {"epoch": "epochs", "step": "steps", "flop": "flops", "second": "seconds"}


def seeds(text: str) -> tuple[int, ...]:
    """The seeds that `0-9` or `0,2,5` or a mixture names.

    Raises:
        InputError: if the text is neither, or a range is empty.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first >= 10_000:
            raise InputError(f"seeds {text!r} are not of the form 0-9 or 0,2,5")
        numbers.extend(range(first, last + 1))
    return tuple(dict.fromkeys(numbers))


def budget(text: str) -> Budget:
    """The budget that `10 epochs`, `2000 steps`, `1e12 flops` or `30 seconds` names.

    Raises:
        InputError: if it is not of this form.
    """
    match = re.fullmatch(r"\s*(\S*\d\.?)\s*([A-Za-z]+)\s*", text)
    if not match or not _NUMBER.fullmatch(match[1]):
        raise InputError(
            f"budget {text!r} is not of the form 10 epochs, 2000 steps, 1e12 flops or 30 seconds"
        )
    unit = match[2].lower()
    unit = _UNITS.get(unit, unit)
    if unit not in _UNITS.values():
        raise InputError(unknown("unit of a budget", match[2], _UNITS.values()))
    try:
        return Budget.model_validate({unit: float(match[1])})
    except ValidationError as error:
        raise InputError(f"budget {text!r}: {explained(error)}") from None


def setting(text: str) -> dict[str, Any]:
    """The change that `a.b=JSON` spells; what is not JSON is a string."""
    key, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in key.split(".")):
        raise InputError(f"--set {text!r} is not of the form key=value or key.key=value")
    change: Any = value
    with contextlib.suppress(ValueError):
        change = float(value) if DECIMAL.fullmatch(value) else json.loads(value)
    for part in reversed(key.split(".")):
        change = {part: change}
    return change


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: if it cannot be read or is no mapping.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"cannot read {path}: it is no regular file")
    try:
        return mapping(path.read_text("utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None


def mapping(text: str, source: str) -> dict[str, Any]:
    """The mapping that YAML text holds; numbers such as `1e-3` are numbers.

    Raises:
        InputError: if it is not YAML or no mapping.
    """
    try:
        values = _numbers(yaml.safe_load(text))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise InputError(f"{source} is not valid YAML{line}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"{source} is not a mapping of settings, such as `seeds: 0-2`")
    return values


def explained(error: ValidationError) -> str:
    """The first finding of pydantic as one sentence."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])
    said = options.explained(found)
    given = f", not {found['input']!r}" if said.startswith("expected") else ""
    return f"{where}: {said}{given}" if where else said


def _numbers(value: Any) -> Any:
    """The value with strings such as `1e-3`, which YAML 1.1 takes for text, as numbers."""
    if isinstance(value, dict):
        return {key: _numbers(element) for key, element in value.items()}
    if isinstance(value, list):
        return [_numbers(element) for element in value]
    exponential = isinstance(value, str) and "e" in value.lower() and _NUMBER.fullmatch(value)
    return float(value) if exponential else value
