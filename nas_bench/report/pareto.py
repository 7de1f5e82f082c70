"""Test score against cost, with the methods that no other method dominates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from matplotlib.transforms import ScaledTranslation, Transform

from nas_bench.report.axes import cost_axis, score_axis
from nas_bench.report.direct_labels import label_points
from nas_bench.report.figure_layout import LOOKED_AT, Grid, Layout, inches, sheet
from nas_bench.report.pareto_points import Plot, Point, agreeing, are_equal, mark, plotted
from nas_bench.report.standing import Standing, costs
from nas_bench.report.strip import draw_strip, strip_height, strip_names
from nas_bench.report.theme import DOTTED, Look, from_scratch, legend_name, looks, pale
from nas_bench.text import human

_NEAR = 3.0  # errors within this factor of the best method's are shown in detail
_SIZE = 5.5  # points that a marker is wide, and that equal costs lie apart at most
_LANE = 4.0  # points from a row to its twin
_FRONT: dict[str, Any] = {"color": "#999999", "linestyle": (0, (4, 2)), "linewidth": 1.0}
_HOLLOW: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 4.5, "markerfacecolor": "none",
    "color": "#555555", "markeredgewidth": 0.9,
}  # fmt: skip


def pareto_figure(
    found: Standing,
    cost: str,
    label: str,
    published: Sequence[Mapping[str, Any]] = (),
    layout: Layout = LOOKED_AT,
) -> Figure | None:
    """Score against a cost: seeds faint, means with intervals, the front; None without results.

    Where all costs agree there is no cost axis but a line for each row. A second panel shows the
    surroundings of the best method where others are far from it.

    Args:
        found: what the scores of a comparison say.
        cost: of COSTS, or WITH_TUNING.
        label: of its axis.
        published: what papers report; shown hollow where it says the cost.
        layout: what a paper asks.
    """
    plot = plotted(found, cost, label, published)
    if not plot.points:
        return None
    near = _near(plot.points, plot.comparison.metric)
    views = [plot.points, near] if 1 < len(near) < len(plot.points) else [plot.points]
    strips = [are_equal(view) and not (view is plot.points and plot.published) for view in views]
    looked = looks(row.name for row in found.comparison.rows)
    figure, panels = sheet(
        found.comparison.title,
        _grid(plot, views, strips),
        _entries(plot, looked, all(strips), named=layout.direct),
        _remark(plot, all(strips)),
        layout=layout,
    )
    for axes, view, is_strip in zip(panels, views, strips, strict=True):
        if is_strip:
            draw_strip(axes, plot, looked, view)
        else:
            _panel(axes, plot, looked, view, near)
            if layout.direct:
                elsewhere = near if view is not near and len(panels) > 1 else ()
                named = [p for p in plot.points if p not in elsewhere and _inside(axes, p)]
                label_points(axes, named, looked)
    if len(panels) > 1:
        _frame_detail(panels[0], panels[1], plot.comparison.metric, near[0].cost, strips)
    return figure


def front(points: Sequence[Point], metric: str) -> list[Point]:
    """The points that no other is at least as cheap as and better than, cheapest first."""
    sign = 1 if metric == "loss" else -1
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, sign * point.score)):
        if not kept or sign * point.score < sign * kept[-1].score:
            kept.append(point)
    return kept


def _remark(plot: Plot, only_strips: bool) -> str:
    says = "means with 95 % intervals, seeds faint"
    if not only_strips:
        return says
    return f"all rows: {human(plot.points[0].cost)} {plot.label}\n{says}"


def _grid(plot: Plot, views: Sequence[Sequence[Point]], strips: Sequence[bool]) -> Grid:
    """Room for the panels; names stand to the left of strips."""
    room = [
        0.2 + max(map(inches, strip_names(view))) if is_strip else 0.62
        for view, is_strip in zip(views, strips, strict=True)
    ]
    heights = [strip_height(plot, v) if s else 2.2 for v, s in zip(views, strips, strict=True)]
    two = len(views) > 1
    return Grid(len(views), height=max(heights), left=room[0], across=room[-1], titled=two)


def _entries(
    plot: Plot, looked: Mapping[str, Look], only_strips: bool, *, named: bool
) -> list[Line2D]:
    """The legend: every method that is not named elsewhere, then what the other signs mean."""
    grey = {"color": "#777777", "linestyle": DOTTED, "linewidth": 0.9}
    rows = [
        Line2D([], [], label=legend_name(point.row), **mark(looked[point.row.name]))
        for point in (() if named else plot.points)
    ]
    twins = [
        Line2D([], [], label=from_scratch(match), **grey)
        for match in dict.fromkeys(match for _, match in plot.twins)
    ]
    if only_strips:
        seeds = {"linestyle": "none", "marker": "o", "color": "#777777", "markersize": 3}
        return [*twins, Line2D([], [], label="single seeds", alpha=0.4, **seeds)]
    label = "front, twins left out" if twins else "not dominated"
    label = "front of the rows shown" if named else label
    marks = [*rows, Line2D([], [], label=label, **_FRONT), *twins]
    if plot.published:
        marks.append(Line2D([], [], label="published, other protocols", **_HOLLOW))
    return marks


def _near(points: Sequence[Point], metric: str) -> tuple[Point, ...]:
    """The best point and those whose error, with its interval, is similar to its own."""
    errors = [p.score if metric == "loss" else 100.3 - p.score for p in points]
    least = min(errors)
    return tuple(
        point
        for point, error in zip(points, errors, strict=True)
        if error == least or error + (point.high - point.low) / 2 <= _NEAR * least
    )


def _panel(
    axes: Axes,
    plot: Plot,
    looked: Mapping[str, Look],
    view: Sequence[Point],
    near: Sequence[Point],
) -> None:
    """Draws all points inside axes that fit the scores of the view, and the costs of these points.

    The axes show every seed of the view and the error bars of the near points. A bar that is
    much longer, such as that of a method with a dead seed, ends at the edge.
    """
    apart = plot.published if view is plot.points else ()
    scores = plot.scores(view, near) + [score for _, score in apart]
    score_axis(axes, plot.comparison.metric, scores)
    inside = [point for point in plot.points if _inside(axes, point)]
    cost_axis(axes, plot.label, plot.costs(inside) + [cost for cost, _ in apart])
    axes.autoscale(enable=False)
    _draw_front(axes, plot)
    for point in inside:
        _draw(axes, plot, point, looked[point.row.name])
    for cost, score in plot.published:
        axes.plot(cost, score, **_HOLLOW)


def _inside(axes: Axes, point: Point) -> bool:
    bottom, top = axes.get_ylim()
    return bottom <= point.score <= top


def _frame_detail(
    overview: Axes, detail: Axes, metric: str, cost: float, strips: Sequence[bool]
) -> None:
    """Shades the scores of the overview that the detail shows."""
    scores = detail.get_xlim() if strips[1] else detail.get_ylim()
    axes_span = overview.axvspan if strips[0] else overview.axhspan
    axes_span(*scores, color="#f0f0f0", zorder=0, linewidth=0)
    detail.set_facecolor("#f7f7f7")
    shared = f", all at {human(cost)}" if strips == [False, True] else ""
    title = f"the shaded {'losses' if metric == 'loss' else 'scores'}{shared}"
    detail.set_title(title, fontsize=7.5, color="#555555", pad=3)
    if not strips[1]:
        detail.set_ylabel("")


def _aside(axes: Axes, points: float) -> Transform:
    """The axes' places, moved to the right by so many points."""
    figure = axes.get_figure()
    assert figure
    return axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


def mixed_places(count: int) -> list[float]:
    """Places between 0 and 1, one after the other far apart, so that their order is no slope."""
    mixed = sorted(range(count), key=lambda i: i * 0.618034 % 1)
    return [(mixed.index(i) + 0.5) / count for i in range(count)]


def _draw(axes: Axes, plot: Plot, point: Point, look: Look) -> None:
    """A row with its seeds, interval and twins; equal costs at most a marker's width apart."""
    equal = agreeing(plot.points, point)
    shift = _SIZE * (mixed_places(len(equal))[equal.index(point)] - 0.5)
    own = _aside(axes, shift)
    results, score = point.row.results, plot.comparison.score
    seeds = {**mark(look, 3.0), "markeredgewidth": 0, "alpha": 0.3, "transform": own}
    measure = costs(point.row)[plot.cost]
    axes.plot([measure(r) for r in results], [score(r) for r in results], **seeds)
    twins = [twin for (name, _), twin in plot.twins.items() if name == point.row.name]
    for place, twin in enumerate(twins, start=1):
        lane = _aside(axes, shift + place * _LANE)
        ends = (point.cost, point.score), (twin.cost, twin.score)
        dots = {"linestyle": DOTTED, "color": look.colour, "linewidth": 0.9}
        axes.add_artist(ConnectionPatch(*ends, own, lane, clip_on=True, zorder=2, **dots))
        bar = [twin.low, twin.high]
        axes.plot([twin.cost] * 2, bar, zorder=2, transform=lane, **dots)
        faint = mark(replace(look, colour=pale(look.colour)), 4.0)
        faint["markeredgecolor"] = look.colour
        axes.plot(twin.cost, twin.score, zorder=2.5, transform=lane, **faint)
    bar = {"color": look.colour, "linewidth": 1.0, "zorder": 3, "transform": own}
    axes.plot([point.cost] * 2, [point.low, point.high], **bar)
    axes.plot(point.cost, point.score, zorder=4, transform=own, **mark(look))


def _draw_front(axes: Axes, plot: Plot) -> None:
    """A staircase through the front that ends at the right edge."""
    best = front(plot.points, plot.comparison.metric)
    costs = list(accumulate((point.cost for point in best), max))
    scores = [point.score for point in best]
    right = max(axes.get_xlim()[1], *costs)
    axes.step([*costs, right], [*scores, scores[-1]], where="post", zorder=2, **_FRONT)
