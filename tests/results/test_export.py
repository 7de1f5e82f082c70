"""Trials, records and growth events as tables that others can join."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import synthetic
from pyarrow import parquet
from synthetic import trial

from nas_bench.results.ledger import Ledger
from nas_bench.results.packing import pack
from nas_bench.results.reading import Run
from nas_bench.results.tables import Columns, as_csv, as_parquet, tables


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    ledger = synthetic.sweep(tmp_path / "ledger", seeds=2)
    synthetic.run(ledger, trial("tiny", 0, task="sine"), regression=True)
    twin = trial("tiny", twin={"of": trial("tiny").id, "match": "steps"})
    synthetic.fail(ledger, twin)
    (ledger.trial_folder(trial("fixed")) / "run.json").write_text("{")
    return ledger.runs()


def frames(runs: list[Run]) -> dict[str, pd.DataFrame]:
    return {t.name: pd.read_csv(io.BytesIO(as_csv(t)), low_memory=False) for t in tables(runs)}


def test_every_record_and_growth_event_joins_one_trial(runs: list[Run]) -> None:
    found = frames(runs)
    trials = found["trials"]
    assert len(trials) == len(runs) == trials["trial"].nunique()
    for name, count in (
        ("records", sum(len(run.curve) for run in runs)),
        ("growth", sum(len(run.growth) for run in runs)),
    ):
        joined = found[name].merge(trials, on="trial", validate="many_to_one")
        assert len(joined) == len(found[name]) == count
        assert not found[name].duplicated(["trial", "number"]).any()


def test_a_damaged_trial_is_known_by_its_place(runs: list[Run]) -> None:
    trials = frames(runs)["trials"].set_index("status")
    row = trials.loc["damaged"]
    assert row["trial"] == row["place"]
    assert "run.json is damaged" in row["problems"]
    assert trials.loc["diverged", "error"].iloc[0].startswith("DivergedError: the loss is NaN")


def test_values_come_back_as_they_were(runs: list[Run]) -> None:
    found = frames(runs)
    run = next(run for run in runs if run.status == "ok")
    records = found["records"][found["records"]["trial"] == run.id]
    last, result = records.iloc[-1], run.result
    assert result
    assert last["test_loss"] == pytest.approx(result.test_loss, rel=1e-15)
    assert last["seconds_train"] == pytest.approx(result.seconds.train, rel=1e-15)
    assert json.loads(last["widths"]) == list(result.widths)
    assert bool(last["final"])
    config = found["trials"].set_index("trial").loc[run.id, "config"]
    assert run.config
    assert json.loads(str(config)) == run.config.model_dump(mode="json")


def test_parquet_holds_the_same_with_types(runs: list[Run]) -> None:
    for table in tables(runs):
        found = parquet.read_table(io.BytesIO(as_parquet(table)))
        assert found.column_names == list(table.kinds)
        assert found.num_rows == len(table.rows)
        shown = found.to_pylist()
        for row, read in zip(table.rows, shown, strict=True):
            for name in table.kinds:
                value = row.get(name)
                assert read[name] == (list(value) if isinstance(value, tuple) else value)
    types = {field.name: str(field.type) for field in found.schema}
    assert types["gains"].startswith("list<")
    assert (types["step"], types["threshold"]) == ("int64", "double")


@pytest.mark.parametrize("form", [as_csv, as_parquet])
def test_the_same_ledger_gives_the_same_bytes_packed_or_not(tmp_path: Path, form) -> None:
    ledger = synthetic.sweep(tmp_path / "ledger", seeds=1)
    before = [form(table) for table in tables(ledger.runs())]
    list(pack(ledger.folder))
    assert [form(table) for table in tables(Ledger(ledger.folder).runs())] == before


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("a=b", "a=b"),
        ("\x1b[2J\ttab\r\nline", "\\u001b[2J\\ttab\\r\\nline"),
        ("\r=1", "\\r=1"),
        ("\u202eevil", "\\u202eevil"),
        ("naïve, “quoted”", "naïve, “quoted”"),
        ("\ud800", "\\ud800"),
    ],
)
def test_no_cell_is_a_formula_or_has_control_characters(text: str, cell: str) -> None:
    table = Columns("t", {"word": "text", "number": "real"}, [{"word": text, "number": -1.5}])
    (_, row) = csv.reader(io.StringIO(as_csv(table).decode()))
    assert row == [cell, "-1.5"]


def test_numbers_that_do_not_fit_are_missing(runs: list[Run]) -> None:
    run = replace(runs[0], attempts=10**40, label="\ud800")
    rows = parquet.read_table(io.BytesIO(as_parquet(tables([run])[0]))).to_pylist()
    assert (rows[0]["attempts"], rows[0]["method"]) == (None, "\\ud800")


def test_an_empty_ledger_has_the_same_columns(runs: list[Run]) -> None:
    for full, empty in zip(tables(runs), tables([]), strict=True):
        assert full.kinds == empty.kinds
        assert parquet.read_table(io.BytesIO(as_parquet(empty))).num_rows == 0
