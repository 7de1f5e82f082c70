"""Test score against cost, with the methods that no other method dominates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.comparison import Comparison, Measure, Row
from nas_bench.report.look import Look, caption, cost_axis, looks, score_axis, size

_EQUAL = 1.005  # costs whose ratio is below this are called equal
_NEAR = 3.0  # costs and errors within this factor of the best method's are shown in detail
_FRONT: dict[str, Any] = {"color": "#999999", "linestyle": (0, (4, 2)), "linewidth": 1.1}


@dataclass(frozen=True)
class Point:
    """One method: its row and its mean cost and score."""

    row: Row
    cost: float
    score: float


@dataclass(frozen=True)
class Plot:
    """What a figure shows: the methods of a comparison against one cost."""

    comparison: Comparison
    measure: Measure
    label: str
    points: tuple[Point, ...]


def pareto_figure(comparison: Comparison, measure: Measure, label: str) -> Figure | None:
    """Score against a cost: seeds faint, mean ± sd, the front; None without results.

    A second panel shows the surroundings of the best method where others are far from it.
    """
    points = _points(comparison, measure)
    if not points:
        return None
    plot = Plot(comparison, measure, label, points)
    names = [_name(point.row) for point in points]
    near = _near(points, comparison.metric)
    has_detail = 1 < len(near) < len(points)
    figure = Figure(figsize=size(1 + has_detail, names), layout="constrained")
    overview, *detail = figure.subplots(1, 1 + has_detail, squeeze=False)[0]
    markers = _panel(overview, plot, points, dodges=not has_detail)
    for axes in detail:
        _panel(axes, plot, near, dodges=True)
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
    for point in sorted(points, key=lambda point: (point.cost, sign * point.score)):
        if not kept or sign * point.score < sign * kept[-1].score:
            kept.append(point)
    return kept


def _points(comparison: Comparison, measure: Measure) -> tuple[Point, ...]:
    scored = (
        Point(row, row.estimate(measure).mean, row.estimate(comparison.score).mean)
        for row in comparison.rows
    )
    return tuple(p for p in scored if math.isfinite(p.score) and p.cost > 0)


def _near(points: Sequence[Point], metric: str) -> tuple[Point, ...]:
    """The points whose cost and error are similar to those of the best."""
    errors = [point.score if metric == "loss" else 100.3 - point.score for point in points]
    least = min(errors)
    best = points[errors.index(least)]
    return tuple(
        point
        for point, error in zip(points, errors, strict=True)
        if abs(math.log(point.cost / best.cost)) < math.log(_NEAR) and error <= _NEAR * least
    )


def _name(row: Row) -> str:
    return caption(row.name) + ("" if row.complete else f" ({row.seeds} seeds)")


def _panel(axes: Axes, plot: Plot, view: Sequence[Point], dodges: bool) -> list[Line2D]:
    """Draws all points on axes that fit those of the view; the markers, for the legend."""
    records = [record for point in view for record in point.row.results]
    cost_axis(axes, plot.label, [plot.measure(record) for record in records])
    score_axis(axes, plot.comparison.metric, [plot.comparison.score(r) for r in records])
    looked = looks(row.label for row in plot.comparison.rows)
    shifts = _shifts(axes, plot.points) if dodges else [1.0] * len(plot.points)
    axes.autoscale(enable=False, axis="x")
    _draw_front(axes, plot)
    return [
        _draw(axes, plot, point, looked[point.row.label], shift)
        for point, shift in zip(plot.points, shifts, strict=True)
    ]


def _frame_detail(overview: Axes, detail: Axes) -> None:
    (left, right), (bottom, top) = detail.get_xlim(), detail.get_ylim()
    detail.set_ylabel("")
    detail.set_title("the shaded part", loc="left", fontsize=8, color="#555555")
    overview.fill_between([left, right], bottom, top, color="#f0f0f0", zorder=0, linewidth=0)
    detail.set_facecolor("#f7f7f7")


def _shifts(axes: Axes, points: Sequence[Point]) -> list[float]:
    """Factors that put methods of equal cost side by side, by name and not by score."""
    low, high = axes.get_xlim()
    shifts = []
    for point in points:
        ratios = {p.row.name: p.cost / point.cost for p in points}
        equal = sorted(name for name, r in ratios.items() if 1 / _EQUAL < r < _EQUAL)
        width = min(0.16, 0.03 * len(equal))
        place = (equal.index(point.row.name) + 0.5) / len(equal) - 0.5
        shifts.append((high / low) ** (width * place))
    return shifts


def _draw(axes: Axes, plot: Plot, point: Point, look: Look, shift: float) -> Line2D:
    results, score = point.row.results, plot.comparison.score
    axes.plot(
        [plot.measure(record) * shift for record in results],
        [score(record) for record in results],
        look.marker,
        color=look.colour,
        alpha=0.3,
        markersize=4,
        markeredgewidth=0,
    )
    bars = axes.errorbar(
        point.cost * shift,
        point.score,
        xerr=_bar(point.row.estimate(plot.measure).sd * shift),
        yerr=_bar(point.row.estimate(score).sd),
        fmt=look.marker,
        color=look.colour,
        markeredgecolor="white",
        markeredgewidth=0.7,
        markersize=7,
        elinewidth=1.1,
        zorder=3,
    )
    return bars.lines[0]


def _bar(sd: float) -> float | None:
    return None if math.isnan(sd) or sd == 0 else sd


def _draw_front(axes: Axes, plot: Plot) -> None:
    """A staircase through the front, at the true costs, that ends at the right edge."""
    best = front(plot.points, plot.comparison.metric)
    right = max(axes.get_xlim()[1], best[-1].cost)
    costs = [*(point.cost for point in best), right]
    scores = [point.score for point in best]
    axes.step(costs, [*scores, scores[-1]], where="post", zorder=2, **_FRONT)
