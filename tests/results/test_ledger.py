import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Failure, as_dict


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "results")


def content(ledger: Ledger, seed: int = 0) -> dict:
    return json.loads((ledger.trial_folder(trial(seed=seed)) / "run.json").read_text())


def test_a_trial_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    synthetic.run(ledger, trial())
    (run,) = ledger.runs()
    assert run.curve == tuple(synthetic.records(trial()))
    assert [event.step for event in run.growth] == [30, 60, 90]
    assert run.result == run.curve[-1]
    assert (run.status, run.problems, run.config) == ("ok", (), trial())
    assert run.environment == synthetic.ENVIRONMENT


def test_the_stable_fields_come_first(ledger: Ledger) -> None:
    synthetic.run(ledger, trial())
    assert list(content(ledger))[:5] == ["method", "task", "protocol", "seed", "status"]


def test_begin_stores_the_environment_and_loaded_adds_the_workers(ledger: Ledger) -> None:
    ledger.begin(trial(), {"driver": 1})
    ledger.write(trial(), {"type": "loaded", "environment": {"device": "cpu"}})
    assert content(ledger)["environment"] == {"driver": 1, "device": "cpu"}
    assert content(ledger)["attempts"] == 1


def test_a_trial_without_a_final_record_failed(ledger: Ledger) -> None:
    ledger.begin(trial())
    ledger.write(trial(), as_dict(synthetic.records(trial())[0]))
    ledger.finish(trial())
    (run,) = ledger.runs()
    assert (run.status, run.result) == ("failed", None)
    assert run.reason == "NoResultError: the trial ended without a result"
    assert run.sizes["parameters"] == run.curve[0].parameters


def test_scores_that_were_not_measured_are_null_and_read_back(ledger: Ledger) -> None:
    said = synthetic.records(trial(), earlier=False)
    synthetic.run(ledger, trial(), earlier=False)
    (run,) = ledger.runs()
    assert list(run.curve) == said
    lines = (run.folder / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["test_loss"] for line in lines] == [r.test_loss for r in said]
    assert sum(record.test_accuracy is None for record in run.curve) == 9


def test_a_failure_after_the_final_record_leaves_no_result(ledger: Ledger) -> None:
    ledger.begin(trial())
    ledger.write(trial(), as_dict(synthetic.records(trial())[-1]))
    ledger.write(trial(), as_dict(Failure("oom", "MemoryError", "too large\nby far", "…")))
    assert ledger.status(trial()) == "oom"
    ledger.finish(trial())
    (run,) = ledger.runs()
    assert (run.status, run.result, run.reason) == ("oom", None, "MemoryError: too large")


def test_an_interrupted_trial_is_preempted(ledger: Ledger) -> None:
    ledger.begin(trial())
    ledger.interrupt(trial())
    assert ledger.status(trial()) == "preempted"


def test_what_a_dead_driver_left_reads_as_running(ledger: Ledger) -> None:
    assert ledger.status(trial()) is None
    ledger.begin(trial())
    ledger.write(trial(), as_dict(synthetic.records(trial())[0]))
    other = Ledger(ledger.folder)
    assert other.status(trial()) == "running"
    assert len(other.runs()[0].curve) == 1


def test_a_rerun_begins_anew_and_counts(ledger: Ledger) -> None:
    synthetic.fail(ledger, trial())
    synthetic.run(Ledger(ledger.folder), trial())
    (run,) = ledger.runs()
    assert (run.status, run.attempts, run.error) == ("ok", 2, None)
    assert len(run.curve) == 13


def test_nothing_is_written_to_a_trial_that_is_not_open(ledger: Ledger) -> None:
    record = as_dict(synthetic.records(trial())[0])
    with pytest.raises(LedgerError, match="not open"):
        ledger.write(trial(), record)
    synthetic.run(ledger, trial())
    with pytest.raises(LedgerError, match="write nothing after its end"):
        ledger.write(trial(), record)
    assert len(ledger.runs()[0].curve) == 13


def test_damaged_files_are_set_aside_when_the_trial_begins_again(ledger: Ledger) -> None:
    synthetic.run(ledger, trial())
    folder = ledger.trial_folder(trial())
    path = folder / "run.json"
    path.write_text(path.read_text().replace(trial().id, "0" * 16))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    synthetic.run(ledger, trial())
    assert ledger.set_aside == [folder / "damaged-1"]
    assert {file.name: file.read_bytes() for file in ledger.set_aside[0].iterdir()} == before
    (run,) = ledger.runs()
    assert (run.status, run.problems) == ("ok", ())

    (folder / "curve.jsonl").unlink()
    (folder / "curve.jsonl").mkdir()
    synthetic.run(ledger, trial())
    assert ledger.set_aside[1:] == [folder / "damaged-2"]
    assert [run.problems for run in ledger.runs()] == [()]


def test_what_was_only_cut_off_is_not_set_aside(ledger: Ledger) -> None:
    ledger.begin(trial())
    (ledger.trial_folder(trial()) / "curve.jsonl").write_text('{"step": 1')
    synthetic.run(Ledger(ledger.folder), trial())
    assert not list(ledger.trial_folder(trial()).glob("damaged-*"))


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("kind", ["link", "file"])
def test_nothing_is_written_through_a_link_or_over_a_file(
    ledger: Ledger, tmp_path: Path, depth: int, kind: str
) -> None:
    folder = ledger.trial_folder(trial())
    place = [folder, *folder.parents][depth]
    place.parent.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.symlink_to(elsewhere) if kind == "link" else place.write_text("precious")
    found = ledger.contents()
    highest = ledger.folder / "smoke"
    assert (found.runs, [path for path, _ in found.strays]) == ([], [highest])
    assert depth < 4 or kind in found.strays[0].reason
    synthetic.run(ledger, trial())
    (moved,) = ledger.set_aside
    assert moved.is_symlink() or moved.read_text() == "precious"
    assert not list(elsewhere.iterdir())
    assert [run.status for run in ledger.runs()] == ["ok"]


def test_another_trial_in_the_same_place_is_not_overwritten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrialConfig.identities
    monkeypatch.setattr(TrialConfig, "identities", lambda self: (real(self)[0], "0" * 8))
    synthetic.run(ledger, trial())
    with pytest.raises(LedgerError, match="move it away"):
        ledger.begin(trial(budget=synthetic.Budget(epochs=99)))


def test_infinite_and_undefined_numbers_survive_in_strict_json(ledger: Ledger) -> None:
    ledger.begin(trial())
    record = synthetic.records(trial())[-1]
    odd = replace(record, train_loss=float("nan"), test_loss=float("inf"))
    ledger.write(trial(), as_dict(odd))
    ledger.finish(trial())

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for path in ledger.trial_folder(trial()).iterdir():
        for line in (
            path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        ):
            json.loads(line, parse_constant=refuse)
    (run,) = ledger.runs()
    assert run.problems == ()
    assert run.curve[0].train_loss != run.curve[0].train_loss
    assert run.curve[0].test_loss == float("inf")


def test_a_results_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(LedgerError, match=r"cannot write .*results"):
        Ledger(tmp_path / "results").begin(trial())


FULL = """
import resource, sys
from pathlib import Path
import synthetic
from nas_bench.results.ledger import Ledger, LedgerError

ledger = Ledger(Path(sys.argv[1]))
ledger.begin(synthetic.trial())
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    for record in synthetic.records(synthetic.trial()):
        ledger.write(synthetic.trial(), synthetic.as_dict(record))
    ledger.finish(synthetic.trial())
except LedgerError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [100, 2000, 5000])
def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(ledger: Ledger, limit: int) -> None:
    arguments = [sys.executable, "-c", FULL, str(ledger.folder), str(limit)]
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(synthetic.__file__).parent,
    )
    assert "larger than allowed" in done.stdout
    (run,) = ledger.runs()
    assert run.status == "running"
    assert run.problems == ()
    assert run.curve == tuple(synthetic.records(trial())[: len(run.curve)])
    assert not list(run.folder.glob(".*"))


def test_home_folders_of_people_are_left_out_of_what_failed(ledger: Ledger) -> None:
    home = str(Path.home())
    said = f'File "{home}/venv/x.py", line 3\nFile "/home/alice/y.py"\nFile "/opt/home/z.py"'
    ledger.begin(trial())
    failure = Failure("failed", "FileNotFoundError", f"no such file: '{home}/data.npz'", said)
    ledger.write(trial(), as_dict(failure))
    ledger.finish(trial())
    error = ledger.runs()[0].error
    assert error is not None
    assert error["message"] == "no such file: '~/data.npz'"
    assert error["traceback"].splitlines() == [
        'File "~/venv/x.py", line 3', 'File "~/y.py"', 'File "/opt/home/z.py"',
    ]  # fmt: skip


def test_of_what_an_exception_says_both_ends_are_stored(ledger: Ledger) -> None:
    said = "Traceback\n" + "frame\n" * 10**6 + "ValueError: no luck"
    failure = Failure("failed", "E" * 1000, "x" * 10**7, said)
    assert len(failure.error) < 250
    assert len(failure.message) < 10_100
    assert len(failure.traceback) < 100_100
    assert failure.traceback.startswith("Traceback\nframe")
    assert failure.traceback.endswith("frame\nValueError: no luck")
    ledger.begin(trial())
    ledger.write(trial(), as_dict(failure))
    ledger.finish(trial())
    (run,) = ledger.runs()
    assert (run.status, run.damage) == ("failed", [])
