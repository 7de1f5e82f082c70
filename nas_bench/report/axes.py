"""Axes of figures: costs and scores, logarithmic where they span several sizes."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from nas_bench.report.comparison import Comparison, Split
from nas_bench.text import human

AXES = {
    "flops": "FLOPs per sample",
    "parameters": "parameters",
    "training_flops": "training FLOPs, growth included",
    "seconds": "seconds of training and growth",
    "with_tuning": "training FLOPs, growth and search included",
}
"""Costs that scores are shown against, and what the axis says."""
_MANTISSAS = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
)
_TICKS = (90, 99, 50, 95, 98, 80, 97, 0, 70, 20, 96, 99.5, 60, 85, 30, 99.9, 40, 92, 10, 94, 100)


def cost_label(comparison: Comparison, cost: str) -> str:
    """What the axis of a cost says; seconds of trials beside each other say so."""
    shared = cost == "seconds" and any(row.shared for row in comparison.rows)
    return AXES[cost] + (" (shared device)" if shared else "")


def cost_axis(
    axes: Axes, label: str, values: Sequence[float], which: Literal["x", "y"] = "x"
) -> None:
    """A logarithmic axis with k, M, G, around these values."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.1 * (high - low), 0.04)
    limits = 10 ** (low - margin), 10 ** (high + margin)
    axes.set(**{f"{which}scale": "log", f"{which}lim": limits, f"{which}label": label})
    _log_ticks(_axis(axes, which), low - margin, high + margin)


def clock_axis(axes: Axes, label: str, end: float) -> None:
    """A linear x axis from 0 to the end, with k, M, G."""
    end = end or 1.0
    axes.set(xlim=(-0.03 * end, 1.03 * end), xlabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


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


def score_axis(
    axes: Axes,
    metric: str,
    values: Sequence[float],
    split: Split = "test",
    linear: bool = False,
    which: Literal["x", "y"] = "y",
) -> None:
    """An axis for scores; logarithmic in the error where that spans several sizes.

    Args:
        axes: whose axis it is.
        metric: of the scores.
        values: that have to fit.
        split: that the scores are of.
        linear: whether it is never logarithmic.
        which: of the two axes.
    """
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or 0.01 * abs(high) or 1.0
    name = "training" if split == "train" else split
    label = f"{name} loss" if metric == "loss" else f"{name} accuracy (%)"
    if metric == "loss" and low > 0 and high / low > 10 and not linear:
        _loss_scale(axes, math.log10(low), math.log10(high), which)
    elif metric == "accuracy" and (100.3 - low) / (100.3 - high) > 4 and not linear:
        label = f"{label}, log error"
        _error_scale(axes, low, high, which)
    else:
        axes.set(**{f"{which}lim": (low - margin, high + margin)})
    axes.set(**{f"{which}label": label})


def _loss_scale(axes: Axes, low: float, high: float, which: Literal["x", "y"]) -> None:
    margin = 0.06 * (high - low)
    limits = 10 ** (low - margin), 10 ** (high + margin)
    axes.set(**{f"{which}scale": "log", f"{which}lim": limits})
    _log_ticks(_axis(axes, which), low - margin, high + margin)


def _axis(axes: Axes, which: Literal["x", "y"]) -> Axis:
    return axes.xaxis if which == "x" else axes.yaxis


def _tick(value: float) -> str:
    if value < 1:
        return f"{value:g}"
    number, _, unit = human(value).partition(" ")
    return f"{float(number):g} {unit}".strip()


def _error_scale(axes: Axes, low: float, high: float, which: Literal["x", "y"]) -> None:
    """Accuracies in percent, the distance to 100.3 % logarithmic: 90, 99 and 100 apart."""
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_scale("function", functions=(_depth, _accuracy))
    bottom, top = _depth(np.array([low, high]))
    margin = 0.06 * (top - bottom)
    axes.set(**{f"{which}lim": _accuracy(np.array([bottom - margin, top + margin]))})
    axis = _axis(axes, which)
    axis.set_major_locator(
        FixedLocator(_error_ticks(bottom - margin, top + margin, 0.16 if which == "x" else 0.07))
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _error_ticks(bottom: float, top: float, least: float) -> list[float]:
    """Round accuracies that are at least this share of the axis apart, the roundest first."""
    ticks: list[float] = []
    for tick in _TICKS:
        place = _depth(tick)
        apart = all(abs(place - _depth(other)) > least * (top - bottom) for other in ticks)
        if bottom <= place <= top and apart:
            ticks.append(tick)
    return sorted(ticks)


def _depth(accuracy: Any) -> Any:
    return -np.log10(np.maximum(100.3 - accuracy, 1e-3))


def _accuracy(depth: Any) -> Any:
    return 100.3 - 10 ** -np.asarray(depth, dtype=float)
