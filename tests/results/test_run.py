import random
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.results.ledger import Ledger
from nas_bench.results.run import Run


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
        "curve.jsonl: the last line is torn and left out",
        "curve.jsonl does not end with the result in run.json",
    )


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
    assert only_run(folder).problems[0] == "curve.jsonl is missing"


def test_a_newer_schema_asks_for_an_update(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    run = only_run(folder)
    assert run.reason == "run.json has schema 2, but this nas-bench reads 1: update it"


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
