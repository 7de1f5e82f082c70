"""How figures look: a colour and marker for each method, fonts."""

from collections.abc import Iterable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from matplotlib import font_manager, rc_context, rcParamsDefault
from matplotlib.colors import to_hex, to_rgb

from nas_bench.report.comparison import Row
from nas_bench.text import shortened

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 5,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "nas-bench",
    "text.parse_math": False,
}

_METHODS = {
    "tiny": ("#0072B2", "o"),
    "gradmax": ("#D55E00", "s"),
    "north_preactivation": ("#009E73", "^"),
    "random_growth": ("#E69F00", "D"),
    "fixed": ("#4D4D4D", "v"),
    "net2net": ("#CC79A7", "p"),
    "update_only": ("#56B4E9", "P"),
    "variance_transfer": ("#882255", "h"),
    "north_select": ("#999933", "<"),
    "north_weight": ("#332288", ">"),
    "nest": ("#AA4499", "d"),
}
_VARIANTS = {
    "tiny[update=false]": "X",
    "tiny[significance=false]": "P",
    "tiny[projection=false]": "d",
    "tiny[exact=true]": "h",
    "tiny[fisher=true]": "p",
    "random_growth[update=true]": "<",
    "random_growth[zero_fan_out=true]": ">",
    "fixed[size=seed]": "*",
    "net2net[shares=equal]": "s",
    "net2net[shares=lemon]": "D",
}
"""Markers of documented variants: the same in every figure."""
_OTHER_COLOURS = ("#56B4E9", "#882255", "#999933", "#332288")
_MARKERS = ("o", "s", "^", "D", "v", "p", "<", ">", "*", "P", "X", "d", "h")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


DOTTED = (0, (1, 1.4))
"""The lines of twins."""


def style() -> AbstractContextManager[None]:
    """Matplotlib's settings for every figure; whatever the user has set does not reach them."""
    settings: Any = {**rcParamsDefault, **_STYLE}
    del settings["backend"]
    return rc_context(settings)


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one row."""

    colour: str
    marker: str
    dash: Any

    @property
    def size(self) -> float:
        """What makes the marker look as large as a disc."""
        return 1.5 if self.marker == "*" else 1.0


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each row's name: the colour follows the method, marker and line the variant.

    The methods and variants named here look the same in every figure. Others have the look that
    their name has by itself, but for a marker that would serve twice: they take the next one
    that is free, twins last.
    """
    found: dict[str, Look] = {}
    for name in sorted(set(names), key=lambda name: (*_place(name), name)):
        family = [look for other, look in found.items() if _base(other) == _base(name)]
        found[name] = _look(name, family, list(found.values()))
    return found


def _look(name: str, family: Sequence[Look], others: Sequence[Look]) -> Look:
    base = _base(name)
    code = _code(base)
    hashed = _OTHER_COLOURS[code % len(_OTHER_COLOURS)], _MARKERS[_code(name) % len(_MARKERS)]
    colour, marker = _METHODS.get(base, hashed)
    if name != base:
        marker = _VARIANTS.get(name, hashed[1])
    if family:
        colour = family[0].colour
    elif base not in _METHODS:
        colour = _unused(_OTHER_COLOURS, colour, {look.colour for look in others})
    if name not in _METHODS and name not in _VARIANTS:
        used = {look.marker for look in others}
        if len(used) == len(_MARKERS):
            used = {look.marker for look in others if look.colour == colour}
        marker = _unused(_MARKERS, marker, used)
    dash = _DASHES[0 if name == base else 1 + len(family) % 3]
    return Look(colour, marker, dash)


def _code(name: str) -> int:
    return crc32(name.encode(errors="replace"))


def pale(colour: str) -> str:
    """The same colour, as twins have it."""
    red, green, blue = (0.45 * part + 0.55 for part in to_rgb(colour))
    return to_hex((red, green, blue))


def from_scratch(match: str) -> str:
    """What legends call twins."""
    return f"the same from scratch, equal {'FLOPs' if match == 'flops' else match}"


def neighbours(rows: Iterable[Row]) -> list[Row]:
    """The rows in the order of a legend: variants and twins next to their method."""
    rows = list(rows)
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        first.setdefault(_base(row.name), index)
    return sorted(rows, key=lambda r: (first[_base(r.name)], r.name != _base(r.name), r.name))


def _base(name: str) -> str:
    """The method of a row's name, without options, twin and settings."""
    return name.partition("[")[0].partition(" ")[0]


def _place(name: str) -> tuple[bool, bool, bool]:
    """Sorts twins last, and methods before variants; those named here before others."""
    base, is_known = _base(name), name in _METHODS or name in _VARIANTS
    return " twin (" in name, not is_known, name != base


def _unused(options: Sequence[str], preferred: str, used: Set[str]) -> str:
    """The first option from the preferred one on that is not used, else the preferred one."""
    start = options.index(preferred)
    turned = (*options[start:], *options[:start])
    return next((option for option in turned if option not in used), preferred)


def caption(text: str, length: int = 40) -> str:
    """The text as a figure can show it: short, with characters that the font has."""
    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    shown = "".join(c if ord(c) in known else "?" for c in shortened(text, length))
    return f" {shown}" if shown.startswith("_") else shown


def legend_name(row: Row) -> str:
    """What a legend calls a row: its name in one line, with its seeds if some lack."""
    return caption(row.label or row.name, 44) + ("" if row.complete else f" ({row.seeds} seeds)")


def spread(mean: Any, sd: Any, metric: str) -> tuple[Any, Any]:
    """The ends of mean ± sd, as far as it can be: accuracies in [0, 100] %, others from 0."""
    low = np.maximum(mean - sd, np.minimum(mean, 0.0))
    return low, np.minimum(mean + sd, 100.0) if metric == "accuracy" else mean + sd
