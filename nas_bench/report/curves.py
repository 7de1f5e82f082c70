"""Learning curves: test score against training FLOPs, growth included, and against steps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.comparison import Comparison, Measure, Row, training_flops
from nas_bench.report.look import Look, caption, cost_axis, looks, score_axis, size
from nas_bench.results.run import Run
from nas_bench.trials.messages import Record

Line = tuple[np.ndarray, np.ndarray]
_CUT: dict[str, Any] = {"linestyle": ":", "linewidth": 1.0, "marker": "x", "markersize": 5}
_MARKER_DISTANCE = 0.16  # of the axes' diagonal, along a curve


def curves_figure(comparison: Comparison) -> Figure | None:
    """Mean and sd over seeds; a seed without a result dotted, up to its end (×)."""
    rows = [row for row in comparison.rows if any(run.curve for run in row.runs)]
    if not rows:
        return None
    looked = looks(row.label for row in comparison.rows)
    names = [_name(row) for row in rows]
    figure = Figure(figsize=size(2, names), layout="constrained")
    against_flops, against_steps = figure.subplots(1, 2, sharey=True)
    records = [record for row in rows for run in row.runs for record in run.curve]
    costs = [cost for record in records if (cost := training_flops(record)) > 0]
    scores = [score for record in records if math.isfinite(score := comparison.score(record))]
    if not costs or not scores:
        return None
    cost_axis(against_flops, "training FLOPs, growth included", costs)
    against_steps.set_xlabel("training steps")
    against_steps.tick_params(left=False)
    for index, row in enumerate(rows):
        offset = _MARKER_DISTANCE * index / len(rows)
        for axes, measure in ((against_flops, training_flops), (against_steps, _steps)):
            _draw(axes, row, measure, comparison.score, looked[row.label], offset)
    score_axis(against_flops, comparison.metric, scores)
    figure.suptitle(caption(comparison.title, 100), x=0.01, ha="left", fontsize=9)
    _legend(figure, rows, names, [looked[row.label] for row in rows])
    return figure


def mean_curve(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, mean and sd of curves, at every position measured where all curves are.

    Between its own records a curve is a straight line. The sd of one curve is 0.
    """
    low, high = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    positions = np.unique(np.concatenate([x for x, _ in lines]))
    positions = positions[(positions >= low) & (positions <= high)]
    values = np.array([np.interp(positions, x, y) for x, y in lines])
    sd = values.std(axis=0, ddof=1) if len(lines) > 1 else np.zeros(len(positions))
    return positions, values.mean(axis=0), sd


def _draw(
    axes: Axes, row: Row, measure: Measure, score: Measure, look: Look, offset: float
) -> None:
    positive = axes.get_xscale() == "log"
    lines = {run.seed: _line(run, measure, score, positive) for run in row.runs if run.curve}
    ok = [lines[run.seed] for run in row.runs if run.status == "ok" and run.seed in lines]
    cut = [lines[run.seed] for run in row.runs if run.status != "ok" and run.seed in lines]
    if ok and all(len(x) for x, _ in ok):
        x, mean, sd = mean_curve(ok)
        axes.fill_between(x, mean - sd, mean + sd, color=look.colour, alpha=0.15, linewidth=0)
        every = (offset, _MARKER_DISTANCE) if len(x) > 8 else 1
        axes.plot(x, mean, markevery=every, **_style(look))
    for x, y in cut:
        axes.plot(x, y, color=look.colour, markevery=[-1] if len(x) else None, **_CUT)


def _steps(record: Record) -> float:
    return record.step


def _line(run: Run, measure: Measure, score: Measure, positive: bool) -> Line:
    """Positions and scores of a run's records, without those a log axis cannot show."""
    pairs = [(measure(record), score(record)) for record in run.curve]
    kept = [(x, y) for x, y in pairs if math.isfinite(y) and (x > 0 or not positive)]
    x, y = zip(*kept, strict=True) if kept else ((), ())
    return np.array(x, dtype=float), np.array(y, dtype=float)


def _style(look: Look) -> dict[str, Any]:
    return {
        "color": look.colour,
        "linestyle": look.dash,
        "marker": look.marker,
        "markersize": 4.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
    }


def _name(row: Row) -> str:
    return caption(row.name) + ("" if row.complete else f" ({row.seeds} seeds)")


def _legend(
    figure: Figure, rows: Sequence[Row], names: Sequence[str], looked: Sequence[Look]
) -> None:
    handles = [Line2D([], [], **_style(look)) for look in looked]
    labels = list(names)
    if not all(row.complete for row in rows):
        handles.append(Line2D([], [], color="#777777", **_CUT))
        labels.append("seed without a result")
    figure.legend(
        handles,
        labels,
        loc="outside right upper",
        title="mean ± sd over seeds",
        title_fontsize=8,
        alignment="left",
        handlelength=2.8,
    )
