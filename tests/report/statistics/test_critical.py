import numpy as np
import pandas as pd
import pytest

from nas_bench.report.statistics import critical_difference


def table(tasks: int, methods: int, spread: float, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(size=(tasks, methods))
    scores = (noise + spread * np.arange(methods)).round(1)
    return pd.DataFrame(scores, columns=[f"m{i}" for i in range(methods)])


def nested(frame: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[str, bool]]:
    scores = {str(m): {str(t): float(x) for t, x in c.items()} for m, c in frame.items()}
    return scores, {str(task): True for task in frame.index}


@pytest.mark.parametrize(
    ("tasks", "methods", "spread"), [(5, 3, 2.0), (8, 5, 0.8), (12, 7, 0.5), (30, 4, 0.3)]
)
def test_it_is_that_of_autorank(tasks: int, methods: int, spread: float) -> None:
    import autorank
    from autorank._util import get_sorted_rank_groups

    frame = table(tasks, methods, spread)
    expected = autorank.autorank(frame, force_mode="nonparametric")
    result = critical_difference(*nested(frame))
    assert result
    assert result.tasks == tasks
    assert result.friedman_p == pytest.approx(expected.pvalue, rel=1e-9)
    assert result.friedman_p < 0.05
    assert result.distance == pytest.approx(expected.cd, rel=1e-3)
    _, names, groups = get_sorted_rank_groups(expected, reverse=True)
    assert result.groups == tuple(tuple(names[low : high + 1]) for low, high in groups)


def test_groups_hold_the_pairs_that_nemenyi_of_scikit_posthocs_does_not_tell() -> None:
    import scikit_posthocs

    frame = table(10, 6, 0.6)
    p = scikit_posthocs.posthoc_nemenyi_friedman(frame)
    result = critical_difference(*nested(frame))
    assert result
    together = {(a, b) for group in result.groups for a in group for b in group}
    pairs = [(a, b) for a in frame for b in frame if a != b]
    assert {pair for pair in pairs if pair in together} == {
        pair for pair in pairs if p.loc[pair] > 0.05
    }
    assert 0 < len(together) < len(pairs)


def test_all_methods_are_one_group_where_friedman_does_not_reject() -> None:
    frame = table(20, 10, 0.05, seed=25)
    means = (-frame).rank(axis=1).mean()
    result = critical_difference(*nested(frame))
    assert result
    assert result.friedman_p > 0.05
    assert means.max() - means.min() > result.distance  # Nemenyi's test alone would tell them
    assert result.groups == (tuple(means.sort_values(kind="stable").index),)


def test_lower_may_be_better_on_some_tasks() -> None:
    frame = table(7, 4, 1.0)
    scores, higher = nested(frame)
    turned = {m: {t: -x if t in "036" else x for t, x in row.items()} for m, row in scores.items()}
    mixed = {task: task not in "036" for task in higher}
    assert critical_difference(turned, mixed) == critical_difference(scores, higher)


def test_methods_that_tie_everywhere_are_equal() -> None:
    result = critical_difference(*nested(pd.DataFrame(1.0, range(5), ["a", "b", "c"])))
    assert result
    assert (result.friedman_p, result.groups) == (1.0, (("a", "b", "c"),))


def test_few_tasks_or_methods_have_no_critical_difference() -> None:
    assert critical_difference(*nested(table(4, 5, 3.0))) is None
    assert critical_difference(*nested(table(9, 2, 3.0))) is None


def test_holes_and_nan_are_refused() -> None:
    scores, higher = nested(table(6, 3, 1.0))
    with pytest.raises(ValueError, match="nan is among the values"):
        critical_difference({**scores, "m1": {**scores["m1"], "2": np.nan}}, higher)
    del scores["m2"]["4"]
    with pytest.raises(ValueError, match="m2 has no score on 4"):
        critical_difference(scores, higher)
