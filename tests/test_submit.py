import json
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.results.gathering import contents
from nas_bench.results.ledger import Ledger
from nas_bench.templates import METHOD

RUN = ("--tasks", "sine", "--seeds", "0,1", "--executor", "inline", "-q")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})


@pytest.fixture
def checks(capsys):
    """What `submit` says of a ledger: its exit code, failed checks by name, and the pack."""

    def submitted(*arguments: str) -> tuple[int, dict[str, str], str | None]:
        code = status(["submit", *arguments, "--json"])
        said = json.loads(capsys.readouterr().out)
        return code, {c["name"]: c["message"] for c in said["checks"] if not c["ok"]}, said["pack"]

    return submitted


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_whole_ledger_becomes_a_pack_that_reports_read(checks, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("nas_bench.api.submission.TESTABLE", 2)
    (tmp_path / "mine.py").write_text(METHOD.format(name="mine", Name="Mine"))
    own = ["--methods", "mine,random_growth", "--plugin", "mine.py", "--results", "ours"]
    assert status(["run", *own, *RUN]) == 0
    monkeypatch.setattr(plugins, "_loaded", {})
    capsys.readouterr()
    assert checks("ours", "--rerun", "1", "--seed", "1") == (0, {}, "submission-ours.zip")
    sent = contents(tmp_path / "submission-ours.zip")
    assert {run.id for run in sent.runs} == {run.id for run in Ledger(tmp_path / "ours").runs()}
    assert sent.damage == []
    assert status(["report", "ours", "submission-ours.zip", "--figures", "none"]) == 0
    assert "Nothing shows whether submission-ours reproduces ours" in capsys.readouterr().out


def test_what_does_not_hold_is_named_and_no_pack_is_written(checks, tmp_path: Path):
    ledger = Ledger(tmp_path / "ours")
    for seed in range(2):
        synthetic.run(ledger, trial("tiny", seed))
    synthetic.fail(ledger, trial("tiny", 2))
    code, failed, pack = checks("ours", "--rerun", "0")
    assert (code, pack) == (5, None)
    assert list(tmp_path.glob("*.zip")) == []
    title = "digits · smoke v1 · same target · 12 epochs"
    (cut,) = (run for run in ledger.runs() if run.status == "diverged")
    expected = {
        "has no trial that failed": f"{cut.place} is diverged",
        "runs protocols as they come with this version": (
            f"smoke/digits/tiny/{trial().settings_id} is no trial of smoke version 4 as it comes"
        ),
        "has at least 6 seeds of each row": f"{title}: tiny has seeds 0-1",
        "has fixed and random_growth beside its methods": (
            f"{title}: no fixed; {title}: no random_growth"
        ),
    }
    assert expected.items() <= failed.items()


def test_an_empty_folder_is_no_submission(checks):
    code, failed, pack = checks("nowhere")
    assert (code, pack) == (3, None)
    assert failed["holds together, each trial within its budget"] == "there are no trials"
