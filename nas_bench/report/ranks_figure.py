"""Critical differences of mean ranks over tasks.

References:
    Statistical comparisons of classifiers over multiple data sets. J. Demšar, 2006,
        https://jmlr.org/papers/v7/demsar06a.html
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_bench.report.comparison import kind_name
from nas_bench.report.figure_layout import TWO_COLUMNS
from nas_bench.report.theme import caption, looks

_ROW, _GROUP, _HEAD = 0.19, 0.09, 0.75  # inches: of a name, of a group's bar, above the axis
_INK = "#444444"


def ranks_figure(
    group: Mapping[str, Any], labels: Mapping[str, str] | None = None, titled: bool = True
) -> Figure:
    """Mean ranks on an axis, best on the left; bars join what cannot be told apart.

    Args:
        group: of a report's `across`, with a critical difference.
        labels: what rows are called, if not by their names.
        titled: whether it has a title.
    """
    ranks = [(rank["name"], rank["mean"]) for rank in group["ranks"]]
    found = group["critical_difference"]
    rows, bars = math.ceil(len(ranks) / 2), len(found["groups"])
    height = _HEAD + 0.3 + bars * _GROUP + (rows - 1) * _ROW
    figure = Figure(figsize=(TWO_COLUMNS, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, TWO_COLUMNS), ylim=(-height + _HEAD, _HEAD))
    axes.set_axis_off()
    scale = Scale(len(ranks))
    _ruler(axes, scale, found["distance"])
    for level, names in enumerate(found["groups"]):
        means = [mean for name, mean in ranks if name in names]
        ends = scale(min(means)) - 0.04, scale(max(means)) + 0.04
        axes.plot(ends, [-0.1 - level * _GROUP] * 2, color=_INK, linewidth=2.6)
    looked = looks(name for name, _ in ranks)
    for place, (name, mean) in enumerate(ranks):
        low = 0.15 + bars * _GROUP + min(place, len(ranks) - 1 - place) * _ROW
        shown = labels.get(name, name) if labels else name
        _name(axes, scale, shown, mean, low, place < rows, looked[name].colour)
    place = f"{group['protocol']} v{group['version']} · {kind_name(group['kind'])}"
    tasks = f"{len(group['tasks'])} tasks"
    title = caption(f"{place} · {group['budget_name']} · {tasks} · {_friedman(found)}", 115)
    axes.text(0.06, _HEAD - 0.06, title if titled else "", va="top", fontsize=8)
    return figure


class Scale:
    """Where a rank lies on the axis, in inches from the left."""

    def __init__(self, methods: int) -> None:
        self.methods = methods
        self.left, self.right = 2.3, TWO_COLUMNS - 2.3

    def __call__(self, rank: float) -> float:
        """The place of a rank, 1 on the left."""
        return self.left + (rank - 1) / (self.methods - 1) * (self.right - self.left)


def _friedman(found: Mapping[str, Any]) -> str:
    p = found["friedman_p"]
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"Friedman {shown}" + ("" if p < 0.05 else ", nothing can be told apart")


def _ruler(axes: Axes, scale: Scale, distance: float) -> None:
    axes.plot([scale.left, scale.right], [0, 0], color=_INK, linewidth=0.8)
    for rank in range(1, scale.methods + 1):
        axes.plot([scale(rank)] * 2, [0, 0.06], color=_INK, linewidth=0.8)
        axes.text(scale(rank), 0.09, str(rank), ha="center", va="bottom", fontsize=7.5)
    end = min(scale(1 + distance), scale.right)
    axes.plot([scale.left, end], [0.31, 0.31], color=_INK, linewidth=1.2, marker="|")
    label = f"critical difference {distance:.2f}"
    axes.text(end + 0.08, 0.31, label, ha="left", va="center", fontsize=7.5)


def _name(
    axes: Axes, scale: Scale, name: str, mean: float, low: float, is_left: bool, colour: str
) -> None:
    """A line from the axis down to the name, on the left for the better half."""
    side = scale.left - 0.1 if is_left else scale.right + 0.1
    ends: Sequence[float] = (scale(mean), scale(mean), side)
    axes.plot(ends, [0, -low, -low], color=colour, linewidth=1.0)
    shown = caption(name, 34)
    label = f"{shown}  {mean:.2f}" if is_left else f"{mean:.2f}  {shown}"
    edge = side - 0.05 if is_left else side + 0.05
    axes.text(edge, -low, label, ha="right" if is_left else "left", va="center", fontsize=7.5)
