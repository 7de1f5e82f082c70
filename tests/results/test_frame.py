from pathlib import Path

import pytest
import synthetic
from synthetic import trial

import nas_bench
from nas_bench.results.frame import events
from nas_bench.results.ledger import Ledger


def test_every_record_is_a_row(tmp_path: Path) -> None:
    synthetic.run(Ledger(tmp_path), trial())
    frame = nas_bench.load_results(tmp_path)
    assert len(frame) == 13
    assert frame.columns[:4].tolist() == ["protocol", "kind", "task", "method"]
    last = frame[frame.final == True].iloc[0]  # noqa: E712  a column of objects
    expected = synthetic.records(trial())[-1]
    assert (last.test_accuracy, last.widths) == (expected.test_accuracy, expected.widths)
    assert last.seconds_line_search == expected.seconds.line_search
    assert last.id == trial().id


def test_a_trial_without_records_is_a_row_of_missing_values(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    ledger.begin(trial(seed=1))
    ledger.finish(trial(seed=1))
    frame = nas_bench.load_results(tmp_path)
    row = frame[frame.seed == 1].iloc[0]
    assert (row.status, len(frame)) == ("failed", 14)
    assert row.error == "NoResultError: the trial ended without a result"
    assert row[["step", "test_loss", "parameters"]].isna().all()


def test_growth_events_carry_the_trial_and_their_costs(tmp_path: Path) -> None:
    synthetic.run(Ledger(tmp_path), trial())
    frame = events(tmp_path)
    assert frame.step.tolist() == [30, 60, 90]
    assert frame.flops_line_search.tolist() == [3e6] * 3
    assert set(frame.method) == {"tiny"}


def test_an_empty_ledger_has_columns_and_no_rows(tmp_path: Path) -> None:
    assert nas_bench.load_results(tmp_path).empty
    assert "test_accuracy" in nas_bench.load_results(tmp_path)
    assert "gains" in events(tmp_path)


def test_damage_is_named_beside_the_rows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    (ledger.trial_folder(trial()) / "growth.jsonl").unlink()
    (problem,) = nas_bench.load_results(tmp_path).attrs["problems"]
    assert "s0: growth.jsonl is missing; the same command runs" in problem


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(nas_bench.InputError, match="no results folder at"):
        nas_bench.load_results(tmp_path / "nowhere")
