import random
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.results import summary
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run, glance, read_run
from nas_bench.trials.messages import Failure, as_dict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    return ledger.trial_folder(trial())


def only_run(folder: Path) -> Run:
    (run,) = Ledger(folder.parents[4]).runs()
    return run


def test_a_torn_last_line_is_left_out_and_named(folder: Path) -> None:
    path = folder / "curve.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    run = only_run(folder)
    assert len(run.curve) == 12
    assert run.problems == (
        "curve.jsonl: the last line is torn and left out; the same command runs this trial again",
    )
    assert (run.status, run.result) == ("damaged", None)


def test_a_damaged_line_costs_only_itself(folder: Path) -> None:
    path = folder / "curve.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = b"\xff{" + lines[3]
    path.write_bytes(b"\n".join(lines))
    run = only_run(folder)
    assert len(run.curve) == 12
    assert "line 4 is damaged" in run.problems[0]


def test_a_missing_run_json_is_a_damaged_run_in_its_place(folder: Path) -> None:
    (folder / "run.json").unlink()
    run = only_run(folder)
    assert (run.status, run.method, run.seed) == ("damaged", "tiny", 0)
    assert run.problems == ("run.json is missing",)
    assert len(run.curve) == 13


def test_a_missing_curve_is_named(folder: Path) -> None:
    (folder / "curve.jsonl").unlink()
    run = only_run(folder)
    assert run.status == "damaged"
    assert run.reason == "curve.jsonl is missing; the same command runs this trial again"


def test_a_curve_without_its_end_is_a_damaged_run(folder: Path) -> None:
    path = folder / "curve.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "does not end with the result" in only_run(folder).reason


@pytest.mark.parametrize(
    ("error", "unfinished"),
    [("DataMissingError", True), ("OtherCopyError", True), ("ValueError", False)],
)
def test_a_fault_of_the_machine_leaves_a_trial_unfinished(
    tmp_path: Path, error: str, unfinished: bool
) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(trial())
    ledger.write(trial(), as_dict(Failure("failed", error, "no luck", "")))
    ledger.finish(trial())
    run = ledger.run(trial())
    assert run is not None
    assert (run.unfinished, run.state) == (unfinished, "failed")


def test_what_a_dead_driver_left_is_called_unfinished(tmp_path: Path) -> None:
    Ledger(tmp_path).begin(trial())
    run = Ledger(tmp_path).run(trial())
    assert run is not None
    assert (run.status, run.state, run.unfinished) == ("running", "unfinished", True)


def test_a_newer_schema_asks_for_an_update(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 3'))
    run = only_run(folder)
    assert run.reason == "run.json has schema 3, but this nas-bench reads 2: update it"


def test_a_line_that_was_taken_out_is_noticed(folder: Path) -> None:
    path = folder / "curve.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))
    assert only_run(folder).reason.startswith("curve.jsonl is not as it was when the trial ended")


def test_files_of_two_trials_that_were_swapped_are_noticed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    folders = []
    for seed in range(2):
        synthetic.run(ledger, trial(seed=seed))
        folders.append(ledger.trial_folder(trial(seed=seed)))
    folders[0].rename(tmp_path / "aside")
    folders[1].rename(folders[0])
    (tmp_path / "aside").rename(folders[1])
    reasons = [run.reason for run in ledger.runs()]
    assert all("that of another trial, whose place is smoke/digits" in text for text in reasons)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"status": "ok"', '"status": "failed"', "its status is failed with a result"),
        ('"seed": 0', '"seed": 1', "its seed is not that of its config"),
        ('"protocol": "smoke"', '"protocol": "../../x"', "its protocol is not that of its config"),
        ('"attempts": 1', '"attempts": "many"', "attempts: Input should be a valid integer"),
        (
            '"cpu": {',
            '"cpu": 3, "cpus": {',
            "its environment.cpu: Input should be a valid dictionary",
        ),
        ('"resolved": {}', '"resolved": {"sites": 1}', "its resolved.sites: Input should be a"),
        ('"schema": 2', '"schema": true', "its schema is not a whole number"),
        ('"step": 180', f'"step": {10**30}', "step is 1000"),
    ],
)
def test_a_run_json_that_no_driver_wrote_is_damaged(
    folder: Path, old: str, new: str, sentence: str
) -> None:
    path = folder / "run.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    run = only_run(folder)
    assert run.status == "damaged"
    assert sentence in run.reason


def test_older_schemas_are_read_as_todays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "run.json"
    older = path.read_text().replace('"schema": 2', '"schema": 0')
    path.write_text(older.replace('"attempts"', '"tries"'))
    assert "has schema 0" in only_run(folder).reason

    def attempts(values: dict) -> dict:
        values["attempts"] = values.pop("tries")
        return values

    monkeypatch.setitem(summary.UPGRADES, 0, attempts)
    run = only_run(folder)
    assert (run.status, run.attempts, run.schema) == ("ok", 1, 2)


def test_a_glance_reads_one_record_of_what_ended_well(folder: Path) -> None:
    run = glance(folder)
    assert (run.status, run.curve, run.problems) == ("ok", (run.result,), ())
    (folder / "growth.jsonl").write_text("")
    assert glance(folder).problems == read_run(folder).problems != ()


def test_damage_of_any_kind_never_raises(folder: Path) -> None:
    chance = random.Random(0)
    originals = {path: path.read_bytes() for path in folder.iterdir()}
    for _ in range(200):
        path, content = chance.choice(list(originals.items()))
        damaged = bytearray(content)
        start = chance.randrange(len(damaged))
        damaged[start : start + chance.randrange(40)] = chance.randbytes(chance.randrange(9))
        path.write_bytes(damaged)
        run = only_run(folder)
        assert run.status == "damaged" or run.config
        path.write_bytes(content)
    assert only_run(folder).problems == ()
