"""Scores of rows whose costs agree: a line for each row, the best first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from nas_bench.report.axes import score_axis
from nas_bench.report.pareto_points import Plot, Point, mark
from nas_bench.report.theme import DOTTED, Look, caption, legend_name, pale

_LINE, _LANE = 0.17, 0.1  # inches: from row to row, and from a row to its twin


def strip_names(view: Sequence[Point]) -> list[str]:
    """What the rows are called beside the axis."""
    return [caption(legend_name(point.row), 30) for point in view]


def strip_height(plot: Plot, view: Sequence[Point]) -> float:
    """Inches that the rows need."""
    return max(0.8, _pitch(plot) * (len(view) + 0.6))


def draw_strip(axes: Axes, plot: Plot, looked: Mapping[str, Look], view: Sequence[Point]) -> None:
    """Seeds faint, means with intervals; twins below what they are twins of, dotted."""
    sign = 1 if plot.comparison.metric == "loss" else -1
    ordered = sorted(view, key=lambda point: (sign * point.score, point.row.name))
    score_axis(axes, plot.comparison.metric, plot.scores(view, view), which="x")
    axes.set(ylim=(len(ordered) - 0.4, -0.6))
    axes.set_yticks(range(len(ordered)), strip_names(ordered))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place, point in enumerate(ordered):
        _draw(axes, plot, point, looked[point.row.name], place)


def _pitch(plot: Plot) -> float:
    lanes = len({match for _, match in plot.twins})
    return _LINE + _LANE * lanes


def _draw(axes: Axes, plot: Plot, point: Point, look: Look, place: int) -> None:
    scores = [plot.comparison.score(record) for record in point.row.results]
    seeds = {**mark(look, 3.0), "markeredgewidth": 0, "alpha": 0.3}
    axes.plot(scores, [place] * len(scores), **seeds)
    twins = [twin for (name, _), twin in plot.twins.items() if name == point.row.name]
    for lane, twin in enumerate(twins, start=1):
        height = place + lane * _LANE / _pitch(plot)
        faint = mark(replace(look, colour=pale(look.colour)), 4.0)
        faint["markeredgecolor"] = look.colour
        dots = {"linestyle": DOTTED, "color": look.colour, "linewidth": 0.9}
        axes.plot([twin.low, twin.high], [height] * 2, zorder=2, **dots)
        axes.plot(twin.score, height, zorder=2.5, **faint)
    axes.plot([point.low, point.high], [place] * 2, color=look.colour, linewidth=1.0, zorder=3)
    axes.plot(point.score, place, zorder=4, **mark(look))
