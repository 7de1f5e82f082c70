from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas_bench.report.statistics import Answer, answers, sign_flip

repeatable = settings(derandomize=True, max_examples=60)
families = st.integers(1, 7).flatmap(
    lambda seeds: st.lists(
        st.lists(st.integers(-9, 9), min_size=seeds, max_size=seeds), min_size=1, max_size=4
    )
)


def t(row: np.ndarray) -> float:
    """|Student's t|, infinite where nothing varies, 0 where nothing differs."""
    sd, mean = row.std(ddof=1) if row.size > 1 else 0.0, abs(row.mean())
    return mean / sd * row.size**0.5 if sd > 1e-12 else np.inf if mean > 1e-12 else 0.0


def is_as_large(one: float, other: float) -> bool:
    return one >= other or one == pytest.approx(other, rel=1e-6)


def defined(table: np.ndarray, place: int) -> float:
    """p of one row, by the definition: every sign flip, every row, every t."""
    seen = t(table[place])
    flips = [np.array(signs) for signs in product([1, -1], repeat=table.shape[1])]
    hits = [any(is_as_large(t(flip * row), seen) for row in table) for flip in flips]
    return sum(hits) / len(hits)


@repeatable
@given(families)
def test_max_t_is_its_definition(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=float)
    found = [answer.p for answer in answers(rows)]
    assert found == [defined(table, place) for place in range(len(rows))]


@repeatable
@given(families)
def test_an_interval_has_no_zero_exactly_where_p_is_at_most_5_percent(
    rows: list[list[int]],
) -> None:
    for answer in answers(rows):
        if answer.interval is not None:
            has_zero = answer.interval.low <= 0 <= answer.interval.high
            assert has_zero == (answer.p > 0.05)
        else:
            assert answer.p > 0.05 or len(rows[0]) >= 6


@repeatable
@given(families, st.integers(0, 3))
def test_an_interval_holds_what_the_test_would_not_reject(
    rows: list[list[int]], place: int
) -> None:
    assume(place < len(rows))
    interval = answers(rows)[place].interval
    assume(interval is not None and interval.high - interval.low > 0.1)
    assert interval
    table = np.array(rows, dtype=float)

    def p(shift: float) -> float:
        shifted = table.copy()
        shifted[place] -= shift
        return answers(list(shifted))[place].p

    for inside, outside in (
        (interval.low + 0.03, interval.low - 0.03),
        (interval.high - 0.03, interval.high + 0.03),
    ):
        assert p(inside) > 0.05
        assert p(outside) <= 0.05


def test_one_question_is_the_sign_flip_test() -> None:
    for n in (6, 9, 12):
        row = np.random.default_rng(n).normal(0.5, 1.0, n)
        assert answers([row])[0].p == sign_flip(row)


def test_more_questions_make_no_p_smaller_and_equal_ones_cost_nothing() -> None:
    table = np.random.default_rng(0).normal(0.8, 1.0, (5, 9))
    alone = [answers([row])[0].p for row in table]
    assert all(both.p >= one for both, one in zip(answers(list(table)), alone, strict=True))
    assert [answer.p for answer in answers([table[0]] * 8)] == [alone[0]] * 8


def test_ten_seeds_carry_all_pairs_of_eighteen_rows() -> None:
    """Where every seed says the same, p is 2/2¹⁰ whatever the number of questions."""
    noise = np.random.default_rng(0).normal(0, 0.01, (18, 10))
    scores = np.arange(18)[:, None] + noise
    pairs = [scores[i] - scores[j] for i in range(18) for j in range(i)]
    assert {answer.p for answer in answers(pairs)} == {2 / 2**10}


def test_many_flips_are_drawn_the_same_each_time() -> None:
    table = np.random.default_rng(0).normal(0.25, 1.0, (3, 16))
    exact = answers(list(table))
    padded = [np.append(row, [0.0] * 9) for row in table]  # zeros change no order of t
    drawn = answers(padded)
    assert drawn == answers(padded)
    for one, other in zip(exact, drawn, strict=True):
        assert other.p == pytest.approx(one.p, abs=0.01)
    assert answers([np.ones(40)])[0].p == 1e-5


def test_rows_of_other_seeds_are_refused_and_none_are_no_answer() -> None:
    assert answers([]) == ()
    assert answers([[0.0] * 8]) == (Answer(1.0, answers([[0.0] * 8])[0].interval),)
    with pytest.raises(ValueError, match="different seeds"):
        answers([[1.0, 2.0], [1.0]])


@pytest.mark.parametrize("dead", [0.0, 0.1])
def test_families_without_differences_are_seldom_significant(dead: float) -> None:
    """All pairs of six equal rows of unequal variances, some of whose seeds fail."""
    generator, tries = np.random.default_rng(1), 400
    found = 0
    for _ in range(tries):
        scores = 90 + generator.normal(0, 1, (6, 8)) * np.array([[0.1], [0.3], [1], [1], [3], [9]])
        scores[generator.random((6, 8)) < dead] = 10
        pairs = [scores[i] - scores[j] for i in range(6) for j in range(i)]
        found += min(answer.p for answer in answers(pairs)) <= 0.05
    assert found / tries <= 0.05 + 2.5 * (0.05 * 0.95 / tries) ** 0.5
