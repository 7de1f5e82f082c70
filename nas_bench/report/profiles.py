"""Over several tasks: how much sooner than others a row is as good as `fixed`, and how good.

References:
    Benchmarking neural network training algorithms. G. E. Dahl and others, 2023,
        https://arxiv.org/abs/2306.07179 (performance profiles)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean, median_high, median_low
from typing import Any

from nas_bench.report.comparison import Comparison, Row
from nas_bench.report.json_values import number
from nas_bench.report.questions import BASELINES
from nas_bench.report.standing import Standing
from nas_bench.report.targets import reached

TASKS = 5
"""From how many tasks on there are profiles."""


def profile(group: Sequence[Standing], names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each row and task, the training FLOPs until it is as good as `fixed`, by the least.

    As good as the median of `fixed` on validation data at its end; medians over seeds, None where
    half of the seeds never are. Tasks on which no row is are left out.

    Args:
        group: comparisons that differ in their task alone.
        names: of rows.
    """
    if len(group) < TASKS:
        return []
    spent = [found for each in group if (found := _spent(each.comparison, names))]
    ratios = {name: [_over(costs[name], min(costs.values())) for costs in spent] for name in names}
    return [{"name": name, "ratios": found} for name, found in ratios.items() if found]


def relative(group: Sequence[Standing], names: Sequence[str]) -> list[dict[str, Any]]:
    """The error of each row by that of `fixed`, on each task, and their geometric mean.

    The error is 100 % less the accuracy, or the loss, of the mean test score. Tasks without
    `fixed`, or with an error of 0, are left out.
    """
    shares: dict[str, list[float]] = {name: [] for name in names}
    for found in group:
        errors = {name: _error(found, name) for name in (*shares, BASELINES[0])}
        if all(error is not None and error > 0 for error in errors.values()):
            for name in shares:
                shares[name].append((errors[name] or 0) / (errors[BASELINES[0]] or 1))
    return [
        {"name": name, "mean": number(math.exp(fmean(map(math.log, found)))), "tasks": found}
        for name, found in sorted(shares.items(), key=lambda item: _order(item[1]))
        if found
    ]


def _order(shares: Sequence[float]) -> float:
    return fmean(map(math.log, shares)) if shares else 0.0


def _error(found: Standing, name: str) -> float | None:
    if name not in found.scores:
        return None
    mean = found.scores[name].estimate.mean
    error = 100 - mean if found.comparison.higher else mean
    return error if math.isfinite(error) else None


def _spent(comparison: Comparison, names: Iterable[str]) -> Mapping[str, float]:
    """Training FLOPs until a row is as good as `fixed`; nothing where no row is, or no `fixed`."""
    rows = {row.name: row for row in comparison.rows}
    fixed = rows.get(BASELINES[0])
    ends = _ends(comparison, fixed) if fixed else []
    if not ends:
        return {}
    usual = median_low if comparison.higher else median_high  # what more than half reach
    by = {name: reached(comparison, rows[name], usual(ends)).by for name in names}
    known = {name: math.inf if flops is None else flops for name, flops in by.items()}
    return known if 0 < min(known.values()) < math.inf else {}


def _ends(comparison: Comparison, row: Row) -> list[float]:
    score = partial(comparison.score, split="validation")
    return [end for record in row.results if math.isfinite(end := score(record))]


def _over(spent: float, least: float) -> float | None:
    return number(spent / least)
