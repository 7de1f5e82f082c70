import math

import pytest

from nas_bench import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (87, "87"),
        (87.5, "87.5"),
        (999.6, "1.00 k"),
        (1234, "1.23 k"),
        (144_300_000, "144 M"),
        (9.996e9, "10.0 G"),
        (math.nan, "–"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(value: float, shown: str) -> None:
    assert text.human(value) == shown


def test_one_seed_has_no_margin() -> None:
    assert text.score(97.314, None, "accuracy") == "97.31"
    assert text.score(97.5, 0.7071, "accuracy") == "97.50 ± 0.71"
    assert text.score(math.nan, None, "accuracy") == "–"


def test_losses_have_two_digits_of_their_margin_else_four() -> None:
    assert text.score(0.0123449, 0.001, "loss") == "0.0123 ± 0.0010"
    assert text.score(0.0123449, None, "loss") == "0.01234"
    assert text.score(1e-14, None, "loss") == "1.000e-14"
    assert text.score(5.8601e8, 2.87e7, "loss") == "5.860e+08 ± 2.870e+07"
    assert text.score(0.5, 1e-7, "loss") == "0.500000 ± 0.000000"
    assert text.difference(-0.0000178, (-0.0416, 0.0416), "loss") == "0.000 (−0.042 to +0.042)"
    assert text.score(12.3456, 0.1, "loss") == "12.35 ± 0.10"


def test_losses_that_have_run_away_take_no_more_digits() -> None:
    assert text.score(1.2345e19, 1e18, "loss") == "1.234e+19 ± 1.000e+18"
    assert text.difference(-2e6, None, "loss") == "−2.000e+06"
    assert text.score(99999.0, None, "loss") == "99999"


def test_seeds_are_ranges() -> None:
    assert text.ranges([8, 0, 1, 2, 5, 7]) == "0-2,5,7-8"
    assert text.ranges([]) == "–"


def test_times_are_as_people_say_them() -> None:
    times = (0.21, 12.4, 119, 301, 8000)
    assert [text.spoken(time) for time in times] == ["0.2 s", "12 s", "119 s", "5 min", "2.2 h"]


def test_differences_have_a_sign() -> None:
    assert text.difference(0.314, (-0.1, 0.4), "accuracy") == "+0.31 (−0.10 to +0.40)"
    assert text.difference(-0.001, None, "accuracy") == "0.00"
    assert text.score_between(67.3, (18.0, 100.0), "accuracy") == "67.30 (18.00 to 100.00)"
    assert text.difference(-0.314, None, "accuracy") == "−0.31"


def test_p_values_have_two_digits() -> None:
    assert [text.p_value(p) for p in (1e-5, 0.001953, 0.0313, 1.0)] == [
        "< 0.0001", "0.002", "0.031", "1",
    ]  # fmt: skip


def test_shares_that_are_small_are_not_shown_as_zero() -> None:
    assert [text.percent(share) for share in (0.0, 0.001, 0.154)] == ["0 %", "< 1 %", "15 %"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tiny[k=5]", "tiny[k=5]"),
        ("random_growth", "random_growth"),
        ("a|b", "a&#124;b"),
        ("a\n# b\r\u2028c", "a # b c"),
        ("<script>", "&#60;script&#62;"),
        ("[x](y)", "[x]&#40;y)"),
        ("__init__", "&#95;&#95;init&#95;&#95;"),
        ("`*~\\&", "&#96;&#42;&#126;&#92;&#38;"),
    ],
)
def test_names_render_as_text_in_markdown(name: str, shown: str) -> None:
    assert text.markdown(name) == shown


def test_long_names_lose_their_middle() -> None:
    assert text.shortened("a" * 30 + "b" * 30, 20) == "aaaaaaaaaaaaa…bbbbbb"


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 step"), (1.0, "1 step"), (2, "2 steps"), (0, "0 steps"), (0.5, "0.5 steps"),
     (2000, "2000 steps"), (2e9, "2e+09 steps"), (1234567, "1234567 steps")],
)  # fmt: skip
def test_counts_are_singular_where_one_and_no_two_read_the_same(count, said):
    assert text.counted(count, "step") == said


@pytest.mark.parametrize(
    ("value", "shown"),
    [(4e11, "400 G"), (8e8, "800 M"), (1.25e6, "1.25 M"), (2000, "2 k"), (999, "999"),
     (1.1e9, "1.1 G"), (1234567, "1234567"), (1234.5, "1234.5"), (0.5, "0.5"), (2.5e15, "2.5 P")],
)  # fmt: skip
def test_budgets_are_short_where_that_is_exact(value: float, shown: str) -> None:
    assert text.multiple(value) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("two\nlines\tand é → 日本", "two\nlines\tand é → 日本"),
        ("half a character \udcff", "half a character \\udcff"),
        ("\x1b[31mred\x00\r\u202e", "\\x1b[31mred\\x00\\r\\u202e"),
    ],
)
def test_what_cannot_be_shown_is_escaped_once(given: str, shown: str) -> None:
    assert text.escaped(given) == shown == text.escaped(shown)


def test_what_an_exception_says_has_a_text_whatever_it_does() -> None:
    class UnsayableError(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert text.text_of(ValueError(" no luck \n")) == "no luck"
    assert text.text_of(ValueError()) == "ValueError"
    assert text.text_of(UnsayableError()) == "its text cannot be made"
