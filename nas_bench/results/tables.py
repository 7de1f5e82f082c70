"""The ledger as three tidy tables, in columns of one type each: trials, records, growth events."""

import csv
import io
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nas_bench.results import files
from nas_bench.results.frame import MEASURED, PARTS, event_row, record_row
from nas_bench.results.reading import Run
from nas_bench.text import harmless
from nas_bench.trials.messages import GrowthRecord, Record, Seconds

Kind = Literal["text", "whole", "real", "truth", "wholes", "reals"]

_KINDS: dict[Any, Kind] = {
    str: "text",
    int: "whole",
    float: "real",
    bool: "truth",
    tuple[int, ...]: "wholes",
    tuple[float, ...]: "reals",
}
_TRIAL: dict[str, Kind] = {
    "trial": "text", "protocol": "text", "version": "whole", "kind": "text", "task": "text",
    "method": "text", "spec": "text", "seed": "whole", "settings_id": "text", "twin_of": "text",
    "twin_match": "text", "budget": "text", "status": "text", "error": "text",
    "attempts": "whole", "started": "text", "finished": "text", "place": "text",
    "problems": "text", "config": "text", "environment": "text",
}  # fmt: skip
_ORDER: dict[str, Kind] = {"trial": "text", "number": "whole"}


@dataclass(frozen=True)
class Columns:
    """A table.

    Attributes:
        name: such as trials.
        kinds: of its columns, in order.
        rows: by column; what is missing is None.
    """

    name: str
    kinds: Mapping[str, Kind]
    rows: Sequence[Mapping[str, Any]]


def tables(runs: Sequence[Run]) -> tuple[Columns, Columns, Columns]:
    """Trials, records and growth events, to be joined on `trial`.

    `trial` is the id, or the place of a trial whose `run.json` cannot be read; the `number` of a
    record or growth event counts from 1.
    """
    records = [
        _numbered(run, number) | record_row(record)
        for run in runs
        for number, record in enumerate(run.curve, start=1)
    ]
    events = [
        _numbered(run, number) | event_row(event)
        for run in runs
        for number, event in enumerate(run.growth, start=1)
    ]
    return (
        Columns("trials", _TRIAL, list(map(_trial, runs))),
        Columns("records", _record_kinds(), records),
        Columns("growth", _growth_kinds(events), events),
    )


def as_csv(table: Columns) -> bytes:
    """Comma-separated values: missing ones empty, lists as JSON.

    Texts that a spreadsheet would run as a formula begin with an apostrophe, and characters
    that are not printable are written as escapes.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(table.kinds)
    for row in table.rows:
        writer.writerow([_cell(row.get(name), kind) for name, kind in table.kinds.items()])
    return written.getvalue().encode(errors="backslashreplace")


def as_parquet(table: Columns) -> bytes:
    """Parquet; needs pyarrow.

    Raises:
        ImportError: without it.
    """
    import pyarrow as pa
    from pyarrow import parquet

    whole, real = pa.int64(), pa.float64()
    made = {
        "text": pa.string(), "whole": whole, "real": real, "truth": pa.bool_(),
        "wholes": pa.list_(whole), "reals": pa.list_(real),
    }  # fmt: skip
    schema = pa.schema([(name, made[kind]) for name, kind in table.kinds.items()])
    rows = [
        {name: _fitting(row.get(name), kind) for name, kind in table.kinds.items()}
        for row in table.rows
    ]
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _key(run: Run) -> str:
    return run.id or run.place


def _numbered(run: Run, number: int) -> dict[str, Any]:
    return {"trial": _key(run), "number": number}


def _trial(run: Run) -> dict[str, Any]:
    config = run.config
    asked = {
        "version": config.version,
        "budget": str(config.budget),
        "twin_of": config.twin.of if config.twin else None,
        "twin_match": config.twin.match if config.twin else None,
        "config": _json(config.model_dump(mode="json")),
        "environment": _json(run.environment),
    } if config else {}  # fmt: skip
    names = ("protocol", "task", "seed", "settings_id", "status", "attempts", "started")
    return {
        **{name: getattr(run, name) for name in names},
        "trial": _key(run),
        "kind": run.kind or None,
        "method": run.label,
        "spec": run.method,
        "error": run.reason or None,
        "finished": run.finished,
        "place": run.place,
        "problems": "; ".join(run.problems) or None,
        **asked,
    }


def _json(value: Any) -> str:
    return files.as_json(value).decode().strip()


def _record_kinds() -> dict[str, Kind]:
    clocks: dict[str, Kind] = {f"seconds_{clock.name}": "real" for clock in fields(Seconds)}
    measured = _kinds(Record)
    kinds: dict[str, Kind] = {name: measured.get(name, "real") for name in MEASURED}
    return _ORDER | kinds | clocks


def _growth_kinds(events: Sequence[Mapping[str, Any]]) -> dict[str, Kind]:
    names = [f"{unit}_{part}" for unit in ("flops", "seconds") for part in PARTS]
    known = _kinds(GrowthRecord)
    others = sorted({name for event in events for name in event} - {*_ORDER, *known, *names})
    costs: dict[str, Kind] = {name: "real" for name in (*names, *others)}
    return _ORDER | known | costs


def _kinds(message: type) -> dict[str, Kind]:
    """The kinds of the fields of a message that are a column each."""
    hints = {name: _plain(hint) for name, hint in get_type_hints(message).items()}
    return {name: _KINDS[hint] for name, hint in hints.items() if hint in _KINDS}


def _plain(hint: Any) -> Any:
    """A type without None; a choice of texts is a text."""
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _cell(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    if kind == "text":
        return harmless(value)
    if kind in ("wholes", "reals"):
        return f"[{', '.join(map(repr, value))}]"
    return str(value).lower() if kind == "truth" else repr(value)


def _fitting(value: Any, kind: Kind) -> Any:
    """What the type of a column can hold, else None."""
    if kind == "whole" and isinstance(value, int) and abs(value) >= 2**63:
        return None
    if kind == "text" and isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value
