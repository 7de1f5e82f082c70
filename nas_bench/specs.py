"""Specs: how people name things with options, such as `tiny[k=5,projection=false]`."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

DECIMAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_OPENING, _CLOSING = "[{(", "]})"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")
_RESERVED = {"true", "false", "null", "NaN", "Infinity"}


class InputError(Exception):
    """Something a person typed that cannot be used; the message is one clear sentence."""


@dataclass(frozen=True)
class Spec:
    """A name with options, as typed; nothing is checked against what exists."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        pairs = (f"{key}={spelled(value)}" for key, value in sorted(self.options.items()))
        return f"{self.name}[{','.join(pairs)}]"


def specs(text: str) -> list[str]:
    """The elements of a list such as `tiny[k=5,projection=false],gradmax`.

    Raises:
        InputError: if brackets do not match or an element is empty.
    """
    elements = [element.strip() for element in _split(text, text)]
    if not all(elements):
        raise InputError(f"{text!r} has an empty element: write names separated by single commas")
    return elements


def parse(text: str) -> Spec:
    """The spec that `text` spells.

    Raises:
        InputError: if it is not of the form `name` or `name[option=value,…]`.
    """
    name, bracket, rest = text.strip().partition("[")
    name = name.strip()
    if not NAME.fullmatch(name) or (bracket and not rest.endswith("]")):
        raise InputError(f"{text!r} is not of the form name or name[option=value,…]")
    pairs = [_pair(part, text) for part in _split(rest[:-1], text)] if rest[:-1].strip() else []
    options = dict(pairs)
    if len(options) < len(pairs):
        raise InputError(f"{text!r} sets an option twice: give each option once")
    return Spec(name, options)


def value_of(text: str) -> Any:
    """A JSON value, a list of bare words, or the text itself where it is neither."""
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        pass
    if DECIMAL.fullmatch(text):  # as Python writes it and JSON does not: .1, 1.
        return float(text)
    if text.startswith("[") and text.endswith("]"):
        return [value_of(part) for part in _split(text[1:-1], text)]
    return text


def spelled(value: Any) -> str:
    """A value as `value_of` reads it."""
    if isinstance(value, str):
        plain = _WORD.fullmatch(value) and value not in _RESERVED
        return value if plain else json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(spelled(element) for element in value)}]"
    return json.dumps(value, separators=(",", ":"))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence that says a name is unknown, with the nearest ones or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    if near:
        return f"unknown {what} {name!r}: did you mean {' or '.join(near)}?"
    return f"unknown {what} {name!r}: choose from {', '.join(names) or 'none'}"


def said(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _pair(part: str, whole: str) -> tuple[str, Any]:
    key, equals, value = part.partition("=")
    if not equals or not key.strip().isidentifier() or not value.strip():
        raise InputError(f"{part.strip()!r} in {whole!r} is not of the form option=value")
    return key.strip(), value_of(value)


def _split(text: str, whole: str) -> Iterator[str]:
    """Parts between commas that stand outside brackets and quotes."""
    start, depth, quoted, escaped = 0, 0, False, False
    for index, letter in enumerate(text):
        escaped = quoted and not escaped and text[index - 1 : index] == "\\"
        if letter == '"' and not escaped:
            quoted = not quoted
        elif quoted:
            continue
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:index]
            start = index + 1
        if depth < 0:
            break
    if depth != 0 or quoted:
        raise InputError(f"{whole!r} has brackets or quotes that do not match")
    yield text[start:]
