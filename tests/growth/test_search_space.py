import pytest

from nas_bench.growth import Choice, LogUniform


def test_a_range_goes_from_its_low_to_its_high_end_by_factors():
    values = LogUniform(0.01, 100.0)
    assert [values.at(share) for share in (0.0, 0.25, 0.5, 1.0)] == [0.01, 0.1, 1.0, 100.0]


def test_a_choice_gives_each_value_the_same_share():
    values = Choice(("a", "b", "c", "d"))
    assert [values.at(share) for share in (0.0, 0.24, 0.26, 0.74, 0.76, 1.0)] == list("aabcdd")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_a_range_needs_two_positive_ends(low, high):
    with pytest.raises(ValueError, match="expected 0 < low < high"):
        LogUniform(low, high)


def test_a_choice_needs_a_value():
    with pytest.raises(ValueError, match="expected at least one value"):
        Choice(())
