"""Anytime curves: validation score against training FLOPs, growth included, and steps."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.axes import cost_axis, cost_label, score_axis
from nas_bench.report.comparison import Comparison, Measure, Row, training_flops
from nas_bench.report.direct_labels import label_ends, room
from nas_bench.report.figure_layout import LOOKED_AT, Grid, Layout, sheet
from nas_bench.report.theme import (
    Look,
    legend_name,
    looks,
    neighbours,
    spread,
)
from nas_bench.results.reading import Run
from nas_bench.trials.messages import Record

Line = tuple[np.ndarray, np.ndarray, np.ndarray]
_CUT: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9, "marker": "x", "markersize": 4}
_OPACITY = 0.08  # of mean ± sd: the bands of many methods lie on each other
_GAP = 0.1  # of the training, without an evaluation
_UNSEEN: dict[str, Any] = {"linestyle": (0, (1, 2.5)), "linewidth": 0.7}
_EVALUATION: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 2}
_SAYS = "mean ± sd over seeds; a dot is an evaluation, between rare ones the line is thin"
_DOTS = 200  # evaluations that can be told from each other
_POINTS = 4000
"""Of a line in a figure."""
_MARKER_DISTANCE = 0.16  # of the axes' diagonal, along a curve


@dataclass(frozen=True)
class View:
    """What a panel shows of a run.

    Attributes:
        x, y: of a record.
        metric: what y is, "accuracy" if it ends at 100 %.
        records: those of a run that are shown.
        holds: whether y stays what it is until the next record.
        measured: whether y is known at the records alone, so that gaps between them are shown.
    """

    x: Measure
    y: Measure
    metric: str
    records: Callable[[Run], Sequence[Record]] = attrgetter("curve")
    holds: bool = False
    measured: bool = True

    def points(self, rows: Iterable[Row]) -> list[tuple[float, float]]:
        """Where the records of all runs are, of those that have a y."""
        runs = (run for row in rows for run in row.runs if run.curve)
        found = ((self.x(record), self.y(record)) for run in runs for record in self.records(run))
        return [(x, y) for x, y in found if math.isfinite(y)]


def anytime_figure(comparison: Comparison, layout: Layout = LOOKED_AT) -> Figure | None:
    """Mean and sd over seeds with a result; other seeds dotted, up to their end (×).

    Twins are left out: what they say of growing is in the table. None without a curve.
    """
    rows = curve_rows(comparison)
    score = partial(comparison.score, split="validation")
    view = View(training_flops, score, comparison.metric)
    points = view.points(rows)
    costs = [cost for cost, _ in points if cost > 0]
    scores = [score for _, score in points]
    if not costs:
        return None
    looked = looks(row.name for row in comparison.rows)
    grid, entries = Grid(2), legend(rows, looked)
    if layout.direct:
        grid, entries = replace(grid, right=room(rows)), entries[len(rows) :]
    figure, panels = sheet(comparison.title, grid, entries, _SAYS, layout=layout)
    against_flops, against_steps = panels
    cost_axis(against_flops, cost_label(comparison, "training_flops"), costs)
    score_axis(against_flops, comparison.metric, scores, "validation")
    score_axis(against_steps, comparison.metric, scores, "validation")
    against_steps.set(xlabel="training steps", ylabel="")
    against_steps.tick_params(left=False, labelleft=False)
    draw_curves(against_flops, rows, view, looked)
    ends = draw_curves(against_steps, rows, replace(view, x=_steps), looked)
    if layout.direct:
        label_ends(against_steps, ends, looked)
    return figure


def curve_rows(comparison: Comparison) -> list[Row]:
    """The rows that have a curve, twins aside, in the order of a legend."""
    rows = [row for row in neighbours(comparison.rows) if row.role != "twin"]
    return [row for row in rows if any(run.curve for run in row.runs)]


def draw_curves(
    axes: Axes, rows: Sequence[Row], view: View, looked: Mapping[str, Look]
) -> list[tuple[Row, float, float]]:
    """Mean ± sd of each row's seeds with a result; the others one by one, dotted.

    Returns where the lines of rows end.

    Args:
        axes: to draw in; a logarithmic x axis must be one already.
        rows: to be drawn.
        view: of their runs.
        looked: by the name of a row.
    """
    ends = []
    for index, row in enumerate(rows):
        offset = _MARKER_DISTANCE * index / len(rows)
        ends += [(row, *end) for end in _draw(axes, row, view, looked[row.name], offset)]
    return ends


def mean_curve(
    lines: Sequence[Line],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean position, mean score and its sd, where all curves have come equally far, and gaps.

    A line is progress, position and score; progress is 1 at the end, so that the mean ends at
    the mean of the ends. Between its own records a curve is straight; a gap is where some curve
    has no record for more than a tenth of its training before the point. The sd of one curve is 0.
    """
    progress, positions, scores = _on_one_grid(lines)
    sd = scores.std(axis=0, ddof=1) if len(lines) > 1 else np.zeros(len(progress))
    return positions.mean(axis=0), scores.mean(axis=0), sd, _gaps(lines, progress)


def quartile_curve(
    lines: Sequence[Line], cut: Sequence[Line], absent: int, worst: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean position, median score, both quartiles, and gaps, where seeds have no result.

    Args:
        lines: of the seeds with a result.
        cut: of seeds without one, which count as the worst from their end on; progress is that of
            the others.
        absent: seeds without a line, which always do.
        worst: the score.
    """
    progress, positions, scores = _on_one_grid(lines)
    others = [np.interp(progress, line[0], line[2], right=worst) for line in cut]
    others += [np.full(len(progress), worst)] * absent
    low, middle, high = np.quantile([*scores, *others], (0.25, 0.5, 0.75), axis=0)
    return positions.mean(axis=0), middle, low, high, _gaps(lines, progress)


def _on_one_grid(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All records' progress (n,), and positions and scores there: (lines, n)."""
    low, high = max(line[0][0] for line in lines), min(line[0][-1] for line in lines)
    progress = np.unique(np.concatenate([line[0] for line in lines]))
    progress = progress[(progress >= low) & (progress <= high)]
    positions = np.array([np.interp(progress, line[0], line[1]) for line in lines])
    scores = np.array([np.interp(progress, line[0], line[2]) for line in lines])
    return progress, positions, scores


def _gaps(lines: Sequence[Line], progress: np.ndarray) -> np.ndarray:
    """Whether nothing was measured for long between each point and the one before it."""
    middles = (progress[1:] + progress[:-1]) / 2
    after = [np.searchsorted(line[0], middles) for line in lines]
    apart = [line[0][at] - line[0][at - 1] for line, at in zip(lines, after, strict=True)]
    return np.append(False, np.max(apart, axis=0) > _GAP) if len(progress) else np.zeros(0, bool)


def thinned(*values: np.ndarray) -> list[np.ndarray]:
    """Arrays of one length, of long ones so many values as a figure can show, ends included."""
    length = len(values[0])
    kept = np.linspace(0, length - 1, min(length, _POINTS)).round().astype(int)
    return [array[kept] for array in values]


def _draw(
    axes: Axes, row: Row, view: View, look: Look, offset: float
) -> list[tuple[float, float]]:
    """The end of the line is returned, the mean's, or of one that was cut; nothing without any."""
    ends: list[tuple[float, float]] = []
    lines = {run.seed: _line(run, view) for run in row.runs if run.curve}
    ok = [lines[run.seed] for run in row.runs if run.status == "ok" and run.seed in lines]
    cut = [lines[run.seed] for run in row.runs if run.status != "ok" and run.seed in lines]
    held: dict[str, Any] = {"drawstyle": "steps-post"} if view.holds else {}
    if ok and all(len(line[0]) for line in ok):
        x, mean, sd, gaps = _shown(axes, *thinned(*mean_curve(ok)))
        low, high = spread(mean, sd, view.metric)
        band = {"color": look.colour, "alpha": _OPACITY, "linewidth": 0}
        axes.fill_between(x, low, high, step="post" if view.holds else None, **band)
        every = (offset, _MARKER_DISTANCE) if len(x) > 8 else 1
        has_gaps = bool(gaps.any()) and view.measured
        joined: dict[str, Any] = {"linestyle": "none"} if has_gaps else held
        axes.plot(x, mean, markevery=every, **(_style(look) | joined))
        if has_gaps:
            _draw_parts(axes, x, mean, gaps, look)
        if view.measured and len(x) <= _DOTS:
            axes.plot(x, mean, color=look.colour, **_EVALUATION)
        axes.plot(x[-1:], mean[-1:], zorder=3, **_style(look, size=5.5))
        ends += zip(x[-1:], mean[-1:], strict=True)
    for _, *line in cut:
        x, y = _shown(axes, *thinned(*line))
        axes.plot(x, y, color=look.colour, markevery=[-1] if len(x) else None, **_CUT, **held)
        ends += zip(x[-1:], y[-1:], strict=True)
    return ends[:1]


def _draw_parts(axes: Axes, x: np.ndarray, y: np.ndarray, gaps: np.ndarray, look: Look) -> None:
    """A line between the gaps; these thin and dotted."""
    ends = np.flatnonzero(gaps[1:]) + 1
    for part in np.split(np.arange(len(x)), ends):
        axes.plot(x[part], y[part], color=look.colour, linestyle=look.dash)
    for end in ends:
        axes.plot(x[end - 1 : end + 1], y[end - 1 : end + 1], color=look.colour, **_UNSEEN)


def _shown(axes: Axes, x: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """The positions that the axes can show, and the values there."""
    possible = x > 0 if axes.get_xscale() == "log" else np.isfinite(x)
    return [values[possible] for values in (x, *others)]


def _steps(record: Record) -> float:
    return record.step


def _line(run: Run, view: View) -> Line:
    """Progress, positions and heights of a run's records, of those that have a height."""
    records = view.records(run)
    start, end = records[0].step, records[-1].step
    values = [((r.step - start) / max(end - start, 1), view.x(r), view.y(r)) for r in records]
    kept = [value for value in values if math.isfinite(value[2])]
    progress, x, y = np.array(kept, dtype=float).reshape(-1, 3).T
    return progress, x, y


def _style(look: Look, size: float = 3.6) -> dict[str, Any]:
    return {
        "color": look.colour,
        "linestyle": look.dash,
        "marker": look.marker,
        "markersize": size * look.size,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
    }


def legend(rows: Sequence[Row], looked: Mapping[str, Look]) -> list[Line2D]:
    """An entry for each row, and one for seeds without a result if there are any."""
    lines = [Line2D([], [], label=legend_name(row), **_style(looked[row.name])) for row in rows]
    if any(run.curve and run.status != "ok" for row in rows for run in row.runs):
        lines.append(Line2D([], [], color="#777777", label="seed without a result", **_CUT))
    return lines
