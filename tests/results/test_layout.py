from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import trial

from nas_bench.results.layout import path_part, trial_folder
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
