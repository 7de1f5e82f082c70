"""Test score against cost, with the methods that no other method dominates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.axes import cost_axis, score_axis
from nas_bench.report.comparison import Comparison, Row
from nas_bench.report.figure_layout import Grid, sheet
from nas_bench.report.standing import Standing, costs, twin_of
from nas_bench.report.theme import (
    Look,
    from_scratch,
    legend_name,
    looks,
    neighbours,
    pale,
)

_EQUAL = 1.005  # costs whose ratio is below this are called equal
_NEAR = 3.0  # costs and errors within this factor of the best method's are shown in detail
_FRONT: dict[str, Any] = {"color": "#999999", "linestyle": (0, (4, 2)), "linewidth": 1.0}
_TWINS = {"steps": "-", "flops": (0, (1, 1))}
_HOLLOW: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 4.5, "markerfacecolor": "none",
    "color": "#555555", "markeredgewidth": 0.9,
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One method.

    Attributes:
        row: with its runs.
        cost: mean of the seeds with a result.
        score: mean of the seeds asked.
        low, high: ends of the score's 95 % confidence interval; the score for one seed.
    """

    row: Row
    cost: float
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Plot:
    """What a figure shows: the methods of a comparison against one cost.

    Attributes:
        found: the comparison with its scores.
        cost: name of the cost.
        label: of its axis.
        points: the methods, in the order of the legend.
        twins: by method and match, the same networks trained from scratch.
        published: cost and score of what papers report.
    """

    found: Standing
    cost: str
    label: str
    points: tuple[Point, ...]
    twins: Mapping[tuple[str, str], Point]
    published: tuple[tuple[float, float], ...]

    @property
    def comparison(self) -> Comparison:
        """The comparison shown."""
        return self.found.comparison

    def costs(self, view: Sequence[Point]) -> list[float]:
        """Costs of the view's seeds and of their twins."""
        means = [point.cost for point in self.with_twins(view)]
        return [costs(p.row)[self.cost](r) for p in view for r in p.row.results] + means

    def scores(self, view: Sequence[Point], near: Sequence[Point]) -> list[float]:
        """Scores of the view's seeds and ends of the near points' bars."""
        logarithmic = self.comparison.metric == "loss"
        ends = [end for p in near for end in (p.low, p.high) if end > 0 or not logarithmic]
        means = [point.score for point in self.with_twins(view)]
        return [self.comparison.score(r) for p in view for r in p.row.results] + means + ends

    def with_twins(self, view: Sequence[Point]) -> list[Point]:
        """The points and their twins."""
        names = {point.row.name for point in view}
        return [*view, *(twin for (name, _), twin in self.twins.items() if name in names)]


def pareto_figure(
    found: Standing, cost: str, label: str, published: Sequence[Mapping[str, Any]] = ()
) -> Figure | None:
    """Score against a cost: seeds faint, means with intervals, the front; None without results.

    A second panel shows the surroundings of the best method where others are far from it.

    Args:
        found: what the scores of a comparison say.
        cost: of COSTS, or WITH_TUNING.
        label: of its axis.
        published: what papers report; shown hollow where it says the cost.
    """
    plot = _plot(found, cost, label, published)
    if not plot.points:
        return None
    near = _near(plot.points, plot.comparison.metric)
    has_detail = 1 < len(near) < len(plot.points)
    looked = looks(row.name for row in found.comparison.rows)
    figure, (overview, *detail) = sheet(
        found.comparison.title,
        Grid(1 + has_detail, across=0.5, titled=has_detail),
        _entries(plot, looked),
        "mean score with 95 % interval, seeds faint;"
        + ("\n" if not has_detail else " ")
        + "equal costs side by side",
    )
    _panel(overview, plot, looked, plot.points, near, dodges=not has_detail)
    for axes in detail:
        _panel(axes, plot, looked, near, near, dodges=True)
        _frame_detail(overview, axes)
    return figure


def front(points: Sequence[Point], metric: str) -> list[Point]:
    """The points that no other is at least as cheap as and better than, cheapest first."""
    sign = 1 if metric == "loss" else -1
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, sign * point.score)):
        if not kept or sign * point.score < sign * kept[-1].score:
            kept.append(point)
    return kept


def _plot(found: Standing, cost: str, label: str, published: Sequence[Mapping[str, Any]]) -> Plot:
    rows = [row for row in neighbours(found.comparison.rows) if row.role != "twin"]
    points = tuple(point for row in rows if (point := _point(found, row, cost)))
    twins = {
        (p.row.name, match): point
        for p in points
        for match in _TWINS
        if (point := _twin(found, p.row, match, cost))
    }
    known = tuple((p[cost], p["score"]) for p in published if p.get(cost))
    return Plot(found, cost, label, points, twins, known)


def _point(found: Standing, row: Row, cost: str) -> Point | None:
    """None where there is no result, no such cost, or nothing that a logarithmic axis can show."""
    measure = costs(row).get(cost)
    spent = [measure(record) for record in row.results] if measure else []
    score = found.scores[row.name]
    mean, interval = score.estimate.mean, score.interval
    if not spent or min(spent) <= 0 or not math.isfinite(mean):
        return None
    low, high = (interval.low, interval.high) if interval else (mean, mean)
    return Point(row, fmean(spent), mean, low, high)


def _twin(found: Standing, row: Row, match: str, cost: str) -> Point | None:
    """Where the row's twin is; a baseline that serves as one is a point of its own."""
    twin = twin_of(found.comparison, row, match)
    return _point(found, twin, cost) if twin and twin.role == "twin" else None


def _entries(plot: Plot, looked: Mapping[str, Look]) -> list[Line2D]:
    """The legend: every method, then what the other signs mean."""
    marks = [
        Line2D([], [], label=legend_name(point.row), **_mark(looked[point.row.name]))
        for point in plot.points
    ]
    marks.append(Line2D([], [], label="not dominated", **_FRONT))
    for match, dash in _TWINS.items():
        if any(key[1] == match for key in plot.twins):
            line = {"color": "#777777", "linestyle": dash, "linewidth": 0.9}
            marks.append(Line2D([], [], label=from_scratch(match), **line))
    if plot.published:
        marks.append(Line2D([], [], label="published, other protocols", **_HOLLOW))
    return marks


def _mark(look: Look, size: float = 5.5) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": look.marker,
        "color": look.colour,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "markersize": size * look.size,
    }


def _near(points: Sequence[Point], metric: str) -> tuple[Point, ...]:
    """The best point and those whose cost and error, with its interval, are similar to its own."""
    errors = [p.score if metric == "loss" else 100.3 - p.score for p in points]
    least = min(errors)
    best = points[errors.index(least)]

    def is_near(point: Point, error: float) -> bool:
        ratio = max(point.cost, best.cost) / min(point.cost, best.cost)
        half = (point.high - point.low) / 2
        return ratio < _NEAR and error + half <= _NEAR * least

    paired = zip(points, errors, strict=True)
    return tuple(point for point, error in paired if point is best or is_near(point, error))


def _panel(
    axes: Axes,
    plot: Plot,
    looked: Mapping[str, Look],
    view: Sequence[Point],
    near: Sequence[Point],
    dodges: bool,
) -> None:
    """Draws the points inside axes that fit all of the view.

    The axes show every seed of the view and the error bars of the near points. A bar that is
    much longer, such as that of a method with a dead seed, ends at the edge.
    """
    apart = plot.published if view is plot.points else ()
    cost_axis(axes, plot.label, plot.costs(view) + [cost for cost, _ in apart])
    scores = plot.scores(view, near) + [score for _, score in apart]
    score_axis(axes, plot.comparison.metric, scores)
    axes.autoscale(enable=False)
    shown = [point for point in plot.points if _inside(axes, point)]
    shifts = _shifts(axes, shown) if dodges else {}
    _draw_front(axes, plot, shifts)
    for point in shown:
        name = point.row.name
        _draw(axes, plot, point, looked[name], shifts.get(name, 1.0))
    for cost, score in plot.published:
        axes.plot(cost, score, **_HOLLOW)


def _inside(axes: Axes, point: Point) -> bool:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return left <= point.cost <= right and bottom <= point.score <= top


def _frame_detail(overview: Axes, detail: Axes) -> None:
    (left, right), (bottom, top) = detail.get_xlim(), detail.get_ylim()
    detail.set_ylabel("")
    detail.set_title("the shaded part", fontsize=7.5, color="#555555", pad=3)
    overview.fill_between([left, right], bottom, top, color="#f0f0f0", zorder=0, linewidth=0)
    detail.set_facecolor("#f7f7f7")


def _shifts(axes: Axes, points: Sequence[Point]) -> dict[str, float]:
    """Factors that put methods of equal cost side by side, by name and not by score.

    None moves more than half the way to another cost.
    """
    low, high = axes.get_xlim()
    shifts = {}
    for point in points:
        ratios = {p.row.name: p.cost / point.cost for p in points}
        equal = sorted(name for name, r in ratios.items() if 1 / _EQUAL < r < _EQUAL)
        apart = (abs(math.log(r)) for name, r in ratios.items() if name not in equal)
        width = min(
            min(0.7, 0.05 * len(equal)) * math.log(high / low), min(apart, default=math.inf)
        )
        place = (equal.index(point.row.name) + 0.5) / len(equal) - 0.5
        shifts[point.row.name] = math.exp(width * place)
    return shifts


def _draw(axes: Axes, plot: Plot, point: Point, look: Look, shift: float) -> None:
    results, score = point.row.results, plot.comparison.score
    seeds = {**_mark(look, 3.0), "markeredgewidth": 0, "alpha": 0.3}
    measure = costs(point.row)[plot.cost]
    axes.plot([measure(r) * shift for r in results], [score(r) for r in results], **seeds)
    for match, dash in _TWINS.items():
        if twin := plot.twins.get((point.row.name, match)):
            ends = [point.cost * shift, twin.cost * shift], [point.score, twin.score]
            axes.plot(*ends, color=look.colour, linestyle=dash, linewidth=0.9, zorder=2)
            mark = _mark(replace(look, colour=pale(look.colour)), 4.0)
            mark["markeredgecolor"] = look.colour
            axes.plot(ends[0][1], ends[1][1], zorder=2.5, **mark)
    x = point.cost * shift
    axes.plot([x, x], [point.low, point.high], color=look.colour, linewidth=1.0, zorder=3)
    axes.plot(x, point.score, zorder=4, **_mark(look))


def _draw_front(axes: Axes, plot: Plot, shifts: Mapping[str, float]) -> None:
    """A staircase through the front, from marker to marker, that ends at the right edge."""
    best = front(plot.points, plot.comparison.metric)
    placed = [point.cost * shifts.get(point.row.name, 1.0) for point in best]
    costs = list(accumulate(placed, max))
    scores = [point.score for point in best]
    right = max(axes.get_xlim()[1], *costs)
    axes.step([*costs, right], [*scores, scores[-1]], where="post", zorder=2, **_FRONT)
