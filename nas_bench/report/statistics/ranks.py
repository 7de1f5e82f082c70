"""Ranks on one task, as sets where chance may have made the difference, and over tasks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nas_bench.report.statistics.intervals import LEVEL, Interval
from nas_bench.report.statistics.values import (
    DRAWS,
    column,
    drawn_means,
    means,
    oriented,
    resamples,
    tasks_of_all,
)


@dataclass(frozen=True)
class RankSet:
    """The best and the worst rank that a row may have, 1 being best."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


@dataclass(frozen=True)
class MeanRank:
    """Mean over tasks of the rank on each, 1 being best.

    Attributes:
        mean: of the ranks by mean score.
        interval: in which it and the mean ranks of 95 % of bootstrap draws lie. Drawn ranks
            mix, so that those of the first and of the last row lie to one side.
    """

    mean: float
    interval: Interval


def rank_sets(rows: Iterable[str], told: Iterable[tuple[str, str]]) -> dict[str, RankSet]:
    """The ranks that each row may have: as many as rows are neither better nor worse than it.

    Where `answers` over all pairs of rows told them apart, the chance that any true rank lies
    outside its set is at most 5 %.

    Args:
        rows: to be ranked.
        told: pairs of rows of which the first is significantly better.
    """
    names, pairs = list(rows), list(told)
    worse, better = Counter(winner for winner, _ in pairs), Counter(loser for _, loser in pairs)
    return {name: RankSet(1 + better[name], len(names) - worse[name]) for name in names}


def mean_ranks(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
    higher: Mapping[str, bool],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, MeanRank]:
    """Mean over tasks of each method's rank by mean score, ties averaged.

    The interval is of a bootstrap, stratified by task: the seeds of each task are drawn anew, the
    same ones for all methods that have equally many.

    Args:
        scores: method → task → seed → score.
        higher: task → whether higher scores are better.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if a method lacks a task.
    """
    from scipy.stats import rankdata

    if not (tasks := tasks_of_all(scores)):
        return {}
    generator = np.random.default_rng(seed)
    ranks, drawn = [], []
    for task in tasks:
        rows = {name: oriented(own[task], higher[task]) for name, own in scores.items()}
        columns = [column(row, f"{name} on {task}") for name, row in rows.items()]
        indices = resamples(columns, draws, generator)
        ranks.append(rankdata(-means(columns)))
        drawn.append(rankdata(-drawn_means(columns, indices), axis=0))
    ends = np.quantile(np.mean(drawn, axis=0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return {
        name: MeanRank(float(mean), Interval(float(min(low, mean)), float(max(high, mean))))
        for name, mean, low, high in zip(scores, np.mean(ranks, axis=0), *ends, strict=True)
    }
