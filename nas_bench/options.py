"""Options of plugins: the fields of their dataclasses, checked and converted."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, get_type_hints

from nas_bench.specs import InputError, shown, unknown

WIDEST = 100_000
"""Units of a hidden layer, at most."""
_WHOLE, _NUMBER, _LIST = "a whole number", "a number", "a list, such as [1,2]"
_YES_NO, _GROUP = "true or false", "a group of settings, each of the form name: value"
_EXPECTED = {
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number less than {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "string_type": "text",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "too_short": "a list with at least {min_length}",
    "too_long": "a list with at most {max_length}",
    "string_too_long": "text of at most {max_length} letters",
    "dict_type": _GROUP,
    "model_type": _GROUP,
}
"""What pydantic expected, by the type of its error."""


def options_of(cls: type) -> dict[str, tuple[Any, Any]]:
    """Type and default of every option of a plugin class."""
    hints = _hints(cls)
    return {field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(cls)}


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def options_without_default(cls: type) -> list[str]:
    """The options that a user would be forced to give."""
    return [name for name, (_, value) in options_of(cls).items() if value is dataclasses.MISSING]


def changed_options(instance: Any) -> dict[str, Any]:
    """The options of a plugin without which it would be another: not those that follow of others.

    Widths follow of a task's network, say; those of the default options of all are the defaults.
    """
    cls = type(instance)
    defaults = {name: default for name, (_, default) in options_of(cls).items()}
    values = {name: getattr(instance, name) for name in defaults}
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    for name in [*changed]:
        rest = {other: value for other, value in changed.items() if other != name}
        if _makes(cls, rest, instance):
            changed = rest
    return changed


def _makes(cls: type, options: Mapping[str, Any], instance: Any) -> bool:
    """Whether a plugin with these options is the same."""
    try:
        return cls(**options) == instance
    except KeyboardInterrupt:
        raise
    except BaseException:  # plugins of others may do anything
        return False


def validated(values: dict[str, Any], cls: type, owner: str) -> dict[str, Any]:
    """Option values of a dataclass, converted to the types of its fields.

    Raises:
        InputError: if an option is unknown or a value does not fit its type.
    """
    options = options_of(cls)
    for name in values:
        if name not in options:
            raise InputError(f"{owner}: {unknown('option', name, options)}")
    return {
        name: _converted(value, options[name][0], f"{owner}: option {name}")
        for name, value in values.items()
    }


def explained(finding: Mapping[str, Any]) -> str:
    """A finding of pydantic in plain words."""
    if finding["type"] == "missing":
        return "it is missing"
    form = _EXPECTED.get(finding["type"])
    if form is None:
        return finding["msg"].removeprefix("Value error, ")
    return f"expected {form.format(**finding.get('ctx', {}))}"


def misread(given: Any, read: Any, name: str = "") -> tuple[str, Any, str] | None:
    """What pydantic took for something else: text for a number, a number for yes or no.

    Args:
        given: as it was typed.
        read: what became of it.
        name: of the value.

    Returns:
        The name of the first such value, the value and what is expected, or None.
    """
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        parts = [(given[key], read[key], f"{name}.{key}") for key in given if key in read]
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        parts = [(g, r, name) for g, r in zip(given, read, strict=False)]
    else:
        expected = _unread(given, read)
        return (name.lstrip("."), given, expected) if expected else None
    return next(filter(None, (misread(*part) for part in parts)), None)


def _unread(given: Any, read: Any) -> str:
    """What was expected in place of a single value; empty if it was read as it is."""
    if isinstance(read, bool):
        return "" if str(given).lower() == str(read).lower() else _YES_NO
    if isinstance(read, int | float) and isinstance(given, str | bool):
        return _WHOLE if isinstance(read, int) else _NUMBER
    return ""


def _converted(value: Any, hint: Any, what: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))
        read = adapter.validate_python(value)
    except ValidationError as error:
        reason = explained(error.errors()[0])
        raise InputError(f"{what} cannot be {shown(value)}: {reason}") from None
    if found := misread(value, read):
        _, given, expected = found
        raise InputError(f"{what} cannot be {shown(given)}: expected {expected}")
    return read


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
