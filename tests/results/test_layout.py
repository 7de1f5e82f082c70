from pathlib import Path

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from synthetic import trial

from nas_bench.report.comparison import comparisons
from nas_bench.results.layout import is_place, path_part, trial_folder
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Twin

HOSTILE = ["..", ".", "", "/etc/passwd", "a/../../b", "a\x00b", "~", "con\n", "x" * 300, "\ud800"]


def test_plain_names_stay_as_they_are() -> None:
    assert path_part("north_preactivation") == "north_preactivation"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_become_one_harmless_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / path_part(name)
    assert folder.resolve().parent == tmp_path.resolve()
    folder.mkdir()


@given(st.lists(st.text(max_size=80), unique=True, min_size=2, max_size=8))
def test_no_two_names_share_a_folder(names: list[str]) -> None:
    parts = [path_part(name) for name in names]
    assert len(set(parts)) == len(names)
    assert all(0 < len(part) <= 48 and part == part.lower() for part in parts)


def test_a_slug_can_not_be_taken_by_another_name() -> None:
    slug = path_part("tiny[k=5]")
    assert slug.startswith("tiny-k=5~")
    assert path_part(slug) != slug


def test_a_protocol_called_report_does_not_lie_where_the_report_is_written() -> None:
    assert path_part("report") != "report"


def test_a_twin_lies_apart_from_its_original() -> None:
    original = trial()
    twin = trial(twin=Twin(of=original.id, match="steps"))
    folders = trial_folder(original), trial_folder(twin)
    assert folders[0].parts[:2] == folders[1].parts[:2] == ("smoke", "digits")
    assert folders[0].parts[2] == "tiny"
    assert folders[1].parts[2].startswith("tiny-twin-steps~")


@pytest.mark.parametrize("name", ["damaged-1", "smoke.damaged-2", "digits.zip", "report", "s0"])
def test_no_name_means_anything_to_the_ledger(name: str, tmp_path: Path) -> None:
    config = trial(protocol=name, task=name)
    synthetic.run(Ledger(tmp_path), config)
    found = Ledger(tmp_path).contents()
    assert [(run.protocol, run.task, run.status) for run in found.runs] == [(name, name, "ok")]
    assert (found.damage, found.aside) == ([], [])
    assert len(comparisons(found.runs)) == 1


@pytest.mark.parametrize(
    ("place", "possible"),
    [
        ("smoke/digits/tiny/0123abcd/s0", True),
        ("smoke/digits/tiny-twin~01234567/0123abcd/s12", True),
        ("smoke/digits/tiny/0123abcd/s01", False),
        ("smoke/digits/tiny/0123abc/s0", False),
        ("smoke/digits/Tiny/0123abcd/s0", False),
        ("smoke/lost+found/tiny/0123abcd/s0", False),
        ("digits/tiny/0123abcd/s0", False),
        ("a/smoke/digits/tiny/0123abcd/s0", False),
    ],
)
def test_places_of_trials_have_a_form(place: str, possible: bool) -> None:
    assert is_place(place) == possible
    assert is_place(trial_folder(trial("a b", protocol="c+d")).as_posix())
