"""The schemas in docs/schema are those of today's classes, and what is published follows them."""

import json
from functools import cache
from pathlib import Path

import pytest
import synthetic
from jsonschema import Draft202012Validator
from pydantic_core import from_json
from synthetic import trial

from nas_bench.results.layout import CURVE, GROWTH, RUN
from nas_bench.results.ledger import Ledger
from nas_bench.results.schema import KINDS, schema
from nas_bench.results.summary import upgraded

ROOT = Path(__file__).parents[2]


@cache
def validator(file):
    return Draft202012Validator(schema(file))


@pytest.mark.parametrize("file", KINDS)
def test_the_schema_in_the_docs_is_todays(file):
    """Else run scripts/write_schemas.py."""
    stored = ROOT / "docs" / "schema" / f"{Path(file).stem}.schema.json"
    assert json.loads(stored.read_text("utf-8")) == schema(file)
    Draft202012Validator.check_schema(schema(file))


@pytest.mark.slow
def test_the_published_ledger_follows_the_schemas():
    """A trial of each protocol and task; what an older version wrote, as it is read."""
    runs = Ledger(ROOT / "results" / "published").glances()
    found = {(run.protocol, run.task): run for run in runs}
    assert len(found) > 10
    lines = 0
    for run in found.values():
        validator(RUN).validate(upgraded(from_json(run.source.read(RUN))))
        for file in (CURVE, GROWTH):
            for line in run.source.read(file).splitlines()[::50]:
                validator(file).validate(from_json(line))
                lines += 1
    assert lines > 20


def test_files_written_today_follow_them_and_others_do_not(tmp_path):
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial("tiny"))
    folder = ledger.trial_folder(trial("tiny"))
    written = from_json((folder / RUN).read_bytes())
    assert validator(RUN).is_valid(written)
    for change in ({"schema": 3}, {"status": "damaged"}, {"seed": "0"}, {"result": {"step": 1}}):
        assert not validator(RUN).is_valid(written | change), change
    (line, *_) = (folder / CURVE).read_bytes().splitlines()
    record = from_json(line)
    assert validator(CURVE).is_valid(record | {"train_loss": "NaN"})
    for change in ({"train_loss": "much"}, {"widths": [1.5]}, {"seconds": None}):
        assert not validator(CURVE).is_valid(record | change), change
