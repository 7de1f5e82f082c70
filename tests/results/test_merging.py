import json
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.results.files import LedgerError
from nas_bench.results.ledger import Ledger
from nas_bench.results.merging import copy, merge


@pytest.fixture
def ledgers(tmp_path: Path) -> tuple[Ledger, Ledger]:
    return Ledger(tmp_path / "here"), Ledger(tmp_path / "there")


def merged(ledgers: tuple[Ledger, Ledger], **options) -> list[str]:
    here, there = ledgers
    return [decision.action for decision in merge([there.folder], here.folder, **options)]


def content(ledger: Ledger, config=None) -> dict[str, bytes]:
    folder = ledger.trial_folder(config or trial())
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def cut(ledger: Ledger, records: int) -> None:
    synthetic.begin(ledger, trial())
    for record in synthetic.records(trial())[:records]:
        ledger.write(trial(), synthetic.as_dict(record))
    ledger.interrupt(trial())


def test_what_is_missing_is_copied_byte_by_byte(ledgers) -> None:
    here, there = ledgers
    synthetic.run(here, trial(seed=1))
    synthetic.run(there, trial())
    synthetic.fail(there, trial("gradmax"))
    assert merged(ledgers, dry=True) == ["copied", "copied"]
    assert len(here.runs()) == 1
    assert merged(ledgers) == ["copied", "copied"]
    assert content(here) == content(there)
    assert [run.problems for run in here.runs()] == [(), (), ()]
    assert merged(ledgers) == ["kept", "kept"]
    assert not list(here.folder.glob(".merge-*"))


def test_a_result_beats_a_failure_beats_what_has_not_ended(ledgers) -> None:
    here, there = ledgers
    cut(here, 8)
    synthetic.fail(there, trial())
    before = content(here)
    assert merged(ledgers) == ["replaced"]
    assert here.status(trial()) == "diverged"
    aside = here.trial_folder(trial()) / "damaged-1"
    assert {file.name: file.read_bytes() for file in aside.iterdir()} == before

    synthetic.run(there, trial())
    assert merged(ledgers) == ["replaced"]
    assert here.status(trial()) == "ok"
    synthetic.fail(there, trial())
    assert merged(ledgers) == ["kept"]
    assert here.status(trial()) == "ok"


@pytest.mark.parametrize(("mine", "theirs", "action"), [(3, 5, "replaced"), (5, 3, "kept")])
def test_more_records_beat_fewer(ledgers, mine: int, theirs: int, action: str) -> None:
    cut(ledgers[0], mine)
    cut(ledgers[1], theirs)
    assert merged(ledgers) == [action]
    (run,) = ledgers[0].runs()
    assert len(run.curve) == 5


def test_two_results_that_differ_are_a_conflict_that_names_both_origins(ledgers) -> None:
    here, there = ledgers
    synthetic.run(here, trial())
    synthetic.run(there, trial(), spread=1.0)
    before = content(here)
    (decision,) = merge([there.folder], here.folder)
    assert decision.action == "conflict"
    assert "train_loss" in decision.reason
    assert decision.reason.count("on a CPU") == 2
    assert content(here) == before
    assert merged(ledgers, prefer="existing") == ["kept"]
    assert merged(ledgers, prefer="source") == ["replaced"]
    assert content(here) == content(there)


@pytest.mark.parametrize(("prefer", "action"), [("newest", "replaced"), ("oldest", "kept")])
def test_the_newest_or_the_oldest_can_be_preferred(ledgers, prefer: str, action: str) -> None:
    here, there = ledgers
    synthetic.run(here, trial())
    synthetic.run(there, trial(), spread=1.0)
    path = there.trial_folder(trial()) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "finished": "2999-01-01"}))
    assert merged(ledgers, prefer=prefer) == [action]


def test_clocks_alone_are_no_difference(ledgers) -> None:
    here, there = ledgers
    synthetic.run(here, trial())
    synthetic.run(there, trial())
    folder = there.trial_folder(trial())
    for name in ("curve.jsonl", "run.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace('"train": 1.', '"train": 2.'))
    summary = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**summary, "checksums": {}}))
    assert merged(ledgers) == ["kept"]


def test_what_is_damaged_is_not_copied_and_loses_against_what_is_not(ledgers) -> None:
    here, there = ledgers
    synthetic.run(here, trial())
    synthetic.run(there, trial())
    (there.trial_folder(trial()) / "curve.jsonl").unlink()
    (decision,) = merge([there.folder], here.folder)
    assert (decision.action, here.status(trial())) == ("damaged", "ok")
    (there.trial_folder(trial()) / "run.json").rename(there.folder / "away.json")
    assert merged((there, here)) == ["replaced"]
    assert there.status(trial()) == "ok"
    assert [run.problems for run in there.runs()] == [()]


def test_names_in_a_ledger_never_lead_out_of_the_results_folder(ledgers, tmp_path: Path) -> None:
    here, there = ledgers
    evil = trial(protocol="../../../evil", task="/tmp/evil")
    synthetic.run(there, evil)
    assert merged(ledgers) == ["copied"]
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside == {"here", "there"}
    assert here.trial_folder(evil).resolve().is_relative_to(here.folder.resolve())

    elsewhere = there.folder / "smoke" / "digits" / "tiny" / "00000000" / "s0"
    elsewhere.parent.mkdir(parents=True)
    there.trial_folder(evil).rename(elsewhere)
    (decision,) = merge([there.folder], here.folder)
    assert decision.action == "unreadable"
    assert "that of another trial" in decision.reason


def test_a_link_in_the_source_is_not_followed(ledgers, tmp_path: Path) -> None:
    here, there = ledgers
    synthetic.run(there, trial())
    path = there.trial_folder(trial()) / "growth.jsonl"
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    (run,) = there.runs()
    assert "it is a link" in run.reason
    with pytest.raises(LedgerError, match="it is a link, which is not followed"):
        copy(run, here.folder)
    assert merged(ledgers) == ["damaged"]
    assert here.runs() == []
