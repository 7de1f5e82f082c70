"""Test score against cost, with the methods that no other method dominates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.comparison import Comparison, Estimate, Measure, Row
from nas_bench.report.look import (
    Look,
    caption,
    cost_axis,
    legend_name,
    looks,
    neighbours,
    score_axis,
    size,
    spread,
)

_EQUAL = 1.005  # costs whose ratio is below this are called equal
_NEAR = 3.0  # costs and errors within this factor of the best method's are shown in detail
_FRONT: dict[str, Any] = {"color": "#999999", "linestyle": (0, (4, 2)), "linewidth": 1.1}


@dataclass(frozen=True)
class Point:
    """One method: its row, its cost and its score."""

    row: Row
    cost: Estimate
    score: Estimate


@dataclass(frozen=True)
class Plot:
    """What a figure shows: the methods of a comparison against one cost."""

    comparison: Comparison
    measure: Measure
    label: str
    points: tuple[Point, ...]

    def bar(self, point: Point) -> tuple[float, float]:
        """The ends of a point's error bar."""
        return spread(point.score.mean, point.score.sd, self.comparison.metric)

    def costs(self, view: Sequence[Point], near: Sequence[Point]) -> list[float]:
        """Costs of the view's seeds and ends of the near points' bars."""
        ends = [end for p in near for end in spread(p.cost.mean, p.cost.sd, "cost") if end > 0]
        return [self.measure(record) for p in view for record in p.row.results] + ends

    def scores(self, view: Sequence[Point], near: Sequence[Point]) -> list[float]:
        """Scores of the view's seeds and ends of the near points' bars."""
        logarithmic = self.comparison.metric == "loss"
        ends = [end for p in near for end in self.bar(p) if end > 0 or not logarithmic]
        return [self.comparison.score(record) for p in view for record in p.row.results] + ends


def pareto_figure(comparison: Comparison, measure: Measure, label: str) -> Figure | None:
    """Score against a cost: seeds faint, mean ± sd, the front; None without results.

    A second panel shows the surroundings of the best method where others are far from it.
    """
    points = _points(comparison, measure)
    if not points:
        return None
    plot = Plot(comparison, measure, label, points)
    names = [legend_name(point.row) for point in points]
    near = _near(points, comparison.metric)
    has_detail = 1 < len(near) < len(points)
    figure = Figure(figsize=size(1 + has_detail, names), layout="constrained")
    overview, *detail = figure.subplots(1, 1 + has_detail, squeeze=False)[0]
    markers = _panel(overview, plot, points, near, dodges=not has_detail)
    for axes in detail:
        _panel(axes, plot, near, near, dodges=True)
        _frame_detail(overview, axes)
    figure.suptitle(caption(comparison.title, 80), x=0.01, ha="left", fontsize=9)
    figure.legend(
        [*markers, Line2D([], [], **_FRONT)],
        [*names, "not dominated"],
        loc="outside right upper",
        title="mean ± sd, seeds faint;\nequal costs side by side",
        title_fontsize=8,
        alignment="left",
    )
    return figure


def front(points: Sequence[Point], metric: str) -> list[Point]:
    """The points that no other is at least as cheap as and better than, cheapest first."""
    sign = 1 if metric == "loss" else -1
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost.mean, sign * point.score.mean)):
        if not kept or sign * point.score.mean < sign * kept[-1].score.mean:
            kept.append(point)
    return kept


def _points(comparison: Comparison, measure: Measure) -> tuple[Point, ...]:
    scored = (
        Point(row, row.estimate(measure), row.estimate(comparison.score))
        for row in neighbours(comparison.rows)
    )
    return tuple(p for p in scored if math.isfinite(p.score.mean) and p.cost.mean > 0)


def _near(points: Sequence[Point], metric: str) -> tuple[Point, ...]:
    """The best point and those whose cost and error, with its sd, are similar to its own."""
    errors = [p.score.mean if metric == "loss" else 100.3 - p.score.mean for p in points]
    least = min(errors)
    best = points[errors.index(least)]

    def is_near(point: Point, error: float) -> bool:
        ratio = max(point.cost.mean, best.cost.mean) / min(point.cost.mean, best.cost.mean)
        return ratio < _NEAR and error + _finite(point.score.sd) <= _NEAR * least

    paired = zip(points, errors, strict=True)
    return tuple(point for point, error in paired if point is best or is_near(point, error))


def _panel(
    axes: Axes, plot: Plot, view: Sequence[Point], near: Sequence[Point], dodges: bool
) -> list[Line2D]:
    """Draws the points inside axes that fit all of the view; their markers, for the legend.

    The axes show every seed of the view and the error bars of the near points. A bar that is
    much longer, such as that of a method with a dead seed, ends at the edge.
    """
    cost_axis(axes, plot.label, plot.costs(view, near))
    score_axis(axes, plot.comparison.metric, plot.scores(view, near))
    axes.autoscale(enable=False)
    shown = [point for point in plot.points if _inside(axes, point)]
    shifts = _shifts(axes, shown) if dodges else {}
    looked = looks(row.name for row in plot.comparison.rows)
    _draw_front(axes, plot, shifts)
    return [
        _draw(axes, plot, point, looked[point.row.name], shifts.get(point.row.name, 1.0))
        for point in shown
    ]


def _inside(axes: Axes, point: Point) -> bool:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return left <= point.cost.mean <= right and bottom <= point.score.mean <= top


def _frame_detail(overview: Axes, detail: Axes) -> None:
    (left, right), (bottom, top) = detail.get_xlim(), detail.get_ylim()
    detail.set_ylabel("")
    detail.set_title("the shaded part", loc="left", fontsize=8, color="#555555")
    overview.fill_between([left, right], bottom, top, color="#f0f0f0", zorder=0, linewidth=0)
    detail.set_facecolor("#f7f7f7")


def _shifts(axes: Axes, points: Sequence[Point]) -> dict[str, float]:
    """Factors that put methods of equal cost side by side, by name and not by score."""
    low, high = axes.get_xlim()
    shifts = {}
    for point in points:
        ratios = {p.row.name: p.cost.mean / point.cost.mean for p in points}
        equal = sorted(name for name, r in ratios.items() if 1 / _EQUAL < r < _EQUAL)
        width = min(0.25, 0.03 * len(equal))
        place = (equal.index(point.row.name) + 0.5) / len(equal) - 0.5
        shifts[point.row.name] = (high / low) ** (width * place)
    return shifts


def _draw(axes: Axes, plot: Plot, point: Point, look: Look, shift: float) -> Line2D:
    results, score = point.row.results, plot.comparison.score
    low, high = plot.bar(point)
    axes.plot(
        [plot.measure(record) * shift for record in results],
        [score(record) for record in results],
        look.marker,
        color=look.colour,
        alpha=0.3,
        markersize=4 * look.size,
        markeredgewidth=0,
    )
    cost, mean, across = point.cost.mean * shift, point.score.mean, _finite(point.cost.sd) * shift
    bars = axes.errorbar(
        cost,
        mean,
        xerr=[[min(across, 0.999 * cost)], [across]] if across else None,
        yerr=[[mean - low], [high - mean]] if high > low else None,
        fmt=look.marker,
        color=look.colour,
        markeredgecolor="white",
        markeredgewidth=0.7,
        markersize=7 * look.size,
        elinewidth=1.1,
        zorder=3,
    )
    return bars.lines[0]


def _finite(sd: float) -> float:
    return 0.0 if math.isnan(sd) else sd


def _draw_front(axes: Axes, plot: Plot, shifts: Mapping[str, float]) -> None:
    """A staircase through the front, from marker to marker, that ends at the right edge."""
    best = front(plot.points, plot.comparison.metric)
    placed = [point.cost.mean * shifts.get(point.row.name, 1.0) for point in best]
    costs = list(accumulate(placed, max))
    scores = [point.score.mean for point in best]
    right = max(axes.get_xlim()[1], *costs)
    axes.step([*costs, right], [*scores, scores[-1]], where="post", zorder=2, **_FRONT)
