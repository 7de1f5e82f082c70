import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_bench.specs import InputError, Spec, parse, short_names, specs, spelled, unknown, value_of
from nas_bench.trials.inputs import setting


def test_a_list_splits_at_commas_outside_brackets():
    text = "tiny[k=5,projection=false], gradmax,mnist[target_widths=[20,10],seed_widths=[1,1]]"
    assert specs(text) == [
        "tiny[k=5,projection=false]",
        "gradmax",
        "mnist[target_widths=[20,10],seed_widths=[1,1]]",
    ]


def test_a_quote_may_stand_in_quotes():
    spec = Spec("t", {"a": 'x",\\', "b": "\\"})
    assert parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["tiny,,gradmax", "", "tiny,", "tiny[k=5", "tiny]k=5[", 'a[b="]'])
def test_a_malformed_list_is_refused(text):
    with pytest.raises(InputError, match=r"empty element|do not match"):
        specs(text)


@pytest.mark.parametrize(
    "text", ["", "[k=5]", "tiny[k=5]x", "ti ny", "../tiny", "1tiny", "tiny=5"]
)
def test_what_is_no_name_with_options_is_refused(text):
    with pytest.raises(InputError, match="is not of the form name"):
        parse(text)


@pytest.mark.parametrize("text", ["tiny[k]", "tiny[=5]", "tiny[k=]", "tiny[k=5,]", "tiny[5=k]"])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(InputError, match="is not of the form option=value"):
        parse(text)


def test_an_option_given_twice_is_refused():
    with pytest.raises(InputError, match="twice"):
        parse("tiny[k=5,k=6]")


def test_options_are_json_values_lists_of_words_or_text():
    parsed = parse('t[a=5,b=1e-3,c=false,d=[20,10],e=relu,f=null,g="x,]",h=[p,q],i=[[1],[2,3]]]')
    assert parsed == Spec(
        "t",
        {
            "a": 5,
            "b": 1e-3,
            "c": False,
            "d": [20, 10],
            "e": "relu",
            "f": None,
            "g": "x,]",
            "h": ["p", "q"],
            "i": [[1], [2, 3]],
        },
    )


def test_empty_brackets_are_no_options():
    assert parse("tiny[]") == parse("tiny") == Spec("tiny")


def test_a_spec_is_written_with_sorted_options():
    assert str(Spec("tiny", {"update": False, "k": 5})) == "tiny[k=5,update=false]"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, min_size=1, max_size=3),
    max_leaves=5,
)


@given(VALUES)
def test_a_written_value_reads_back(value):
    assert value_of(spelled(value)) == value


@given(st.dictionaries(st.sampled_from("abc"), VALUES))
def test_a_written_spec_reads_back(options):
    spec = Spec("tiny", options)
    assert parse(str(spec)) == spec
    assert specs(f"{spec},{spec}") == [str(spec)] * 2


def test_paths_are_shown_with_as_much_as_tells_them_apart():
    names = {
        't[path="/home/me/a/x.npz"]': 't[path="a/x.npz"]',
        't[path="/home/me/b/x.npz"]': 't[path="b/x.npz"]',
        't[path="/home/me/y.npz",target_widths=[1]]': "t[path=y.npz,target_widths=[1]]",
        "mnist": "mnist",
    }
    assert short_names(names) == names
    assert short_names(["a/b[", "a/b["]) == {"a/b[": "a/b["}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('t[a={"x":1,"x":2}]', "x is given twice"),
        (f"t[a={'[' * 30}{']' * 30}]", "is nested deeper than 20 brackets"),
        (f"t[a={'[' * 5000}]", "do not match"),
    ],
)
def test_options_are_read_as_strictly_as_settings(text, said):
    with pytest.raises(InputError, match=said):
        parse(text)


def test_an_unknown_name_gets_its_neighbour():
    assert unknown("method", "tni", ["tiny", "gradmax"]) == (
        "unknown method 'tni': did you mean tiny?"
    )


def test_an_unknown_name_without_neighbour_gets_all_names():
    sentence = "unknown method 'xyz': choose from gradmax, tiny"
    assert unknown("method", "xyz", ["tiny", "gradmax"]) == sentence


@pytest.mark.parametrize(("text", "value"), [(".001", 0.001), ("-.5e1", -5.0), ("1.", 1.0)])
def test_numbers_may_be_written_as_python_writes_them(text, value):
    assert value_of(text) == value
    assert setting(f"validation={text}") == {"validation": value}


@pytest.mark.parametrize("text", ["010", ".", "1.2.3", "e5", "1_0"])
def test_what_only_looks_like_a_number_stays_text(text):
    assert value_of(text) == text
