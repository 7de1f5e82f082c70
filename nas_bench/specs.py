"""Specs: how people name things with options, such as `tiny[k=5,projection=false]`."""

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

from nas_bench.text import shortened, text_of

_DECIMAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_OPENING, _CLOSING = "[{(", "]})"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")
_RESERVED = {"true", "false", "null", "NaN", "Infinity"}
_DEPTH = 20
"""Brackets within brackets that are read."""


class InputError(Exception):
    """Something a person typed that cannot be used; the message is one clear sentence."""


class CannotRunError(Exception):
    """Why something cannot be done here, as one clear sentence; not the user's input."""


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
        raise InputError(
            f"{shown(text)} has an empty element: write names separated by single commas"
        )
    return elements


def parse(text: str) -> Spec:
    """The spec that `text` spells.

    Raises:
        InputError: if it is not of the form `name` or `name[option=value,…]`.
    """
    name, bracket, rest = text.strip().partition("[")
    name = name.strip()
    if not NAME.fullmatch(name) or (bracket and not rest.endswith("]")):
        raise InputError(f"{shown(text)} is not of the form name or name[option=value,…]")
    pairs = [_pair(part, text) for part in _split(rest[:-1], text)] if rest[:-1].strip() else []
    options = dict(pairs)
    if len(options) < len(pairs):
        raise InputError(f"{shown(text)} sets an option twice: give each option once")
    return Spec(name, options)


def value_of(text: str) -> Any:
    """A JSON value, a list of bare words, or the text itself where it is neither."""
    text = text.strip()
    found = json_value(text)
    if found is text and text.startswith("[") and text.endswith("]"):
        return [value_of(part) for part in _split(text[1:-1], text)]
    return found


def json_value(text: str) -> Any:
    """A JSON value, a number as Python writes it (`.1`, `1.`), or the text itself.

    Raises:
        InputError: if it is nested too deep, or gives a name twice.
    """
    depths = accumulate((c in _OPENING) - (c in _CLOSING) for c in text)
    if max(depths, default=0) > _DEPTH:
        raise InputError(f"{shown(text)} is nested deeper than {_DEPTH} brackets")
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except ValueError:
        return float(text) if _DECIMAL.fullmatch(text) else text


def shown(value: Any) -> str:
    """A value in a sentence, as Python writes it, shortened where it is long."""
    return shortened(repr(value), 80)


def spelled(value: Any) -> str:
    """A value as `value_of` reads it."""
    if isinstance(value, str):
        plain = _WORD.fullmatch(value) and value not in _RESERVED
        return value if plain else json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(spelled(element) for element in value)}]"
    return json.dumps(value, separators=(",", ":"))


def short_names(texts: Iterable[str]) -> dict[str, str]:
    """What people are shown for each spec: its paths without folders that tell nothing apart."""
    found = {text: text for text in texts}
    for kept in range(40, 0, -1):
        shorter = {text: _with_paths_of(text, kept) for text in found}
        counts = Counter(shorter.values())
        found |= {text: short for text, short in shorter.items() if counts[short] == 1}
    return found


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence that says a name is unknown, with the nearest ones or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    if near:
        return f"unknown {what} {shown(name)}: did you mean {' or '.join(near)}?"
    return f"unknown {what} {shown(name)}: choose from {', '.join(names) or 'none'}"


def absolute(path: Path) -> Path:
    """The path from the root, with `~` and `~name` as the home folders that they mean.

    Raises:
        InputError: if there is no such home, or no file can have this name.
    """
    if "\0" in str(path):
        raise InputError(f"{shown(str(path))} is no path: take the zero character out")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise InputError(
            f"{path} means the home folder of a user, and there is none: write the path in full"
        ) from None


def real(path: Path) -> Path:
    """The absolute path without links; one that leads nowhere ends where it stops.

    Raises:
        InputError: as `absolute`.
    """
    return Path(os.path.realpath(absolute(path)))  # `resolve` raises for links in a circle


def said(error: BaseException) -> str:
    """An exception in one line."""
    if type(error) is SystemExit:  # not by __class__, which may raise
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    line, name = text_of(error).splitlines()[0], type(error).__name__
    return name if line == name else f"{name}: {line}"


def _with_paths_of(text: str, parts: int) -> str:
    """A spec whose paths have their last parts alone."""
    if "/" not in text:
        return text
    try:
        spec = parse(text)
    except InputError:  # what a damaged trial says of itself
        return text
    options = {
        name: str(PurePath(*PurePath(value).parts[-parts:])) if _is_path(value) else value
        for name, value in spec.options.items()
    }
    return str(Spec(spec.name, options))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice} is given twice: leave one of them out")
    return found


def _pair(part: str, whole: str) -> tuple[str, Any]:
    key, equals, value = part.partition("=")
    if not equals or not key.strip().isidentifier() or not value.strip():
        raise InputError(
            f"{shown(part.strip())} in {shown(whole)} is not of the form option=value"
        )
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
        raise InputError(f"{shown(whole)} has brackets or quotes that do not match")
    yield text[start:]
