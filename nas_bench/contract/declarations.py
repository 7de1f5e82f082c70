"""What plugins of every kind declare of themselves."""

from dataclasses import fields
from typing import Any

from nas_bench.contract.finding import require
from nas_bench.specs import NAME


def require_words(plugin: Any) -> None:
    """Require a name that can be typed and a summary of one line."""
    require(bool(NAME.fullmatch(plugin.name)), f"its name {plugin.name!r} is not a word")
    one_line = bool(plugin.summary.strip()) and "\n" not in plugin.summary
    require(one_line, "its summary is not one line")


def require_frozen(plugin: Any, kind: str) -> None:
    """Require a frozen dataclass, of which the same options make an equal plugin."""
    cls = type(plugin)
    frozen = getattr(cls, "__dataclass_params__", None)
    require(frozen is not None and frozen.frozen, "decorate it with @dataclass(frozen=True)")
    same = plugin == cls(**options(plugin))
    require(same, f"the same options do not make an equal {kind}")


def options(plugin: Any) -> dict[str, Any]:
    """The options of a plugin, as they are."""
    return {field.name: getattr(plugin, field.name) for field in fields(plugin)}
