"""Published numbers beside measured ones: shown hollow, never ranked, in no statistics."""

import csv
import functools
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from nas_bench.report.comparison import Comparison

_ACCURACIES = {
    "test_acc": "test accuracy",
    "accuracy": "accuracy, which split is not said",
    "best_val_acc": "best validation accuracy of the curve, which flatters",
}
"""Metrics that an accuracy axis can show, and what they are."""
_FIELDS = ("paper", "paper_id", "method", "model", "setting", "seeds", "source", "notes")


def published_points(comparison: Comparison) -> list[dict[str, Any]]:
    """What papers report on the task's data set, as far as it is an accuracy.

    Protocols differ, so that nothing here can be compared with the comparison's rows; `metric`,
    `setting` and `notes` say how. Parameters are None where the paper does not say.
    """
    if comparison.metric != "accuracy":
        return []
    name = comparison.task.partition("[")[0]
    return [_point(row) for row in _rows() if name in row["nas_bench_tasks"].split()]


def _point(row: dict[str, str]) -> dict[str, Any]:
    known = {field: row[field] for field in _FIELDS}
    return known | {
        "metric": _ACCURACIES[row["metric"]],
        "score": float(row["value"]),
        "parameters": float(row["params"]) if row["params"] else None,
    }


@functools.cache
def _rows() -> tuple[dict[str, str], ...]:
    return tuple(_read())


def _read() -> Iterator[dict[str, str]]:
    with (files("nas_bench.report") / "published_results.csv").open(encoding="utf-8") as lines:
        yield from (row for row in csv.DictReader(lines) if row["metric"] in _ACCURACIES)
