"""Anytime curves: test score against training FLOPs, growth included, and against steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.axes import cost_axis, score_axis
from nas_bench.report.comparison import Comparison, Measure, Row, training_flops
from nas_bench.report.look import (
    Look,
    legend_name,
    looks,
    neighbours,
    spread,
)
from nas_bench.report.sheet import Grid, sheet
from nas_bench.results.run import Run
from nas_bench.trials.messages import Record

Line = tuple[np.ndarray, np.ndarray, np.ndarray]
_CUT: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9, "marker": "x", "markersize": 4}
_OPACITY = 0.08  # of mean ± sd: the bands of many methods lie on each other
_MARKER_DISTANCE = 0.16  # of the axes' diagonal, along a curve


def anytime_figure(comparison: Comparison) -> Figure | None:
    """Mean and sd over seeds with a result; other seeds dotted, up to their end (×).

    Twins are left out: what they say of growing is in the table. None without a curve.
    """
    rows = [row for row in neighbours(comparison.rows) if row.role != "twin"]
    rows = [row for row in rows if any(run.curve for run in row.runs)]
    records = [record for row in rows for run in row.runs for record in run.curve]
    costs = [cost for record in records if (cost := training_flops(record)) > 0]
    scores = [score for record in records if math.isfinite(score := comparison.score(record))]
    if not costs or not scores:
        return None
    looked = looks(row.name for row in comparison.rows)
    figure, (against_flops, against_steps) = sheet(
        comparison.title, Grid(2), _entries(rows, looked), "mean ± sd over seeds"
    )
    cost_axis(against_flops, "training FLOPs, growth included", costs)
    score_axis(against_flops, comparison.metric, scores)
    score_axis(against_steps, comparison.metric, scores)
    against_steps.set(xlabel="training steps", ylabel="")
    against_steps.tick_params(left=False, labelleft=False)
    for index, row in enumerate(rows):
        offset = _MARKER_DISTANCE * index / len(rows)
        _draw(against_flops, comparison, row, training_flops, looked[row.name], offset)
        _draw(against_steps, comparison, row, _steps, looked[row.name], offset)
    return figure


def mean_curve(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean position, mean score and its sd, where all curves have come equally far.

    A line is progress, position and score; progress is 1 at the end, so that the mean ends at
    the mean of the ends. Between its own records a curve is straight. The sd of one curve is 0.
    """
    low, high = max(line[0][0] for line in lines), min(line[0][-1] for line in lines)
    progress = np.unique(np.concatenate([line[0] for line in lines]))
    progress = progress[(progress >= low) & (progress <= high)]
    positions = np.array([np.interp(progress, line[0], line[1]) for line in lines])
    scores = np.array([np.interp(progress, line[0], line[2]) for line in lines])
    sd = scores.std(axis=0, ddof=1) if len(lines) > 1 else np.zeros(len(progress))
    return positions.mean(axis=0), scores.mean(axis=0), sd


def _draw(
    axes: Axes, comparison: Comparison, row: Row, measure: Measure, look: Look, offset: float
) -> None:
    lines = {run.seed: _line(run, measure, comparison.score) for run in row.runs if run.curve}
    ok = [lines[run.seed] for run in row.runs if run.status == "ok" and run.seed in lines]
    cut = [lines[run.seed] for run in row.runs if run.status != "ok" and run.seed in lines]
    if ok and all(len(line[0]) for line in ok):
        x, mean, sd = _shown(axes, *mean_curve(ok))
        low, high = spread(mean, sd, comparison.metric)
        axes.fill_between(x, low, high, color=look.colour, alpha=_OPACITY, linewidth=0)
        every = (offset, _MARKER_DISTANCE) if len(x) > 8 else 1
        axes.plot(x, mean, markevery=every, **_style(look))
        axes.plot(x[-1:], mean[-1:], zorder=3, **_style(look, size=5.5))
    for _, *line in cut:
        x, y = _shown(axes, *line)
        axes.plot(x, y, color=look.colour, markevery=[-1] if len(x) else None, **_CUT)


def _shown(axes: Axes, x: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """The positions that the axes can show, and the values there."""
    possible = x > 0 if axes.get_xscale() == "log" else np.isfinite(x)
    return [values[possible] for values in (x, *others)]


def _steps(record: Record) -> float:
    return record.step


def _line(run: Run, measure: Measure, score: Measure) -> Line:
    """Progress, positions and scores of a run's records, of those that have a score."""
    end = max(run.curve[-1].step, 1)
    values = [(record.step / end, measure(record), score(record)) for record in run.curve]
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


def _entries(rows: Sequence[Row], looked: Mapping[str, Look]) -> list[Line2D]:
    """The legend."""
    lines = [Line2D([], [], label=legend_name(row), **_style(looked[row.name])) for row in rows]
    if any(run.curve and run.status != "ok" for row in rows for run in row.runs):
        lines.append(Line2D([], [], color="#777777", label="seed without a result", **_CUT))
    return lines
