"""Files that are whole or not there, in folders that nobody trusts."""

import os
import threading
from pathlib import Path

import pytest

from nas_bench.results import files
from nas_bench.results.files import DamagedFileError, LedgerError, own_folder, read, replace


def test_those_who_write_one_file_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([65 + n]) * 100_000 for n in range(8)]
    failed: list[Exception] = []

    def write(content: bytes) -> None:
        try:
            for _ in range(10):
                replace(path, content)
                assert read(path, 10**6) in contents
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_killed_writers_left_goes_when_nobody_can_still_be_writing_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    old, young = (tmp_path / f".run.json.{digit * 16}.tmp" for digit in "ab")
    others = [tmp_path / f".curve.jsonl.{'c' * 16}.tmp", tmp_path / ".run.json.swp"]
    for left in (old, young, *others):
        left.touch()
    for left in (old, *others):
        os.utime(left, (1, 1))
    replace(path, b"x")
    assert set(tmp_path.iterdir()) == {path, young, *others}


def test_a_link_is_replaced_and_its_target_is_not(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    with pytest.raises(DamagedFileError, match="it is a link, which is not followed"):
        read(path, 100)
    with pytest.raises(LedgerError, match="it is a link, which is not followed"):
        files.append(path, b"x")
    replace(path, b"mine")
    assert (victim.read_bytes(), read(path, 4)) == (b"precious", b"mine")
    with pytest.raises(DamagedFileError, match="it is larger than 0 MiB"):
        read(path, 3)


@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_a_folder_of_ours_is_a_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    chosen = tmp_path / "chosen"
    chosen.symlink_to(tmp_path / "elsewhere")
    assert own_folder(chosen, "report", "figures").is_dir()
    inside = chosen / "report" / "export"
    if kind == "file":
        inside.touch()
    else:
        inside.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(LedgerError, match="it is a link or a file where a folder belongs"):
        own_folder(chosen, "report", "export", "more")
    assert [p.name for p in (tmp_path / "elsewhere").iterdir()] == ["report"]


def test_a_workshop_begins_and_ends_empty(tmp_path: Path) -> None:
    (tmp_path / ".workshop" / "left").mkdir(parents=True)
    with files.workshop(tmp_path) as made:
        assert list(made.iterdir()) == []
        assert list(made.parent.iterdir()) == [made]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".workshop").symlink_to(tmp_path.parent)
    with pytest.raises(LedgerError, match="a link"), files.workshop(tmp_path):
        pass
