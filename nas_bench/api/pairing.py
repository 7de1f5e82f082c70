"""Two rows of a report compared seed by seed: which ones, and what came of it."""

import contextlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nas_bench.report.comparison import Comparison, Row, differing, estimate
from nas_bench.report.statistics import (
    TESTABLE,
    Difference,
    detectable_gap,
    jointly,
    paired,
    smallest_p,
)
from nas_bench.specs import InputError, parse, shown, unknown


@dataclass(frozen=True)
class Pairing:
    """Two rows of one comparison, seed by seed.

    Attributes:
        comparison: what holds them both.
        first, second: the rows.
        difference: of their scores, first minus second; None if the comparison has no result.
        adjusted: its p among all pairings (max-T); None if not testable.
    """

    comparison: Comparison
    first: Row
    second: Row
    difference: Difference | None
    adjusted: float | None

    @property
    def rows(self) -> tuple[Row, Row]:
        """Both."""
        return self.first, self.second

    @property
    def measured(self) -> int:
        """Seeds of which both have a result."""
        return len(self.first.asked - {*self.missing(self.first), *self.missing(self.second)})

    @property
    def visible(self) -> float | None:
        """The gap that these seeds would show in four of five cases; None if not known."""
        found = self.difference
        if found is None or not found.sd > 0:
            return None
        return detectable_gap(found.sd / math.sqrt(2), found.pairs)  # the sd of one row's scores

    def mean(self, row: Row) -> float:
        """Of its scores, a seed without a result as the worst; NaN if there is none at all."""
        return estimate(list(self.comparison.scores(row).values())).mean

    def missing(self, row: Row) -> dict[int, str]:
        """Why seeds count as the worst."""
        reasons = dict.fromkeys(row.not_run, "not run")
        for run in row.runs:
            if run.result is None:
                reasons[run.seed] = f"{run.state}{f': {run.reason}' if run.reason else ''}"
            elif not math.isfinite(self.comparison.score(run.result)):
                reasons[run.seed] = "its test score is not finite"
        return dict(sorted(reasons.items()))


def known_row(name: str, found: Iterable[Comparison]) -> str:
    """The name or label of a row as the ledger spells it.

    Raises:
        InputError: if there is none.
    """
    rows = [row for c in found for row in (*c.rows, *c.refused)]
    return _spelled("method", name, {each for row in rows for each in (row.name, label(row))})


def narrowed(
    found: Sequence[Comparison], task: str | None, protocol: str | None
) -> Sequence[Comparison]:
    """The comparisons of a task and a protocol.

    Raises:
        InputError: if there are none.
    """
    for what, name in (("protocol", protocol), ("task", task)):
        if name is None:
            continue
        if not isinstance(name, str):
            raise InputError(f"{shown(name)} is no name of a {what}, such as in tables")
        spelled = _spelled(what, name, {getattr(c, what) for c in found})
        found = [c for c in found if getattr(c, what) == spelled]
    return found


def _spelled(what: str, name: str, known: Collection[str]) -> str:
    """The known name that is meant: the same, or a spec with its options in another order.

    Raises:
        InputError: if there is none.
    """
    spellings = [name]
    with contextlib.suppress(InputError):  # such as `tiny twin`, which is no spec
        spellings.append(str(parse(name)))
    for spelling in spellings:
        if spelling in known:
            return spelling
    raise InputError(unknown(what, name, known))


def paired_rows(found: Sequence[Comparison], first: str, second: str) -> list[Pairing]:
    """The two rows wherever both are.

    Raises:
        InputError: if a name stands for several rows, or both for the same one.
    """
    rows = [(c, _rows(c, first), _rows(c, second)) for c in found]
    both = [(c, _only(c, a, first), _only(c, b, second)) for c, a, b in rows if a and b]
    if any(one is other for _, one, other in both):
        raise InputError(f"{first} and {second} are the same row: name two different ones")
    gaps = [(pair, _difference(*pair)) for pair in both]
    tested = [_by_seed(*pair) for pair, gap in gaps if gap and gap.p is not None]
    adjusted = iter(jointly(tested))
    return [
        Pairing(*pair, gap, next(adjusted) if gap and gap.p is not None else None)
        for pair, gap in gaps
    ]


def _rows(comparison: Comparison, name: str) -> list[Row]:
    """The row of this name, or all of this label."""
    named = [row for row in comparison.rows if row.name == name]
    return named or [row for row in comparison.rows if label(row) == name]


def _only(comparison: Comparison, rows: Sequence[Row], name: str) -> Row:
    if len(rows) > 1:
        names = ", ".join(repr(row.name) for row in rows)
        raise InputError(f"{name} has several settings in {comparison.title}: name one of {names}")
    return rows[0]


def label(row: Row) -> str:
    """The row's name without the settings that tell it from others."""
    return row.runs[0].label


def _difference(comparison: Comparison, first: Row, second: Row) -> Difference | None:
    if math.isnan(comparison.worst) or differing((first, second)):
        return None
    return paired(comparison.scores(first), comparison.scores(second))


def _by_seed(comparison: Comparison, first: Row, second: Row) -> dict[int, float]:
    scores, others = comparison.scores(first), comparison.scores(second)
    return {seed: scores[seed] - others[seed] for seed in scores if seed in others}


def pairing_values(pairing: Pairing) -> dict[str, Any]:
    """A pairing as JSON-able values."""
    comparison, found = pairing.comparison, pairing.difference
    interval = found.interval if found else None
    names = ("title", "protocol", "version", "kind", "task", "metric", "higher", "worst")
    return {
        **{name: getattr(comparison, name) for name in names},
        "budget": str(comparison.budget),
        "first": _row_values(pairing, pairing.first),
        "second": _row_values(pairing, pairing.second),
        "differing": list(differing(pairing.rows)),
        "pairs": found.pairs if found else 0,
        "measured_pairs": pairing.measured,
        "difference": found and found.mean,
        "sd": found and found.sd,
        "interval": interval and [interval.low, interval.high],
        "p": found and found.p,
        "adjusted": pairing.adjusted,
        "smallest_p": smallest_p(found.pairs) if found else None,
        "testable_from": TESTABLE,
        "visible_gap": pairing.visible,
    }


def _row_values(pairing: Pairing, row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "settings": row.runs[0].settings_id,
        "mean": pairing.mean(row),
        "scores": pairing.comparison.scores(row),
        "without_result": pairing.missing(row),
        "mixed": row.mixed,
        "trials": {run.seed: run.id for run in row.runs},
    }
