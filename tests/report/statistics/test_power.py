import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower

from nas_bench.report.statistics import detectable_gap, power


@pytest.mark.parametrize(("pairs", "chance"), [(5, 0.31), (10, 0.67), (15, 0.86)])
def test_power_for_a_gap_a_little_above_the_sd(pairs: int, chance: float) -> None:
    assert power(0.25, pairs, 0.3) == pytest.approx(chance, abs=0.005)


@pytest.mark.parametrize("pairs", [2, 3, 6, 10, 40])
@pytest.mark.parametrize("gap", [0.0, 0.4, -1.5, 3.0])
def test_power_is_that_of_statsmodels(pairs: int, gap: float) -> None:
    expected = TTestPower().power(abs(gap) / (0.8 * 2**0.5), pairs, 0.05, alternative="larger")
    assert power(0.8, pairs, gap, alpha=0.1) == pytest.approx(expected, abs=1e-9)


def test_power_is_how_often_independent_scores_with_this_sd_are_told_apart() -> None:
    scores = np.random.default_rng(0).normal(90, 0.5, (2, 4000, 8))
    seen = scipy.stats.ttest_rel(scores[0] + 0.6, scores[1], axis=1).pvalue <= 0.05
    assert seen.mean() == pytest.approx(power(0.5, 8, 0.6), abs=0.025)


def test_a_huge_gap_is_always_seen_and_one_pair_sees_nothing() -> None:
    for pairs in range(2, 60):
        chances = [power(1.0, pairs, 2.0**exponent) for exponent in range(18)]
        assert chances == sorted(chances)
        assert chances[-1] == pytest.approx(1.0)
    assert (power(0.0, 5, 0.1), power(0.0, 5, 0.0), power(1.0, 1, 9.0)) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("pairs", [2, 6, 30])
@pytest.mark.parametrize("chance", [0.05, 0.5, 0.8, 0.999])
def test_detectable_gap_is_seen_with_the_chance_asked_for(pairs: int, chance: float) -> None:
    gap = detectable_gap(0.25, pairs, chance)
    assert gap
    assert power(0.25, pairs, gap) == pytest.approx(chance, abs=1e-6)


def test_detectable_gap_refuses_what_has_no_answer() -> None:
    assert detectable_gap(0.25, 1) is None
    assert detectable_gap(0.0, 5) == 0.0
    with pytest.raises(ValueError, match="the chance is 1"):
        detectable_gap(0.25, 10, 1.0)
