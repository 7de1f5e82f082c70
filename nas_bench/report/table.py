"""The leaderboard of a comparison as text, before it becomes Markdown, LaTeX or a terminal's."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_bench import text
from nas_bench.report.comparison import Comparison, Row, growth_share, kind_name
from nas_bench.report.footnotes import Remark, margin, remarks
from nas_bench.report.standing import COSTS, Contrast, Standing, twin_of
from nas_bench.report.statistics import t_interval

NOTE = (
    "Test accuracy or loss: mean ± half of the 95 % confidence interval (Student's t) over all "
    "seeds asked, or its ends where scores cannot be beyond one, at the end of the budget, never "
    "the best of the curve; † where seeds have no result and count as the worst score of the "
    "table, untrained networks included. Rank: shared "
    "by rows that cannot be told from the best of their group (paired sign-flip test, Holm's "
    "correction, 5 %); – for controls, which only explain, and for all rows where nothing is "
    "testable. Seeds: with a result / asked of any row of the table. Grown − scratch: paired "
    "difference between the grown networks and the same ones trained from scratch, for as many "
    "steps or as many training FLOPs; * where it is significant (5 %, Holm). One multiply-add is "
    "one FLOP (fvcore). FLOPs: one sample at inference. Training FLOPs: training and growth "
    "(growth's share). Seconds: training and growth, without evaluation; ‡ where trials shared a "
    "device, so that they cannot be compared."
)
"""What the numbers of every leaderboard are."""
SHORT_NOTE = (
    "Test scores at the end of the budget, mean ± half of the 95 % interval over seeds; rows of "
    "one rank are not told apart. --explain says what every column is."
)
"""The same on a terminal, unless more is asked for."""
ACROSS_NOTE = (
    "Mean rank: over tasks, of the rank by mean score within each, with its 95 % interval "
    "(bootstrap over seeds, stratified by task)."
)
_MATCHES = {"steps": "equal steps", "flops": "equal FLOPs"}


@dataclass(frozen=True)
class Column:
    """A column of text.

    Attributes:
        title: what its cells are.
        cells: one for each row of the table, in one line, not escaped.
        worth: columns with less go first where there is no room; infinite: it always stays.
        left: whether it is set flush left, as text is.
    """

    title: str
    cells: tuple[str, ...]
    worth: float = float("inf")
    left: bool = False


@dataclass(frozen=True)
class Table:
    """A table and what is to be said under it.

    Attributes:
        title: one line.
        columns: all of the same length.
        best: by row, whether it leads or is tied with the leader.
        incomplete: by row, whether seeds lack.
        remarks: in order.
    """

    title: str
    columns: tuple[Column, ...]
    best: tuple[bool, ...]
    incomplete: tuple[bool, ...]
    remarks: tuple[Remark, ...] = ()

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def leaderboard(found: Standing) -> Table:
    """The rows of a comparison, best first; twins are columns beside what they are twins of."""
    comparison = found.comparison
    rows = shown_rows(comparison)
    metric = "test accuracy (%)" if comparison.metric == "accuracy" else "test loss"

    def column(title: str, cell: Callable[[Row], str], *more: Any) -> Column:
        return Column(title, tuple(map(cell, rows)), *more)

    table = Table(
        text.one_line(comparison.title),
        (
            column("rank", lambda row: str(found.ranks.get(row.name) or "–")),
            column("method", lambda row: text.one_line(row.name), float("inf"), True),
            column(metric, lambda row: _score(found, row)),
            column("seeds", lambda row: row.seeds),
            column("parameters", lambda row: _cost(row, "parameters"), 5),
            column("FLOPs", lambda row: _cost(row, "flops"), 2),
            column("training FLOPs (growth)", _training, 4),
            column("seconds", _seconds, 1),
            *_growing(found, rows),
        ),
        best=tuple(found.ranks.get(row.name) == 1 for row in rows),
        incomplete=tuple(not row.complete for row in rows),
        remarks=remarks(found),
    )
    return _with_refused(table, metric, comparison.refused)


def _with_refused(table: Table, metric: str, refused: Sequence[Row]) -> Table:
    """The same, and below it the rows of methods that are not applicable, without numbers."""
    names = tuple(text.one_line(row.name) for row in refused)
    known = {"method": names, metric: ("n/a",) * len(names)}
    columns = (
        replace(c, cells=c.cells + known.get(c.title, ("–",) * len(names))) for c in table.columns
    )
    no = (False,) * len(names)
    return replace(
        table, columns=tuple(columns), best=table.best + no, incomplete=table.incomplete + no
    )


def across_tables(content: Mapping[str, Any]) -> list[Table]:
    """Mean ranks across tasks, one table for each protocol that has several tasks."""
    return [_across(group) for group in content["across"] if group["ranks"]]


def shown_rows(comparison: Comparison) -> list[Row]:
    """The rows that are no twins, and twins whose originals are not there."""
    found = (twin_of(comparison, row, match) for row in comparison.rows for match in _MATCHES)
    hidden = {twin.name for twin in found if twin and twin.role == "twin"}
    return [row for row in comparison.rows if row.name not in hidden]


def _score(found: Standing, row: Row) -> str:
    score, metric = found.scores[row.name], found.comparison.metric
    known = [value for value in score.values.values() if math.isfinite(value)]
    whole, possible = t_interval(known), score.interval
    if possible is None or possible == whole:
        shown = text.score(score.estimate.mean, margin(whole), metric)
    else:
        ends = score.estimate.mean, possible.low, possible.high
        mean, low, high = (text.score(value, None, metric) for value in ends)
        shown = f"{mean} ({low} to {high})"
    return f"{shown} †" if score.missing and shown != "–" else shown


def _cost(row: Row, name: str) -> str:
    return text.human(row.estimate(COSTS[name]).mean)


def _training(row: Row) -> str:
    share = row.estimate(growth_share).mean
    return _cost(row, "training_flops") + (f" ({text.percent(share)})" if row.results else "")


def _seconds(row: Row) -> str:
    return text.duration(row.estimate(COSTS["seconds"]).mean) + " ‡" * row.shared


def _growing(found: Standing, rows: Sequence[Row]) -> list[Column]:
    """For each way of matching that was run, the differences between grown and scratch."""
    columns = []
    for match, worth in (("steps", 6), ("flops", 3)):
        contrasts = {c.first: c for c in found.growing if c.question == f"equal {match}"}
        cells = (_difference(contrasts.get(row.name), found) for row in rows)
        if contrasts:
            columns.append(Column(f"grown − scratch, {_MATCHES[match]}", tuple(cells), worth))
    return columns


def _difference(contrast: Contrast | None, found: Standing) -> str:
    if contrast is None:
        return ""
    gap = contrast.difference
    shown = text.difference(gap.mean, margin(gap.interval), found.comparison.metric)
    return f"{shown} *" if contrast.adjusted is not None and contrast.adjusted <= 0.05 else shown


def _across(group: Mapping[str, Any]) -> Table:
    ranks = group["ranks"]
    least = ranks[0]["mean"]
    kind = kind_name(group["kind"])
    where = f"{group['protocol']} v{group['version']} · {kind} · {group['budget']}"
    lacking = ", ".join(map(text.one_line, group["not_everywhere"]))
    return Table(
        text.one_line(f"Mean ranks across {len(group['tasks'])} tasks · {where}"),
        (
            Column("mean rank", tuple(f"{rank['mean']:.2f}" for rank in ranks)),
            Column("method", tuple(text.one_line(rank["name"]) for rank in ranks), left=True),
            Column(
                "95 % interval", tuple("{:.2f} – {:.2f}".format(*r["interval"]) for r in ranks)
            ),
        ),
        best=tuple(rank["mean"] == least for rank in ranks),
        incomplete=(False,) * len(ranks),
        remarks=(Remark(f"Not on every task: {lacking}."),) if lacking else (),
    )
