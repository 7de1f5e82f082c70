from itertools import pairwise

import pytest

from nas_bench.specs import InputError
from nas_bench.trials.inputs import mapping, read_yaml
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.strict_yaml import SIZE, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E5", 1e5), ("-2.5e+1", -25.0), (".5", 0.5), ("1.", 1.0), ("+5", 5),
        ("-3", -3), ("0", 0), ("true", True), ("false", False), ("~", None), ("null", None),
        ("", None), ("[1, a]", [1, "a"]), ("{a: {b: 1}}", {"a": {"b": 1}}), ("'5'", "5"),
    ],
)  # fmt: skip
def test_what_everybody_reads_alike_has_its_value(text, value):
    assert read(f"x: {text}", "here") == {"x": value}


@pytest.mark.parametrize(
    "text",
    [
        "no", "yes", "on", "off", "NO", "y", "010", "-01", "01.5", "1_000", "0x10", "0o10", "0b1",
        "10:30", "1:30:00", "2024-01-01", ".inf", "-.INF", ".nan", "1e-3x", "1e", "'1e-3'", "=",
    ],
)  # fmt: skip
def test_what_only_some_read_as_a_number_or_as_yes_and_no_is_text(text):
    assert read(f"x: {text}", "here") == {"x": text.strip("'")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "here, line 3: a is given twice"),
        ("b: {x: 1, x: 1}", "here, line 1: x is given twice"),
        ("a: &x [*x]", "aliases that contain themselves"),
        ("a: &x {b: *x}", "aliases that contain themselves"),
        ("[" * 100_000, "line 1: nested deeper than 20 levels"),
        ("\n".join(" " * i + "- " for i in range(500)), "nested deeper than 20 levels"),
        ("x: " + "a" * SIZE, "has 200003 characters, more than the 200000"),
        ("x: " + "9" * 5000, "line 1: a number of 5000 digits"),
        ("x: !!python/object:os.system {}", "python/object:os.system is a tag"),
        ("x: !!int 5", "is a tag, which are not read here"),
        ("x: !mine 5", "!mine is a tag"),
        ("methods: [tiny[update=false]]", "in line 1: expected ',' or ']', but got '['; put quot"),
        ("summary: growing: it pays", "mapping values are not allowed here; put quotes"),
        ("recipe: {learning_rate: 0,001}", "001 in braces has no value: decimals take a point"),
        ("1: 2", "line 1: 1 is no name of a setting"),
        ("? [a]\n: b", "a list or group is no name of a setting"),
        ("a: 1\n---\nb: 2", "not valid YAML in line 2"),
        ("a: *b", "found undefined alias 'b'"),
        ("a: \x01", "not valid YAML: unacceptable character #x0001"),
        ("a: \ud800", "not valid YAML: unacceptable character #xd800"),
        ("a: 'b", "not valid YAML in line 1: found unexpected end"),
        ("%YAML 9.9\n---\na: 1", "not valid YAML in line 1"),
    ],
)
def test_what_can_be_misread_or_costs_memory_is_refused_with_its_line(text, said):
    with pytest.raises(InputError) as error:
        mapping(text, "here")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_aliases_are_counted_as_often_as_they_stand():
    assert mapping("a: &x [1, 2]\nb: *x", "here") == {"a": [1, 2], "b": [1, 2]}
    names = "abcdefghij"
    bomb = "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise(names)
    )
    with pytest.raises(InputError, match="more than 50000 values"):
        mapping(f"a: &a [{', '.join('1' * 10)}]\n{bomb}", "here")


def test_a_large_file_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("w") as file:
        file.write("seeds: 0-2\n")
        file.truncate(2**40)
    with pytest.raises(InputError, match="more than the 200000 that are read"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threads: yes", "threads: expected a whole number, not 'yes'"),
        ("schedule: {first: no}", "schedule.first: expected a number, not 'no'"),
        ("seeds: [yes, no]", "seeds.0: expected a whole number, not 'yes'"),
        ("schedule: {every: 010}", "schedule.every: expected a number, not '010'"),
        ("summary: [draft] x", "not valid YAML"),
        ("summary: [draft]", "summary: expected text, not ['draft']; put it in quotes"),
        ("summary: 2024", "summary: expected text, not 2024; put it in quotes"),
        ("methods: [{tiny: 1}]", "methods.0: expected text, not {'tiny': 1}; put it in quotes"),
    ],
)
def test_a_protocol_says_what_came_and_what_was_expected(text, said):
    with pytest.raises(InputError) as error:
        load_protocol("smoke", [mapping(text, "here")])
    assert said in str(error.value)
