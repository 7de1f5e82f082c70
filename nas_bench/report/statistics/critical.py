"""Critical differences of mean ranks over tasks.

References:
    Statistical comparisons of classifiers over multiple data sets. J. Demšar, 2006,
        https://jmlr.org/papers/v7/demsar06a.html
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.power import ALPHA
from nas_bench.report.statistics.values import finite, tasks_of_all

_TASKS, _METHODS = 5, 3  # fewer have no critical difference


@dataclass(frozen=True)
class CriticalDifference:
    """Friedman's test that all methods are equal, and Nemenyi's distance.

    Attributes:
        tasks: that the ranks are means over.
        friedman_p: of Friedman's test.
        distance: mean ranks at least this far apart are told apart.
        groups: the largest sets of two or more methods that are not told apart, best first;
            overlapping ones too. All methods where Friedman's test does not reject.
    """

    tasks: int
    friedman_p: float
    distance: float
    groups: tuple[tuple[str, ...], ...]


def critical_difference(
    scores: Mapping[str, Mapping[str, float]], higher: Mapping[str, bool], alpha: float = ALPHA
) -> CriticalDifference | None:
    """Which methods' mean ranks differ; None below 5 tasks or 3 methods.

    Args:
        scores: method → task → mean score.
        higher: task → whether higher scores are better.
        alpha: level of both tests.

    Raises:
        ValueError: if a method lacks a task.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    tasks, count = tasks_of_all(scores), len(scores)
    if len(tasks) < _TASKS or count < _METHODS:
        return None
    signs = [-1 if higher[task] else 1 for task in tasks]
    table = signs * finite(np.array([[row[task] for task in tasks] for row in scores.values()]))
    ranks = rankdata(table, axis=0)
    all_equal = bool((ranks == ranks[0]).all())
    p = 1.0 if all_equal else float(friedmanchisquare(*table).pvalue)
    quantile = float(studentized_range.ppf(1 - alpha, count, np.inf)) / math.sqrt(2)
    distance = quantile * math.sqrt(count * (count + 1) / (6 * len(tasks)))
    means = dict(zip(scores, ranks.mean(axis=1).tolist(), strict=True))
    return CriticalDifference(
        len(tasks), p, distance, _groups(means, distance if p < alpha else math.inf)
    )


def _groups(means: Mapping[str, float], distance: float) -> tuple[tuple[str, ...], ...]:
    """Largest runs, by mean rank, whose ends are less than the distance apart."""
    names = sorted(means, key=lambda name: means[name])
    ends = [sum(means[other] < means[name] + distance for other in names) for name in names]
    starts = [ends.index(end) for end in sorted(set(ends))]
    runs = [names[start : ends[start]] for start in starts]
    return tuple(tuple(run) for run in runs if len(run) > 1)
