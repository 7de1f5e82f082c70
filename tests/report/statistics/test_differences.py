from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from nas_bench.report.statistics import (
    TESTABLE,
    answers,
    holm,
    jointly,
    paired,
    sign_flip,
    smallest_p,
)

repeatable = settings(derandomize=True)
whole = st.integers(-50, 50)
p_values = st.lists(st.floats(0, 1), max_size=12)


def counted(differences: list[int]) -> float:
    """The definition, in whole numbers."""
    flips = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product([1, -1], repeat=len(differences))
    ]
    return sum(abs(flip) >= abs(sum(differences)) for flip in flips) / len(flips)


@repeatable
@given(st.lists(whole, max_size=9))
def test_sign_flip_is_its_definition(differences: list[int]) -> None:
    assert sign_flip(differences) == counted(differences)


@repeatable
@given(st.lists(whole, max_size=9))
def test_rounding_does_not_break_ties(differences: list[int]) -> None:
    percent = [100 * ((50 + d) / 300) - 100 * (50 / 300) for d in differences]
    assert sign_flip(percent) == counted(differences)


@repeatable
@given(st.lists(st.floats(-1e3, 1e3), max_size=9), st.floats(1e-3, 1e3), st.randoms())
def test_sign_flip_knows_no_sign_order_or_unit(differences, unit, random) -> None:
    shuffled = random.sample(differences, len(differences))
    p = sign_flip(differences)
    assert sign_flip([-d for d in shuffled]) == p
    assert sign_flip([unit * d for d in differences]) == pytest.approx(p, abs=1e-12)


@repeatable
@given(st.lists(st.floats(-1e3, 1e3), max_size=TESTABLE - 1))
def test_below_six_pairs_nothing_is_significant(differences: list[float]) -> None:
    assert sign_flip(differences) >= smallest_p(len(differences)) >= 0.0625


@pytest.mark.parametrize(("pairs", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (10, 0.001953125)])
def test_smallest_p_is_reached_where_one_method_always_wins(pairs: int, p: float) -> None:
    assert smallest_p(pairs) == p
    assert sign_flip(np.random.default_rng(pairs).uniform(1, 2, pairs)) == p


@pytest.mark.parametrize("size", [2, 6, 11, 13])
def test_sign_flip_is_scipys_permutation_test(size: int) -> None:
    x = np.random.default_rng(size).normal(0.4, 1.0, size)
    expected = scipy.stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(x) == pytest.approx(expected.pvalue, abs=1e-12)


def test_twenty_differences_are_exact_and_more_are_drawn() -> None:
    x = np.random.default_rng(0).normal(0.3, 1.0, 21)
    exact = sign_flip(x[:20])
    assert exact * 2**20 == round(exact * 2**20)
    drawn = sign_flip([*x[:20], 0.0])  # a zero changes no p
    assert drawn == pytest.approx(exact, abs=4 * (exact / 1e5) ** 0.5)
    assert drawn == sign_flip([*x[:20], 0.0])
    assert sign_flip(np.ones(40)) == 1e-5


def test_no_differences_are_no_evidence() -> None:
    assert sign_flip([]) == sign_flip([0.0] * 8) == smallest_p(0) == smallest_p(1) == 1.0


def test_sign_flip_is_right_about_its_level() -> None:
    rows = np.random.default_rng(0).standard_t(3, (4000, 8))
    p = np.array([sign_flip(row) for row in rows])
    assert (p <= 0.05).mean() == pytest.approx(12 / 256, abs=0.011)


@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_holm_is_that_of_statsmodels(count: int) -> None:
    p = np.random.default_rng(count).beta(0.5, 20, count).round(2)  # small, with ties
    assert holm(p) == pytest.approx(tuple(multipletests(p, method="holm")[1]))


@repeatable
@given(p_values)
def test_holm_keeps_the_order_and_never_lowers_p(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


def test_questions_of_several_tables_are_one_family_by_seed() -> None:
    generator = np.random.default_rng(0)
    first, second = (dict(enumerate(generator.normal(1, 1, 8))) for _ in range(2))
    rows = [[*first.values()], [*second.values()]]
    assert jointly([first, second]) == tuple(answer.p for answer in answers(rows))
    sure, few = dict.fromkeys(range(8), 1.0), dict.fromkeys(range(6), 1.0)
    assert jointly([sure, sure]) == (smallest_p(8),) * 2
    assert jointly([few]) == (smallest_p(6),)
    assert jointly([sure, few]) == (smallest_p(8), smallest_p(6))
    assert jointly([]) == ()


def test_paired_is_the_exact_test_over_common_seeds() -> None:
    generator = np.random.default_rng(0)
    first = dict(enumerate(generator.normal(91, 1, 9)))
    second = {seed: float(generator.normal(90, 1)) for seed in (11, 7, 5, 4, 3, 2, 1, 0)}
    common = [0, 1, 2, 3, 4, 5, 7]
    x, y = ([row[seed] for seed in common] for row in (first, second))
    difference = paired(first, second)
    expected = scipy.stats.ttest_rel(x, y)
    assert difference.pairs == 7
    assert difference.mean / (difference.sd / 7**0.5) == pytest.approx(expected.statistic)
    assert difference.p == sign_flip(np.subtract(x, y))
    assert difference.interval == answers([np.subtract(x, y)])[0].interval


def test_few_pairs_have_no_p() -> None:
    rows = {seed: float(seed) for seed in range(TESTABLE)}
    zeros = dict.fromkeys(rows, 0.0)
    assert paired(rows, zeros).p == smallest_p(TESTABLE - 1)  # the first difference is 0
    del rows[0]
    five = paired(rows, zeros)
    assert (five.pairs, five.mean, five.p, five.interval) == (5, 3.0, None, None)


def test_no_pair_has_no_mean() -> None:
    nothing = paired({0: 1.0}, {1: 2.0})
    assert (nothing.pairs, nothing.interval, nothing.p) == (0, None, None)
    assert np.isnan([nothing.mean, nothing.sd]).all()
    assert np.isnan(paired({0: 1.0}, {0: 2.0}).sd)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="let a trial without a result count as the worst one"):
        paired({0: np.nan}, {0: 1.0})
    with pytest.raises(ValueError, match="nan is among the values"):
        holm([0.1, np.nan])
