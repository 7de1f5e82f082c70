"""Numbers look the same on the page as in the tables beside it."""

from importlib.resources import files
from typing import Any

import pytest

from nas_bench import text

pytestmark = pytest.mark.slow

NUMBERS = (
    1125,
    0.125,
    0,
    1,
    9.99,
    12.345,
    99.95,
    999.4,
    999.5,
    1000,
    1234,
    96_500,
    999_499,
    999_500,
    1e6,
)
SMALL = (0.1, 0.0123, 0.001, 0.5, 3.25e9, 7.5e17, 1e21)


@pytest.fixture
def called(opened: Any) -> Any:
    """Calls a function of the page's `text.js`."""
    code = (files("nas_bench.report") / "page" / "text.js").read_text(encoding="utf-8")
    tab = opened()

    def call(name: str, values: list[Any]) -> list[str]:
        return tab.evaluate(
            f"values => {{ {code}; return values.map(v => {name}(...v)); }}", values
        )

    return call


def test_sizes_are_those_of_the_tables(called: Any) -> None:
    values = [*NUMBERS, *SMALL]
    assert called("human", [[value] for value in values]) == [text.human(v) for v in values]


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_scores_are_those_of_the_tables(called: Any, metric: str) -> None:
    values = [97.314, 97.125, 97.375, 0.51234, 12.5, 0.00123, 100, 1e-14, 5.8601e8, 0]
    expected = [text.score(value, None, metric) for value in values]
    assert called("score", [[value, metric] for value in values]) == expected


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_differences_are_those_of_the_tables(called: Any, metric: str) -> None:
    values = [(0.314, -0.1, 0.4), (-1.78e-5, -0.0416, 0.0416), (-2e6, -3e6, 1e5), (0.5, 0.4, 9.0)]
    shown = called("signed", [[mean, metric, (high - low) / 2] for mean, low, high in values])
    ends = called("range", [[mean, [low, high], metric] for mean, low, high in values])
    expected = [text.difference(mean, (low, high), metric) for mean, low, high in values]
    assert [f"{mean} ({end})" for mean, end in zip(shown, ends, strict=True)] == expected


def test_shares_and_seconds_are_those_of_the_tables(called: Any) -> None:
    shares, seconds = [0, 0.001, 0.0049, 0.073, 0.5, 1], [0, 0.26, 9.96, 99.9, 100, 12345.6]
    assert called("percent", [[v] for v in shares]) == [text.percent(v) for v in shares]
    assert called("duration", [[v] for v in seconds]) == [text.duration(v) for v in seconds]


def test_p_values_are_those_of_the_tables(called: Any) -> None:
    values = [1e-5, 0.00012, 0.0312, 0.05, 0.0547, 0.999, 1]
    assert called("pNumber", [[p] for p in values]) == [text.p_value(p) for p in values]


def test_what_is_not_known_is_a_dash(called: Any) -> None:
    for name in ("human", "percent", "duration"):
        assert called(name, [[None]]) == ["–"]
    assert called("score", [[None, "loss"]]) == ["–"]


def test_seeds_are_ranges(called: Any) -> None:
    assert called("seedList", [[[0, 1, 2, 5]], [[3, 4]], [[7]]]) == ["0–2, 5", "3, 4", "7"]
    assert called("seedWords", [[[0, 1]], [[7]]]) == ["seeds 0, 1", "seed 7"]
