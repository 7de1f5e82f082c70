"""Ranks on one task, shared where chance may have made the difference, and over tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nas_bench.report.statistics.differences import differences, holm, sign_flips, smallest_p
from nas_bench.report.statistics.intervals import LEVEL, Interval
from nas_bench.report.statistics.power import ALPHA
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
class MeanRank:
    """Mean over tasks of the rank on each, 1 being best, with its bootstrap interval."""

    mean: float
    interval: Interval


def shared_ranks(scores: Mapping[str, Mapping[int, float]], higher: bool) -> dict[str, int | None]:
    """Ranks that are shared by rows that cannot be told from the best of their group.

    The row with the best mean leads. Rows that cannot be told from it share its rank, also where
    a row between them can. The best of the others leads the next group. A rank is 1 + the rows in
    better groups. Two rows are told apart by the exact sign-flip test at 5 %, with Holm's
    correction over all pairs of rows: the data choose who leads, so any pair might be tested.

    Args:
        scores: row → seed → score.
        higher: whether higher scores are better.

    Returns:
        The rank of each row; None for all where some pair has so few seeds that no scores could
        tell it apart (see `seeds_needed`).
    """
    rows = {name: oriented(row, higher) for name, row in scores.items()}
    columns = [column(row, name) for name, row in rows.items()]
    best_first = sorted(zip(-means(columns), rows, strict=True), key=lambda pair: pair[0])
    pairs = list(combinations([name for _, name in best_first], 2))
    gaps = [differences(rows[better], rows[worse]) for better, worse in pairs]
    if any(p > ALPHA for p in holm([smallest_p(gap.size) for gap in gaps])):
        return dict.fromkeys(rows, None)
    tested = zip(pairs, gaps, holm(sign_flips(gaps)), strict=True)
    told = {pair for pair, gap, p in tested if p <= ALPHA and gap.sum() > 0}
    ranks = _ranks([name for _, name in best_first], told)
    return {name: ranks[name] for name in rows}


def mean_ranks(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
    higher: Mapping[str, bool],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, MeanRank]:
    """Mean over tasks of each method's rank by mean score, ties averaged.

    The interval is a percentile bootstrap, stratified by task: the seeds of each task are drawn
    anew, the same ones for all methods that have equally many.

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
        name: MeanRank(float(mean), Interval(float(low), float(high)))
        for name, mean, low, high in zip(scores, np.mean(ranks, axis=0), *ends, strict=True)
    }


def _ranks(best_first: list[str], told: set[tuple[str, str]]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    while left := [name for name in best_first if name not in ranks]:
        rank = len(ranks) + 1
        ranks |= {name: rank for name in left if (left[0], name) not in told}
    return ranks
