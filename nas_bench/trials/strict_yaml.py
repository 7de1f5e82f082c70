"""YAML without surprises: what does not read alike to everybody is text, or refused.

Only `true` and `false` are yes and no, and numbers are decimal: `no`, `010`, `1_000`, `1:30` and
dates are text. Tags, keys given twice, and what is too large or nested too deep are refused.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.events import Event
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import ParserError
from yaml.resolver import BaseResolver

from nas_bench.specs import InputError
from nas_bench.text import one_line, shortened

SIZE, DEPTH, VALUES = 200_000, 20, 50_000
"""Limits: characters of a text, levels, and values with aliases written out."""
_TAG = "tag:yaml.org,2002:"
_WHOLE = r"[-+]?(0|[1-9]\d*)"
_READ = {
    "null": (r"~|null|", lambda text: None, ["~", "n", ""]),
    "bool": (r"true|false", lambda text: text == "true", list("tf")),
    "int": (_WHOLE, int, list("-+0123456789")),
    "float": (rf"({_WHOLE}(\.\d*)?|[-+]?\.\d+)([eE][-+]?\d+)?", float, list("-+.0123456789")),
}
"""Type of a plain scalar: its form, what becomes of it, and the first letters it can have."""
_QUOTE = (
    "put quotes around text with brackets, braces, colons or commas, as in 'tiny[update=false]'"
)


class _Composer(Composer, BaseResolver):
    """Nodes from events that were read before."""

    def __init__(self, events: list[Event]) -> None:
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.events = events[::-1]

    def check_event(self, *kinds: type[Event]) -> bool:
        return isinstance(self.events[-1], kinds)

    def peek_event(self) -> Event:
        return self.events[-1]

    def get_event(self) -> Event:
        return self.events.pop()


for _name, (_form, _, _first) in _READ.items():
    _Composer.add_implicit_resolver(_TAG + _name, re.compile(rf"({_form})\Z"), _first)


def read(text: str, source: str) -> Any:
    """The value that YAML text holds; None if it holds none.

    Args:
        text: of one document.
        source: what errors call it.

    Raises:
        InputError: if it is not YAML, or not of the kind that is read here.
    """
    if len(text) > SIZE:
        raise InputError(
            f"{source} has {len(text)} characters, more than the {SIZE} that are read: is it the "
            "right file?"
        )
    try:
        node = _Composer([*_events(text, source)]).get_single_node()
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not valid YAML{_problem(error)}") from None
    return None if node is None else _Values(source).of(node)


def _events(text: str, source: str) -> Iterator[Event]:
    """What the text says, read without recursion; too deep nesting and tags are refused."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise InputError(f"{source}, line {line}: nested deeper than {DEPTH} levels")
        if tag := getattr(event, "tag", None):
            raise InputError(f"{source}, line {line}: {tag} is a tag, which are not read here")
        yield event


def _problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f": {str(error).partition(chr(10))[0]}"
    quote = isinstance(error, ParserError) or "mapping values" in str(error.problem)
    hint = f"; {_QUOTE}" if quote else ""
    return f" in line {error.problem_mark.line + 1}: {error.problem}{hint}"


class _Values:
    """Values of nodes, of which an alias is one again."""

    def __init__(self, source: str) -> None:
        self.source, self.left = source, VALUES

    def of(self, node: Node, depth: int = 0) -> Any:
        """The value of a node, at this depth."""
        self.left -= 1
        if depth > DEPTH or self.left < 0:
            self._refuse(node, f"aliases that contain themselves, or more than {VALUES} values")
        if isinstance(node, SequenceNode):
            return [self.of(element, depth + 1) for element in node.value]
        if isinstance(node, MappingNode):
            return self._mapping(node, depth)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or self._type(key) != "str":
                said = key.value if isinstance(key, ScalarNode) else "a list or group"
                self._refuse(key, f"{shortened(said, 80)} is no name of a setting; {_QUOTE}")
            if key.value in found:
                self._refuse(
                    key, f"{shortened(key.value, 80)} is given twice: leave one of them out"
                )
            if node.flow_style and value.start_mark.index == value.end_mark.index:
                self._refuse(
                    key,
                    f"{shortened(key.value, 80)} in braces has no value: decimals take a point; "
                    f"{_QUOTE}",
                )
            found[key.value] = self.of(value, depth + 1)
        return found

    def _scalar(self, node: Node) -> Any:
        kind, text = self._type(node), node.value
        if kind == "str":
            return text
        if kind == "int" and len(text) > 40:
            self._refuse(node, f"a number of {len(text)} digits")
        return _READ[kind][1](text)

    def _type(self, node: Node) -> str:
        return node.tag.removeprefix(_TAG)

    def _refuse(self, node: Node, why: str) -> None:
        raise InputError(f"{self.source}, line {node.start_mark.line + 1}: {one_line(why)}")
