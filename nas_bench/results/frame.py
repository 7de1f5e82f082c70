"""The ledger as tidy tables for a notebook."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nas_bench.results.ledger import Contents, Ledger
from nas_bench.results.reading import Run
from nas_bench.specs import InputError
from nas_bench.trials.messages import GrowthRecord, Record, Seconds

if TYPE_CHECKING:
    from nas_bench.results.gathering import Gathered

_IDENTITY = ("protocol", "kind", "task", "method", "seed", "status", "id", "settings_id")
MEASURED = [
    column
    for field in fields(Record)
    if field.name != "seconds"
    for column in (
        ("training_flops", "flops_train") if field.name == "train_flops" else (field.name,)
    )
]
"""What a record measured, by column; clocks follow."""
PARTS = ("statistics", "decomposition", "line_search", "widening")


def load_results(path: str | Path) -> pd.DataFrame:
    """Every record of a results folder, one row each.

    The columns are those of `Record`, its clocks as `seconds_train` and so on, after protocol,
    kind, task, method (as tables call it), seed, status, id, settings_id and error; but
    `training_flops` are those of training and growth together, as in tables, and `flops_train`
    those of training alone. A trial without records has one row of missing values. Damage is
    named in `attrs["problems"]`, what is no part of the ledger in `attrs["strays"]`.

    Raises:
        InputError: if there is no such folder.
    """
    return frame_of(_contents(path))


def frame_of(found: "Contents | Gathered", *, with_ledger: bool = False) -> pd.DataFrame:
    """The same of what was read.

    Args:
        found: of one ledger, or of several.
        with_ledger: whether to name the ledger of each row that is not of the first.
    """
    rows = [row for run in found.runs for row in _record_rows(run, with_ledger)]
    clocks = [f"seconds_{clock.name}" for clock in fields(Seconds)]
    names = [*(["ledger"] if with_ledger else []), *_IDENTITY, "error", *MEASURED, *clocks]
    return _frame(found, rows, names)


def events(path: str | Path) -> pd.DataFrame:
    """Every growth event of a results folder, one row each, with the trial it belongs to.

    The columns are those of `GrowthRecord`, its costs as `flops_statistics`,
    `seconds_line_search` and so on.

    Raises:
        InputError: if there is no such folder.
    """
    found = _contents(path)
    rows = [_identity(run) | event_row(event) for run in found.runs for event in run.growth]
    measured = [f.name for f in fields(GrowthRecord) if f.name not in ("flops", "seconds")]
    costs = [f"{unit}_{part}" for unit in ("flops", "seconds") for part in PARTS]
    return _frame(found, rows, [*_IDENTITY, *measured, *costs])


def _contents(path: str | Path) -> Contents:
    if not Path(path).is_dir():
        raise InputError(f"no results folder at {path}: `nas-bench run` makes one")
    return Ledger(Path(path)).contents()


def _frame(
    found: "Contents | Gathered", rows: Sequence[dict[str, Any]], columns: list[str]
) -> pd.DataFrame:
    extra = dict.fromkeys(name for row in rows for name in row if name not in columns)
    frame = pd.DataFrame(rows, columns=[*columns, *extra])
    frame.attrs |= {"problems": found.damage, "strays": found.aside}
    return frame


def _identity(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _IDENTITY} | {"method": run.label}


def _record_rows(run: Run, with_ledger: bool) -> list[dict[str, Any]]:
    identity = _identity(run) | {"error": run.reason or None}
    if with_ledger:
        identity |= {"ledger": run.ledger}
    return [identity | record_row(record) for record in run.curve] or [identity]


def record_row(record: Record) -> dict[str, Any]:
    """A record by column: clocks as `seconds_train` and so on, FLOPs as tables call them."""
    row = dict(vars(record))
    train = row.pop("train_flops")
    flops = {"training_flops": train + record.growth_flops, "flops_train": train}
    return row | flops | _prefixed("seconds", vars(row.pop("seconds")))


def event_row(event: GrowthRecord) -> dict[str, Any]:
    """A growth event by column, its costs as `flops_statistics` and so on."""
    row = dict(vars(event))
    flops, seconds = row.pop("flops"), row.pop("seconds")
    return row | _prefixed("flops", flops) | _prefixed("seconds", seconds)


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in values.items()}
