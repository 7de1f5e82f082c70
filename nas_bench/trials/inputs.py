"""What people type into protocols and options: seeds, budgets, settings, YAML files."""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nas_bench import options
from nas_bench.specs import InputError, json_value, shown, unknown
from nas_bench.text import counted
from nas_bench.trials import strict_yaml
from nas_bench.trials.config import Budget

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_ALTERNATIVE = re.compile(r"constrained-.+|literal\[.+\]|\[key\]")
"""Parts of pydantic's places that are no names of settings."""
_UNITS = {"epoch": "epochs", "step": "steps", "flop": "flops", "second": "seconds"}
_TIMES = {"minute": 60, "hour": 3600, "day": 86400}
SEEDS = 10_000
"""How many there may be at most."""


def seeds(text: str) -> tuple[int, ...]:
    """The seeds that `0-9` or `0,2,5` or a mixture names.

    Raises:
        InputError: if the text is neither, or a range is empty.
    """
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip(), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputError(
                f"seeds {shown(text)} are not of the form 0-9 or 0,2,5, with at most nine digits"
            )
        numbers |= dict.fromkeys(range(first, min(last, first + SEEDS) + 1))
        if len(numbers) > SEEDS:
            raise InputError(f"seeds {shown(text)} are more than {SEEDS}: ask for fewer")
    return tuple(numbers)


def budget(text: str) -> Budget:
    """The budget that `10 epochs`, `2000 steps`, `1e12 flops` or `30 seconds` names.

    Raises:
        InputError: if it is not of this form.
    """
    match = re.fullmatch(r"\s*(\S*\d\.?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    if not match or not _NUMBER.fullmatch(match[1]):
        raise InputError(
            f"budget {shown(text)} is not of the form 10 epochs, 2000 steps, 1e12 flops or "
            "30 seconds"
        )
    unit = match[2].lower()
    unit = _UNITS.get(unit, unit)
    if seconds := _TIMES.get(unit.removesuffix("s")):
        raise InputError(
            f"budget {shown(text)}: times are given in seconds: "
            f"{counted(float(match[1]) * seconds, 'second')}"
        )
    if unit not in _UNITS.values():
        raise InputError(unknown("unit of a budget", match[2], _UNITS.values()))
    try:
        return Budget.model_validate({unit: float(match[1])})
    except ValidationError as error:
        raise InputError(f"budget {shown(text)}: {explained(error)}") from None


def setting(text: str) -> dict[str, Any]:
    """The change that `a.b=JSON` spells; what is not JSON is a string.

    Raises:
        InputError: if it has no such form.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in key.split(".")):
        raise InputError(f"--set {shown(text)} is not of the form key=value or key.key=value")
    change: Any = json_value(value)
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
        with path.open(encoding="utf-8") as file:
            text = file.read(strict_yaml.SIZE + 1)
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {path}: it is no UTF-8 text ({error.reason}): save it as UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    return mapping(text, str(path))


def mapping(text: str, source: str) -> dict[str, Any]:
    """The mapping that YAML text holds; an empty one where it holds nothing.

    Raises:
        InputError: if it is not YAML or no mapping.
    """
    values = strict_yaml.read(text, source)
    if not isinstance(values, dict | None):
        raise InputError(f"{source} is not a mapping of settings, such as `seeds: 0-2`")
    return values or {}


def explained(error: ValidationError) -> str:
    """The first finding of pydantic as one sentence."""
    found = error.errors()[0]
    parts = [str(part) for part in found["loc"]]
    where = ".".join(part for part in parts if not _ALTERNATIVE.fullmatch(part))
    said = options.explained(found)
    given = f", not {shown(found['input'])}" if said.startswith("expected") else ""
    hint = "; put it in quotes" if found["type"] == "string_type" and found["input"] else ""
    return f"{where}: {said}{given}{hint}" if where else said
