"""How sure it is that a method is on the Pareto front."""

from collections.abc import Mapping

import numpy as np

from nas_bench.report.statistics.values import (
    DRAWS,
    EQUAL,
    column,
    drawn_means,
    oriented,
    resamples,
)


def front_probability(
    costs: Mapping[str, Mapping[int, float]],
    scores: Mapping[str, Mapping[int, float]],
    higher: bool,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """The share of bootstrap draws in which no row dominates the row's mean cost and score.

    One row dominates another if it is no worse in both and better in one; costs that are equal
    but for rounding are equal. The seeds are drawn anew, the same ones for all rows that have
    equally many.

    Args:
        costs: row → seed → cost; lower is better.
        scores: row → seed → score.
        higher: whether higher scores are better.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if the costs have other rows or seeds than the scores.
    """
    if {name: set(row) for name, row in costs.items()} != {n: set(r) for n, r in scores.items()}:
        raise ValueError("costs and scores differ in rows or seeds; give both for every trial")
    paid = [column(costs[name], name) for name in scores]
    earned = [column(oriented(row, higher), name) for name, row in scores.items()]
    indices = resamples(earned, draws, np.random.default_rng(seed))
    on_front = _on_front(drawn_means(paid, indices), drawn_means(earned, indices))
    return {name: float(row.mean()) for name, row in zip(scores, on_front, strict=True)}


def _on_front(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Whether no row dominates, for rows × draws of means."""
    result = np.empty(costs.shape, dtype=bool)
    for row, (cost, score) in enumerate(zip(costs, scores, strict=True)):
        margin = EQUAL * abs(cost)
        no_worse = (costs <= cost + margin) & (scores >= score)
        result[row] = ~(no_worse & ((costs < cost - margin) | (scores > score))).any(axis=0)
    return result
