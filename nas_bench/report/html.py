"""The leaderboard as one page that needs nothing else: no server, no network."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

_PAGE = files("nas_bench.report") / "page"
_SCRIPTS = (
    "text", "element", "state", "table", "saving", "figure", "theme", "trials", "leaderboard",
    "forest", "overview", "across", "pareto", "anytime", "growth", "pairwise", "budget",
    "failures", "provenance", "main",
)  # fmt: skip
"""Files of the page's script, in the order in which they become one."""
_PACKED_FROM = 500_000
"""Characters of JSON from which the page holds it compressed, so that it can be sent by mail."""


def page(content: dict[str, Any]) -> bytes:
    """The HTML of a report.

    The same content gives the same bytes. Its security policy lets the browser run this page's
    own code and nothing else, and load nothing, whatever the names in the content are.

    Args:
        content: what `nas_bench.report.content.content` returns.

    Raises:
        ValueError: if the content has numbers that are not finite.
    """
    loader, code = _text("loader.js"), _script()
    kind, data = _embedded(content)
    html = _template().render(
        name=content["results"],
        style=Markup(_text("style.css")),
        loader=Markup(loader),
        code=Markup(_packed(code)),
        checksums=[_checksum(loader), _checksum(code)],
        kind=kind,
        content=Markup(data),
    )
    return html.encode(errors="replace")


def _embedded(content: dict[str, Any]) -> tuple[str, str]:
    """The media type and the text of the content, in which nothing ends the element around it.

    JSON in ASCII; by columns, compressed and in Base64 where it is long.
    """
    text = _json(content)
    if len(text) < _PACKED_FROM:
        return "application/json", text.replace("<", "\\u003c")
    columns = content | {"comparisons": _columns(content["comparisons"])}
    return "application/gzip", _packed(_json(columns))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _columns(value: Any) -> Any:
    """Records that have the same fields as one list a field, which becomes shorter compressed.

    The page undoes it (`records` of state.js).
    """
    if isinstance(value, dict):
        return {name: _columns(part) for name, part in value.items()}
    if not isinstance(value, list) or not value or not isinstance(value[0], dict | list):
        return value
    fields = [tuple(part) if isinstance(part, dict) else () for part in value]
    if len(value) < 2 or not fields[0] or len(set(fields)) > 1:
        return [_columns(part) for part in value]
    columns = [_columns([record[name] for record in value]) for name in fields[0]]
    return {"=": fields[0], "columns": columns}


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def _checksum(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(_text("page.html"))


@cache
def _script() -> str:
    """The libraries, each after its licence, and the page's own code in one scope."""
    own = "\n".join(_text(f"{name}.js") for name in _SCRIPTS)
    return "\n".join([*_libraries(), f'(async () => {{\n"use strict";\n{own}}})();\n'])


def _libraries() -> Iterator[str]:
    for library in json.loads(_text("vendor/libraries.json")):
        yield f"/*\n{_text('vendor/' + library['file'] + '.LICENSE')}*/"
        yield _text("vendor/" + library["file"])


def _text(name: str) -> str:
    return _PAGE.joinpath(name).read_text(encoding="utf-8")
