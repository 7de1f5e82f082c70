"""What cannot be read here may be whole: it is named, with what helps, and left as it is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic
from packs import only, snapshot
from synthetic import trial

from nas_bench.cli import status
from nas_bench.results.checks import findings
from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.results.merging import merge
from nas_bench.results.packing import pack
from nas_bench.results.verified import Verified, read_verified, write_verified
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

CHANGES = {"tasks": ["sine"], "methods": ["fixed"], "seeds": [0], "budget": "8 epochs"}
RUN = (
    "run", "--tasks", "sine", "--methods", "fixed", "--no-baselines", "--budget", "8 epochs",
    "--executor", "inline", "-q", "--seeds", "0",
)  # fmt: skip


def newer(folder: Path) -> None:
    """As a later version of the package writes it."""
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 3'))


def another(folder: Path) -> None:
    """A whole trial, and not the one that belongs here."""
    apart = Ledger(folder.parents[5] / "apart")
    config = config_of().model_copy(update={"seed": 7})
    synthetic.run(apart, config)
    shutil.rmtree(folder)
    shutil.copytree(apart.trial_folder(config), folder)


def forbidden(path: Path) -> None:
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.chmod(0o755)
        pytest.skip("nothing is forbidden here")


def forbidden_curve(folder: Path) -> None:
    forbidden(folder / "curve.jsonl")


def forbidden_summary(folder: Path) -> None:
    forbidden(folder / "run.json")


def forbidden_folder(folder: Path) -> None:
    forbidden(folder)


KINDS = {
    newer: "update it",
    another: "move it there, or away",
    forbidden_curve: "Permission denied",
    forbidden_summary: "Permission denied",
    forbidden_folder: "Permission denied",
}


def config_of() -> TrialConfig:
    (config,) = plan(load_protocol("smoke", [CHANGES]), baselines=False)
    return config


def listing(folder: Path) -> list[tuple[str, int]]:
    found = ((path, path.lstat()) for path in sorted(folder.rglob("*")))
    return [(path.name, stat.st_mtime_ns) for path, stat in found if path.name != ".gitattributes"]


def test_a_folder_that_may_not_be_looked_into_is_named_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, config = Ledger(tmp_path / "results"), config_of()
    synthetic.run(ledger, config)
    forbidden(ledger.trial_folder(config).parents[1])
    assert ledger.contents().damage == ["smoke/sine/fixed: it cannot be read: Permission denied"]
    for verb, code in ((("status", str(ledger.folder)), 3), (("verify", str(ledger.folder)), 5)):
        assert status(verb) == code
        assert "Permission denied" in "".join(capsys.readouterr())
    assert status((*RUN, "--results", str(ledger.folder))) == 4
    assert "is left as it is: run.json cannot be read" in capsys.readouterr().err
    ledger.trial_folder(config).parents[1].chmod(0o755)
    assert [run.status for run in ledger.runs()] == ["ok"]


@pytest.mark.parametrize(
    ("change", "cure"), KINDS.items(), ids=lambda k: getattr(k, "__name__", "")
)
def test_what_cannot_be_read_is_left_as_it_is_by_all_that_write(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    cure: str,
) -> None:
    ledger, other = Ledger(tmp_path / "results"), Ledger(tmp_path / "other")
    config = config_of()
    for each in (ledger, other):
        synthetic.run(each, config)
    change(ledger.trial_folder(config))
    before = listing(ledger.folder)
    (run,) = ledger.runs()
    assert (run.status, run.result) == ("unreadable", None)
    assert cure in run.reason
    for rerun in ("none", "stale", "all"):
        assert status((*RUN, "--results", str(ledger.folder), "--rerun", rerun)) == 4
        err = capsys.readouterr().err
        assert f"is left as it is: {run.reason}" in err
        assert "failed earlier" not in err
    with pytest.raises(LedgerError, match="is left as it is"):
        ledger.begin(config)
    with pytest.raises(LedgerError, match="is left as it is"):
        list(merge([other.folder], ledger.folder))
    assert [d.action for d in merge([ledger.folder], tmp_path / "new")] == ["unreadable"]
    outcome = only(pack(ledger.folder))
    assert (outcome.action, run.reason in outcome.problems[0]) == ("refused", True)
    assert listing(ledger.folder) == before
    known = 0 if run.config else 3
    for verb, code in (("status", 0), ("verify", 5), ("report", known)):
        assert status((verb, str(ledger.folder))) == code
        assert run.reason[:30] in " ".join("".join(capsys.readouterr()).split())


def test_a_copy_is_no_trial_and_not_in_the_way_of_others(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    shutil.copytree(tmp_path / "smoke", tmp_path / "smoke-backup")
    shutil.copytree(ledger.trial_folder(trial()), ledger.trial_folder(trial(seed=1)))
    found = ledger.contents()
    assert [run.place for run in found.runs] == [
        ledger.trial_folder(trial()).relative_to(tmp_path).as_posix()
    ]
    assert [line.partition(":")[0] for line in found.aside] == [
        ledger.trial_folder(trial(seed=1)).relative_to(tmp_path).as_posix(), "smoke-backup",
    ]  # fmt: skip
    assert found.damage == []
    with pytest.raises(LedgerError, match="move it there, or away"):
        ledger.begin(trial(seed=1))
    shutil.rmtree(tmp_path / "smoke")
    (run,) = ledger.runs()
    assert (run.status, run.protocol) == ("unreadable", "smoke-backup")


def test_a_copy_that_is_not_whole_is_damage_where_a_trial_belongs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial(seed=seed))
    mine, theirs = (ledger.trial_folder(trial(seed=seed)) / "run.json" for seed in range(2))
    mine.write_bytes(theirs.read_bytes())
    assert [run.status for run in ledger.runs()] == ["damaged", "ok"]
    synthetic.run(ledger, trial())
    assert [run.status for run in ledger.runs()] == ["ok", "ok"]


def test_line_ends_and_marks_of_other_systems_are_read_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results")
    synthetic.run(ledger, trial("fixed"))
    (before,) = ledger.runs()
    outcome = Verified(
        id=before.id, curve=before.checksums["curve.jsonl"], reproduced=True, compared="bits",
        because=(), differences=(), when="today", environment={},
    )  # fmt: skip
    write_verified(before, outcome)
    for path in before.folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (run,) = ledger.runs()
    assert (run.status, run.curve, run.problems) == ("ok", before.curve, ())
    assert read_verified(run) == outcome
    assert [f for f in findings([run]) if f.check == "files"] == []
    target = Ledger(tmp_path / "target")
    assert [d.action for d in merge([ledger.folder], target.folder)] == ["copied"]
    copied = snapshot(target.folder).values()
    assert not any(b"\r" in content or b"\xef" in content for content in copied)


@pytest.mark.parametrize("verb", ["run", "merge", "pack", "unpack"])
def test_git_is_told_to_leave_the_files_alone(tmp_path: Path, verb: str) -> None:
    ledger = Ledger(tmp_path / "results")
    synthetic.run(ledger, trial())
    if verb == "merge":
        list(merge([ledger.folder], tmp_path / "target"))
        ledger = Ledger(tmp_path / "target")
    path = ledger.folder / ".gitattributes"
    if verb in ("pack", "unpack"):
        path.unlink()
        assert status((verb if verb == "pack" else "pack", str(ledger.folder))) == 0
    if verb == "unpack":
        path.unlink()
        assert status((verb, str(ledger.folder))) == 0
    assert path.read_text() == "* -text\n"
    path.write_text("mine")
    synthetic.run(Ledger(ledger.folder), trial("fixed", task="sine"))
    assert path.read_text() == "mine"


def test_a_trial_that_was_just_being_made_is_none(tmp_path: Path) -> None:
    """Its folder first, then empty files, and run.json last."""
    folder = Ledger(tmp_path).trial_folder(trial())
    folder.mkdir(parents=True)
    for name in ("", "curve.jsonl", "growth.jsonl"):
        if name:
            (folder / name).touch()
        found = Ledger(tmp_path).contents()
        assert (found.runs, found.damage, found.aside) == ([], [], [])
        assert Ledger(tmp_path).status(trial()) is None
    synthetic.run(Ledger(tmp_path), trial())
    assert not list(folder.glob("damaged-*"))
    (folder / "run.json").unlink()
    assert [run.status for run in Ledger(tmp_path).runs()] == ["damaged"]


def test_numbers_that_nothing_holds_are_damage_with_a_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    path = ledger.trial_folder(trial()) / "run.json"
    before = path.read_text()
    assert '"cores": 2' in before
    for number in ("NaN", "-Infinity", "1e400", "1" + "0" * 400):
        path.write_text(before.replace('"cores": 2', f'"cores": {number}'))
        (line,) = ledger.contents().damage
        assert line.startswith(f"{ledger.runs()[0].place}: run.json is damaged: ")
        json.dumps(ledger.runs()[0].environment, allow_nan=False)
    path.write_text(before.replace('"cores": 2', '"cores": "a: 1e400, -1e999"'))
    assert ledger.contents().damage == []


@pytest.mark.parametrize("name", ["run.json", "curve.jsonl", "growth.jsonl"])
def test_a_file_that_says_to_be_huge_is_damage_and_not_read(tmp_path: Path, name: str) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    os.truncate(ledger.trial_folder(trial()) / name, 300 * 2**30)
    (run,) = ledger.runs()
    assert run.status == "damaged"
    assert f"{name} cannot be read: it is larger than" in run.reason
