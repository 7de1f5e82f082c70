"""Two rows of ledgers, seed by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_bench.api.pairing import (
    Pairing,
    known_row,
    label,
    narrowed,
    paired_rows,
    pairing_values,
)
from nas_bench.report.comparison import Comparison, comparisons
from nas_bench.results.gathering import Gathered, gathered
from nas_bench.results.layout import path_part
from nas_bench.results.reading import Run, glance
from nas_bench.specs import InputError, shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compared:
    """What came of comparing two rows.

    Attributes:
        pairings: the rows wherever both are.
        refused: tasks that one of them is not applicable to, one sentence each.
        nothing: what is not there, in words; empty if the two can be compared.
        found: the ledgers.
    """

    pairings: tuple[Pairing, ...]
    refused: tuple[str, ...]
    nothing: str
    found: Gathered

    @property
    def frame(self) -> "pd.DataFrame":
        """A row for each comparison that holds both: means, difference, interval, p."""
        import pandas as pd

        rows = [_flat(pairing_values(pairing)) for pairing in self.pairings]
        return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = [
    "title", "protocol", "version", "kind", "task", "budget", "metric", "first", "second",
    "first_mean", "second_mean", "pairs", "measured_pairs", "difference", "difference_ci_low",
    "difference_ci_high", "p", "p_adjusted", "testable_from", "visible_gap", "differing",
]  # fmt: skip


def compared(
    ledgers: Sequence[Path], first: str, second: str, task: str | None, protocol: str | None
) -> Compared:
    """Two rows of results folders and packs, which are named as in tables.

    Args:
        ledgers: at least one.
        first: such as tiny, `tiny[update=false]` or `tiny twin (flops)`.
        second: likewise.
        task: only this one; None: all.
        protocol: only this one; None: all.

    Raises:
        InputError: if a name is unknown, or stands for several rows.
    """
    whole = len(ledgers) > 1  # trials of references are compared bit by bit
    gathering = gathered(ledgers) if whole else gathered(ledgers, glance)
    found = comparisons(gathering.runs)
    if not found:
        return Compared((), (), "results", gathering)
    for name in (first, second):
        if not isinstance(name, str):
            raise InputError(f"{shown(name)} is no name of a row, such as 'tiny'")
        if _cannot_be_read(name, gathering.runs, found):
            return Compared((), (), f"trials of {name} that can be read", gathering)
    names = [known_row(name, found) for name in (first, second)]
    asked = narrowed(found, task, protocol)
    refused = (
        f"{row.name} is not applicable to {c.task}: {row.refusal}"
        for c in asked
        for row in c.refused
        if row.name in names
    )
    return Compared(tuple(paired_rows(asked, *names)), tuple(refused), "", gathering)


def _cannot_be_read(name: str, runs: Sequence[Run], found: Sequence[Comparison]) -> bool:
    """Whether a method has no row, but trials that say nothing but where they lie."""
    rows = [row for comparison in found for row in comparison.rows if row.config]
    unknown = {run.label for run in runs if run.config is None}
    return path_part(name) in unknown and name not in {*map(label, rows), *(r.name for r in rows)}


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    low, high = values["interval"] or (None, None)
    return {
        **{name: values[name] for name in values if name in _COLUMNS},
        **{name: values[name]["name"] for name in ("first", "second")},
        **{f"{name}_mean": values[name]["mean"] for name in ("first", "second")},
        "difference_ci_low": low,
        "difference_ci_high": high,
        "p_adjusted": values["adjusted"],
        "differing": ", ".join(values["differing"]),
    }
