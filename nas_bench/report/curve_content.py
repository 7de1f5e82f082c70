"""The curves that a report shows of a row, as JSON-able values."""

import math
from statistics import median
from typing import Any

import numpy as np

from nas_bench.report.comparison import Comparison, Measure, Row, training_flops
from nas_bench.report.curves import Line, mean_curve, quartile_curve, thinned
from nas_bench.report.json_values import all_drawn
from nas_bench.report.standing import COSTS
from nas_bench.results.reading import Run

AXES: dict[str, Measure] = {
    "steps": lambda record: record.step,
    "flops": training_flops,
    "seconds": COSTS["seconds"],
}
"""What a curve can be drawn against, and a score be reached after."""


def curve(comparison: Comparison, row: Row) -> dict[str, list[Any]] | None:
    """The validation score by what is spent: mean and sd over seeds; None without any result.

    Where seeds have no result: median and quartiles, in which these count as the worst of the
    comparison from their end on. `gap` says of each point whether nothing was measured for long
    before it.
    """
    ok = [run for run in row.runs if run.status == "ok" and len(run.curve) > 1]
    if not ok:
        return None
    length = median(run.curve[-1].step for run in ok)
    names = ("mean", "sd") if row.complete else ("median", "low", "high")
    shown: dict[str, list[Any]] = {}
    for axis, measure in AXES.items():
        lines = [_line(comparison, run, measure, run.curve[-1].step) for run in ok]
        lines = [line for line in lines if len(line[0])]
        if not lines:
            return None
        if row.complete:
            found = mean_curve(lines)
        else:
            others = [run for run in row.runs if run.status != "ok" and run.curve]
            cut = [_line(comparison, run, measure, length) for run in others]
            cut = [line for line in cut if len(line[0])]
            absent = len(row.asked) - len(lines) - len(cut)
            found = quartile_curve(lines, cut, absent, comparison.worst)
        x, *scores, gaps = thinned(*found)
        shown[axis] = all_drawn(x)
        shown |= {name: all_drawn(y, 4) for name, y in zip(names, scores, strict=True)}
        shown["gap"] = gaps.tolist()
    return shown


def _line(comparison: Comparison, run: Run, measure: Measure, length: float) -> Line:
    """Progress, of a training that is so many steps long, what is spent, and score."""
    known = [
        (record.step / max(length, 1), measure(record), score)
        for record in run.curve
        if math.isfinite(score := comparison.score(record, "validation"))
    ]
    progress, spent, scores = np.array(known, dtype=float).reshape(-1, 3).T
    return progress, spent, scores
