from itertools import product

import numpy as np
import pytest
import scipy.stats

from nas_bench.report.statistics import RankSet, mean_ranks, rank_sets


def named(table) -> dict[str, dict[int, float]]:
    return {f"row{i}": {seed: float(x) for seed, x in enumerate(r)} for i, r in enumerate(table)}


def test_a_rank_is_as_sure_as_rows_are_told_apart() -> None:
    assert rank_sets("abc", [("a", "b"), ("a", "c"), ("b", "c")]) == {
        "a": RankSet(1, 1), "b": RankSet(2, 2), "c": RankSet(3, 3),
    }  # fmt: skip
    assert set(rank_sets("abc", []).values()) == {RankSet(1, 3)}
    wild = rank_sets(["a", "wild", "b"], [("a", "b")])
    assert [str(found) for found in wild.values()] == ["1–2", "1–3", "2–3"]
    assert str(rank_sets("a", [])["a"]) == "1"
    assert rank_sets([], []) == {}


def test_mean_ranks_average_the_ranks_of_mean_scores_and_ties() -> None:
    scores = {
        "a": {"t": {0: 0.1, 1: 0.2, 2: 0.3}, "u": {0: 5.0}},
        "b": {"t": {0: 0.3, 1: 0.2, 2: 0.1}, "u": {0: 3.0}},  # another mean in the last bit
        "c": {"t": {0: 0.0, 1: 0.1, 2: 0.2}, "u": {0: 4.0}},
    }
    ranks = mean_ranks(scores, {"t": True, "u": False})
    assert [ranks[name].mean for name in "abc"] == [2.25, 1.25, 2.5]
    assert mean_ranks({}, {}) == {}


def test_range_of_mean_ranks_is_the_bootstrap_over_all_resamples_and_what_was_seen() -> None:
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
        seen = ranks[name].mean
        expected = min(low, seen), max(high, seen)
        assert (ranks[name].interval.low, ranks[name].interval.high) == expected


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
