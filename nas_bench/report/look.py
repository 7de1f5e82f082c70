"""How figures look: a colour and marker for each method, axes, fonts."""

import math
from collections.abc import Iterable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from matplotlib import font_manager, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from nas_bench.report.comparison import Row
from nas_bench.text import human, shortened

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
}
_OTHER_COLOURS = ("#56B4E9", "#882255", "#999933", "#332288")
_MARKERS = ("o", "s", "^", "D", "v", "p", "<", ">", "*", "P", "X", "d", "h")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_MANTISSAS = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
)
_TICKS = (90, 99, 50, 95, 98, 80, 97, 0, 70, 20, 96, 99.5, 60, 85, 30, 99.9, 40, 92, 10, 94, 100)


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

    No marker serves twice while there are unused ones. The methods named here look the same in
    every figure; variants (options, settings) and other methods take what is left, twins last.
    """
    found: dict[str, Look] = {}
    for name in sorted(set(names), key=lambda name: (*_place(name), name)):
        family = [look for other, look in found.items() if _base(other) == _base(name)]
        found[name] = _look(name, family, list(found.values()))
    return found


def _look(name: str, family: Sequence[Look], others: Sequence[Look]) -> Look:
    base = _base(name)
    code = crc32(base.encode(errors="replace"))
    hashed = _OTHER_COLOURS[code % len(_OTHER_COLOURS)], _MARKERS[code % len(_MARKERS)]
    colour, marker = _METHODS.get(base, hashed)
    if family:
        colour = family[0].colour
    elif base not in _METHODS:
        colour = _unused(_OTHER_COLOURS, colour, {look.colour for look in others})
    used = {look.marker for look in others}
    if len(used) == len(_MARKERS):
        used = {look.marker for look in others if look.colour == colour}
    dash = _DASHES[0 if name == base else 1 + len(family) % 3]
    return Look(colour, _unused(_MARKERS, marker, used), dash)


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
    """Sorts methods before variants before twins, and those named here before others."""
    base = _base(name)
    return " twin (" in name, name != base, base not in _METHODS


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
    return caption(row.name, 44) + ("" if row.complete else f" ({row.seeds} seeds)")


def spread(mean: Any, sd: Any, metric: str) -> tuple[Any, Any]:
    """The ends of mean ± sd, as far as it can be: accuracies in [0, 100] %, others from 0."""
    low = np.maximum(mean - sd, np.minimum(mean, 0.0))
    return low, np.minimum(mean + sd, 100.0) if metric == "accuracy" else mean + sd


def cost_axis(axes: Axes, label: str, values: Sequence[float]) -> None:
    """A logarithmic x axis with k, M, G, around these values."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.1 * (high - low), 0.04)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - margin), 10 ** (high + margin))
    _log_ticks(axes.xaxis, low - margin, high + margin)
    axes.set_xlabel(label)


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    """Few round numbers between two powers of ten, at least three where there are."""
    ticks: list[float] = []
    for mantissas in _MANTISSAS:
        powers = range(math.floor(low), math.ceil(high) + 1)
        found = [m * 10.0**power for power in powers for m in mantissas]
        ticks = [tick for tick in found if low <= math.log10(tick) <= high]
        if len(ticks) >= 3:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def score_axis(axes: Axes, metric: str, values: Sequence[float]) -> None:
    """A y axis for test scores; logarithmic in the error where that spans several sizes."""
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or 0.01 * abs(high) or 1.0
    axes.set_ylabel("test loss" if metric == "loss" else "test accuracy (%)")
    if metric == "loss" and low > 0 and high / low > 10:
        _loss_scale(axes, math.log10(low), math.log10(high))
    elif metric == "accuracy" and (100.3 - low) / (100.3 - high) > 4:
        _error_scale(axes, low, high)
    else:
        axes.set_ylim(low - margin, high + margin)


def _loss_scale(axes: Axes, low: float, high: float) -> None:
    margin = 0.06 * (high - low)
    axes.set_yscale("log")
    axes.set_ylim(10 ** (low - margin), 10 ** (high + margin))
    _log_ticks(axes.yaxis, low - margin, high + margin)


def _tick(value: float) -> str:
    if value < 1:
        return f"{value:g}"
    number, _, unit = human(value).partition(" ")
    return f"{float(number):g} {unit}".strip()


def _error_scale(axes: Axes, low: float, high: float) -> None:
    """Accuracies in percent, the distance to 100.3 % logarithmic: 90, 99 and 100 apart."""
    axes.set_ylabel("test accuracy (%), log error")
    axes.set_yscale("function", functions=(_depth, _accuracy))
    bottom, top = _depth(np.array([low, high]))
    margin = 0.06 * (top - bottom)
    axes.set_ylim(*_accuracy(np.array([bottom - margin, top + margin])))
    axes.yaxis.set_major_locator(FixedLocator(_error_ticks(bottom - margin, top + margin)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _error_ticks(bottom: float, top: float) -> list[float]:
    """Round accuracies that are far enough apart, the roundest first."""
    ticks: list[float] = []
    for tick in _TICKS:
        place = _depth(tick)
        apart = all(abs(place - _depth(other)) > 0.07 * (top - bottom) for other in ticks)
        if bottom <= place <= top and apart:
            ticks.append(tick)
    return sorted(ticks)


def _depth(accuracy: Any) -> Any:
    return -np.log10(np.maximum(100.3 - accuracy, 1e-3))


def _accuracy(depth: Any) -> Any:
    return 100.3 - 10 ** -np.asarray(depth, dtype=float)
