import json
from collections.abc import Callable
from typing import Any

import pytest
import synthetic
from pydantic import TypeAdapter

from nas_bench.results.limits import COST, COUNT, LOSS, parser, refuse_implausible
from nas_bench.trials.messages import GrowthRecord, Record, as_dict

NUMBERS = [
    0, 1, -1, -1e-9, 0.5, 1.0, 1.0000001, COUNT, COUNT + 1, 10**40, COST, 1.1 * COST, LOSS,
    1.1 * LOSS, -1.1 * LOSS, 1e308, "NaN", "Infinity", "-Infinity", "3", None, True, "many", [1],
]  # fmt: skip
MESSAGES = [synthetic.records(synthetic.trial())[-1], synthetic.growth(30)]


def outcome(parse: Callable[[bytes], Any], line: bytes) -> str:
    """What came of it; NaN differs from itself, its text does not."""
    try:
        return repr(parse(line))
    except ValueError as error:
        return f"refused: {error}"


def variants(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The values with every number in turn in the place of every one of them."""
    found = []
    for name, value in values.items():
        for number in NUMBERS:
            found.append(values | {name: number})
            if isinstance(value, dict):
                found += [values | {name: value | {part: number}} for part in value]
            if isinstance(value, tuple):
                found.append(values | {name: [*value, number]})
    return found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_the_quick_check_refuses_what_the_slow_one_refuses(message: Record | GrowthRecord) -> None:
    kind = type(message)
    adapter, parse = TypeAdapter(kind), parser(kind)

    def slowly(line: bytes) -> Record | GrowthRecord:
        value = adapter.validate_json(line)
        refuse_implausible(value)
        return value

    lines = [json.dumps(variant).encode() for variant in variants(as_dict(message))]
    outcomes = [outcome(slowly, line) for line in lines]
    assert [outcome(parse, line) for line in lines] == outcomes
    refused = sum(text.startswith("refused") for text in outcomes)
    assert 0.2 < refused / len(lines) < 0.8
