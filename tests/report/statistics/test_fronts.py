from itertools import product

import numpy as np
import pytest

from nas_bench.report.statistics import front_probability

SEEDS = range(4)


def rows(*table) -> dict[str, dict[int, float]]:
    return {f"row{i}": dict(enumerate(map(float, row))) for i, row in enumerate(table)}


def dominated(point, others) -> bool:
    """The definition."""
    return any(
        cost <= point[0] and score >= point[1] and (cost, score) != point for cost, score in others
    )


def test_probabilities_are_those_over_all_resamples() -> None:
    costs = rows([4, 5, 4, 9], [5, 5, 5, 5], [2, 3, 2, 2], [5, 4, 6, 5])
    scores = rows([7, 1, 8, 3], [6, 5, 4, 5], [1, 2, 9, 1], [5, 5, 5, 4])
    kept = np.zeros(4)
    for draw in product(SEEDS, repeat=len(SEEDS)):
        points = [
            (sum(cost[seed] for seed in draw), sum(score[seed] for seed in draw))
            for cost, score in zip(costs.values(), scores.values(), strict=True)
        ]
        kept += [not dominated(point, points) for point in points]
    expected = kept / len(SEEDS) ** len(SEEDS)
    found = front_probability(costs, scores, higher=True, draws=20_000)
    assert list(found) == list(scores)
    assert list(found.values()) == pytest.approx(expected, abs=0.014)
    assert 0.02 < expected.min() < expected.max()


def test_seeds_are_drawn_together_so_that_a_row_that_always_wins_dominates() -> None:
    luck = np.random.default_rng(0).normal(0, 10, 6)
    found = front_probability(rows([1] * 6, [1] * 6), rows(luck, luck + 0.1), higher=True)
    assert found == {"row0": 0.0, "row1": 1.0}
    assert front_probability(rows([1] * 6, [1] * 6), rows(luck, luck + 0.1), higher=False) == {
        "row0": 1.0,
        "row1": 0.0,
    }


def test_rows_of_equal_cost_and_score_do_not_dominate_each_other() -> None:
    found = front_probability(rows([2, 2], [2, 2]), rows([1, 3], [1, 3]), higher=True)
    assert found == {"row0": 1.0, "row1": 1.0}


@pytest.mark.parametrize("cost", [1e-3, 1.0, 1e15])
def test_costs_that_differ_by_rounding_are_equal(cost: float) -> None:
    scores = rows([1, 1], [2, 2])
    nearly = rows([cost] * 2, [cost * (1 + 1e-11)] * 2)
    assert front_probability(nearly, scores, higher=True) == {"row0": 0.0, "row1": 1.0}
    apart = rows([cost] * 2, [cost * (1 + 1e-7)] * 2)
    assert front_probability(apart, scores, higher=True) == {"row0": 1.0, "row1": 1.0}


def test_a_row_that_lacks_seeds_is_drawn_from_its_own() -> None:
    costs = {"full": dict.fromkeys(range(5), 2.0), "short": {1: 1.0, 3: 1.0}}
    scores = {"full": dict.fromkeys(range(5), 6.0), "short": {1: 5.0, 3: 7.0}}
    found = front_probability(costs, scores, higher=True, draws=20_000)
    assert found["short"] == 1.0
    assert found["full"] == pytest.approx(0.25, abs=0.014)  # only 5, 5 is below it


def test_the_same_seed_repeats() -> None:
    noise = np.random.default_rng(0).normal(size=(2, 8, 10))
    costs, scores = rows(*noise[0]), rows(*noise[1])
    first = front_probability(costs, scores, higher=True)
    assert first == front_probability(costs, scores, higher=True)
    assert first != front_probability(costs, scores, higher=True, seed=1)


def test_costs_and_scores_must_belong_together() -> None:
    assert front_probability({}, {}, higher=True) == {}
    with pytest.raises(ValueError, match="differ in rows or seeds"):
        front_probability(rows([1, 2]), rows([1]), higher=True)
    with pytest.raises(ValueError, match="nan is among the values"):
        front_probability(rows([np.nan]), rows([1]), higher=True)
    with pytest.raises(ValueError, match="row0 has no seeds"):
        front_probability(rows([]), rows([]), higher=True)
