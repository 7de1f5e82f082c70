import numpy as np
import pytest
import scipy.stats

from nas_bench.report.statistics import Interval, bca_interval, t_interval

SCORES = [91.2, 93.4, 90.1, 92.2, 92.9, 88.7]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_t_interval_is_scipys(level: float) -> None:
    expected = scipy.stats.ttest_1samp(SCORES, 0).confidence_interval(level)
    interval = t_interval(SCORES, level)
    assert interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_bca_interval_is_scipys_bca_of_the_mean() -> None:
    expected = scipy.stats.bootstrap(
        (SCORES,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert bca_interval(SCORES, seed=3) == Interval(expected.low, expected.high)


def test_bca_interval_repeats_and_depends_on_its_seed() -> None:
    assert bca_interval(SCORES) == bca_interval(SCORES) != bca_interval(SCORES, seed=1)


def test_too_few_values_have_no_interval_and_equal_ones_a_point() -> None:
    assert t_interval([1.0]) is None
    assert bca_interval([1.0, 2.0]) is None
    assert t_interval([0.3] * 2) == bca_interval([0.3] * 3) == Interval(0.3, 0.3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    for interval in (t_interval, bca_interval):
        with pytest.raises(ValueError, match=f"{bad} is among the values"):
            interval([1.0, 2.0, bad])


def test_t_interval_covers_the_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(7.0, 2.0, (2000, 5))
    assert coverage([t_interval(x) for x in samples], 7.0) == pytest.approx(0.95, abs=0.015)


def test_bca_interval_covers_the_mean_of_skewed_scores_nearly_as_often() -> None:
    samples = np.random.default_rng(0).exponential(1.0, (300, 20))
    assert 0.86 < coverage([bca_interval(x) for x in samples], 1.0) < 0.97


def coverage(intervals: list[Interval | None], mean: float) -> float:
    return float(np.mean([i is not None and i.low <= mean <= i.high for i in intervals]))
