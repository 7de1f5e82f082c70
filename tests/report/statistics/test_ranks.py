from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_bench.report.statistics import holm, mean_ranks, paired, shared_ranks

repeatable = settings(derandomize=True)
tables = st.lists(st.lists(st.integers(0, 6), min_size=9, max_size=9), min_size=1, max_size=5)


def named(table) -> dict[str, dict[int, float]]:
    return {f"row{i}": {seed: float(x) for seed, x in enumerate(r)} for i, r in enumerate(table)}


def test_rows_share_the_rank_of_the_best_they_cannot_be_told_from() -> None:
    wobble = np.array([0.1, -0.2, 0.3, -0.1, 0.2, -0.3, 0.1, -0.2, 0.15, -0.05])
    rows = named([50 + wobble, 90 - wobble, 90.01 + wobble, 50.01 - wobble, 20 + wobble])
    assert list(shared_ranks(rows, higher=True).values()) == [3, 1, 1, 3, 5]
    assert list(shared_ranks(rows, higher=False).values()) == [2, 4, 4, 2, 1]


def test_a_row_of_large_variance_stays_with_the_leader_though_a_better_one_is_told() -> None:
    steady = np.linspace(0, 0.1, 8)
    wild = 89 + np.array([-30, 20, -10, 3, 30, -25, 15, -11])
    rows = named([90 + steady, 89.5 + steady, wild])
    assert list(shared_ranks(rows, higher=True).values()) == [1, 3, 1]


@repeatable
@given(tables)
def test_a_different_rank_is_a_pair_that_is_told_after_holm(table: list[list[int]]) -> None:
    rows = named(table)
    ranks = shared_ranks(rows, higher=True)
    pairs = [(a, b) for i, a in enumerate(rows) for b in list(rows)[i + 1 :]]
    p = dict(zip(pairs, holm([paired(rows[a], rows[b]).p or 0 for a, b in pairs]), strict=True))
    means = {name: np.mean(list(row.values())) for name, row in rows.items()}
    for group in set(ranks.values()):
        leader = max((n for n in rows if ranks[n] == group), key=lambda n: round(means[n], 9))
        for name in rows:
            told = p.get((leader, name), p.get((name, leader), 1.0)) <= 0.05
            assert not told or ranks[name] != group
            assert ranks[name] <= group or (told and means[name] < means[leader])
            assert ranks[name] >= group or means[leader] < means[name]


def test_ranks_count_the_rows_in_better_groups_and_follow_the_order_given() -> None:
    rows = named([[row] * 9 for row in (1, 3, 2, 4)])
    assert shared_ranks(rows, higher=True) == {"row0": 4, "row1": 2, "row2": 3, "row3": 1}


def test_ranks_are_not_testable_where_one_pair_has_too_few_common_seeds() -> None:
    rows = named([[90.0] * 8, [80.0] * 8, [70.0] * 8])
    assert set(shared_ranks(rows, higher=True).values()) == {1, 2, 3}
    rows["row2"] = {seed + 4: score for seed, score in rows["row2"].items()}
    assert set(shared_ranks(rows, higher=True).values()) == {None}


def test_a_better_mean_over_other_seeds_does_not_tell_rows_that_lose_on_common_ones() -> None:
    hard = {seed: 50.0 + seed / 10 for seed in range(8)}
    easy = dict.fromkeys(range(8, 40), 99.0)
    rows = {"leads": {**hard, **easy}, "better": {seed: x + 5 for seed, x in hard.items()}}
    assert shared_ranks(rows, higher=True) == {"leads": 1, "better": 1}


def test_one_row_is_first_and_none_has_no_ranks() -> None:
    assert shared_ranks({"a": {0: 1.0}}, higher=True) == {"a": 1}
    assert shared_ranks({}, higher=True) == {}
    with pytest.raises(ValueError, match="a has no seeds"):
        shared_ranks({"a": {}}, higher=True)


@pytest.mark.parametrize("worse", [0, 1])
def test_equal_rows_seldom_get_different_ranks(worse: int) -> None:
    generator, trials = np.random.default_rng(worse), 400
    split = 0
    for _ in range(trials):
        scores = generator.normal(90, 1, (6, 10))
        scores[:worse] -= 50
        ranks = list(shared_ranks(named(scores), higher=True).values())
        split += len(set(ranks[worse:])) > 1
    assert split / trials <= 0.05 + 2.5 * (0.05 * 0.95 / trials) ** 0.5


def test_mean_ranks_average_the_ranks_of_mean_scores_and_ties() -> None:
    scores = {
        "a": {"t": {0: 0.1, 1: 0.2, 2: 0.3}, "u": {0: 5.0}},
        "b": {"t": {0: 0.3, 1: 0.2, 2: 0.1}, "u": {0: 3.0}},  # another mean in the last bit
        "c": {"t": {0: 0.0, 1: 0.1, 2: 0.2}, "u": {0: 4.0}},
    }
    ranks = mean_ranks(scores, {"t": True, "u": False})
    assert [ranks[name].mean for name in "abc"] == [2.25, 1.25, 2.5]
    assert mean_ranks({}, {}) == {}


def test_interval_of_mean_ranks_is_the_bootstrap_over_all_resamples() -> None:
    tasks = {"t": [[3, 5, 4], [4, 4, 5], [1, 6, 4]], "u": [[9, 7, 5], [8, 8, 3], [7, 9, 9]]}
    scores = {
        name: {task: named(table)[f"row{i}"] for task, table in tasks.items()}
        for i, name in enumerate("abc")
    }
    draws = [list(draw) for draw in product(range(3), repeat=3)]
    by_task = [
        np.array([scipy.stats.rankdata(-np.array(table)[:, draw].sum(axis=1)) for draw in draws])
        for table in tasks.values()
    ]
    means = (by_task[0][:, None] + by_task[1][None]).reshape(-1, 3) / 2
    ends = np.quantile(means, [0.025, 0.975], axis=0)
    ranks = mean_ranks(scores, {"t": True, "u": True}, draws=20_000)
    for name, low, high in zip("abc", *ends, strict=True):
        assert (ranks[name].interval.low, ranks[name].interval.high) == (low, high)


def test_seeds_are_drawn_together_so_that_what_they_share_moves_no_rank() -> None:
    luck = np.random.default_rng(0).normal(0, 10, 6)
    scores = {
        name: {"t": {seed: x + gain for seed, x in enumerate(luck)}}
        for name, gain in {"a": 0.0, "b": 0.1}.items()
    }
    ranks = mean_ranks(scores, {"t": True})
    assert [(r.mean, r.interval.low, r.interval.high) for r in ranks.values()] == [
        (2, 2, 2),
        (1, 1, 1),
    ]


def test_a_method_without_a_task_is_refused() -> None:
    scores = {"a": {"t": {0: 1.0}, "u": {0: 1.0}}, "b": {"t": {0: 1.0}}}
    with pytest.raises(ValueError, match="b has no score on u"):
        mean_ranks(scores, {"t": True, "u": True})
    scores["b"]["u"] = {}
    with pytest.raises(ValueError, match="b on u has no seeds"):
        mean_ranks(scores, {"t": True, "u": True})
