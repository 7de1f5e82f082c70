"""What people may type where a protocol has a field: it is taken, or one sentence says why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from nas_bench.cli import status
from nas_bench.options import options_of
from nas_bench.specs import InputError, parse, specs
from nas_bench.training.task import Recipe
from nas_bench.trials.inputs import budget, mapping, seeds, setting
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import Protocol, load_protocol

VALUES = (
    "", "x", "yes", "no", "True", "null", "true", "~", "nan", "NaN", ".inf", "Infinity", "1e400",
    "0", "-1", "1", "2.5", "1e6", "1e18", "-1e300", "9" * 30, "9" * 300, "9" * 5000, "010", "1:30",
    "1_000", "0x10", "٣", "[]", "[1]", "[[1]]", "[x, y]", "[null]", "[true]", "[1e400]", "{}",
    "{a: 1}", '{"a": 1}', '{"a": 1, "a": 2}', '{"steps": 1e30}', "[" * 5000, "[" * 25 + "]" * 25,
    '"\\ud800"', "a\tb", "tiny[", "tiny[x=1]", "tiny[ridge=nan]", "../../x", "a" * 3000,
    "{epochs: 1, steps: 1}", "0-9999999999", "5-1", "20 minutes", "1e30 epochs", "-0", "1.0",
)  # fmt: skip


def fields(model=Protocol, prefix=""):
    """Dotted names of everything that a protocol has."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{name}.")


FIELDS = [*fields(), *(f"recipe.{name}" for name in options_of(Recipe)), "recipe.x", "x.y", "x"]


def read(reader):
    """What was read, or what was said instead."""
    try:
        return reader()
    except InputError as error:
        return str(error)


def planned(change):
    """Number of trials, or what was said instead."""
    return read(lambda: len(plan(load_protocol("smoke", [change()]))))


def is_good(outcome):
    """Whether that is a plan of no unheard-of size, or one sentence."""
    if isinstance(outcome, int):
        return 0 < outcome < 1000
    return outcome and len(outcome) < 500 and outcome.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_any_value_of_any_field_is_taken_or_refused_in_one_sentence(field):
    last = field.rpartition(".")[2]
    for value in VALUES:
        text = ": ".join([*field.split("."), value]).replace(": ", ": {", field.count("."))
        text += "}" * field.count(".")
        outcomes = {
            "--set": planned(lambda value=value: setting(f"{field}={value}")),
            "YAML": planned(lambda text=text: mapping(text, "here")),
        }
        for way, outcome in outcomes.items():
            assert is_good(outcome), (way, value[:40], outcome)
            if way == "--set" and isinstance(outcome, str) and value[:1] not in '"[{':
                said = last in outcome or repr(value)[1:5] in outcome
                assert said, (value[:40], outcome)


SCRAPS = st.sampled_from(
    ["a", "b", "seeds", ":", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&x ", "*x",
     "!!str ", "'", '"', "|", ">", "#", "?", "%YAML 1.2", "---", "...", "\t", "<<", "1", "no",
     "é", "\x00", "\ud800", "@", "`", "0,5", "tiny[k=5]", "\\"]
)  # fmt: skip


@given(st.lists(SCRAPS, max_size=30).map("".join) | st.text(max_size=60))
def test_any_yaml_is_a_mapping_or_refused_in_one_sentence(text):
    found = read(lambda: mapping(text, "here"))
    assert isinstance(found, dict) or is_good(found)


@given(st.lists(SCRAPS, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_for_an_option_is_read_or_refused_in_one_sentence(text):
    for reader in (seeds, budget, setting, specs, parse):
        found = read(lambda reader=reader: reader(text))
        assert not isinstance(found, str) or is_good(found), reader


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("--seeds", "0-99999999", "more than 10000"),
        ("--set", "threads=1000000", "threads: expected a number of at most 1024, not 1000000"),
        ("--set", f"seeds=[{2**63}]", "seeds.0: expected a number less than 1e+09"),
        ("--set", "schedule.growths=1000000000", "growths: expected a number of at most 10000"),
        ("--set", "schedule=5", "schedule: expected a group of settings"),
        ("--tasks", "digits[target_widths=[1000000000,1]]", "whole numbers from 1 to 100000"),
        (
            "--tasks",
            "digits[target_widths=[100000,100000]]",
            "10.0 G parameters, more than 2.00 G",
        ),
        ("--methods", "fixed[widths=[100000,100000]]", "10.0 G parameters, more than 2.00 G"),
        ("--tasks", "sine[samples=1000000000000]", "from 10 to 10^7"),
        ("--methods", "north_preactivation[candidates=1000000000]", "from 1 to 10^6"),
        ("--methods", "gradmax[samples=99999999999999999999999]", "from 1 to 10^9"),
        ("--tasks", "image_arrays[path=~nobody9/x]", "path ~nobody9/x begins with no user's home"),
        ("--tasks", f"sine[samples={'9' * 4000}]", "from 10 to 10^7"),
        ("--set", f"name={'a' * 300}", "name: expected text of at most 100 letters"),
    ],
)
def test_numbers_that_would_cost_memory_are_refused_before_they_do(name, value, said, capsys):
    assert status(["plan", name, value]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
