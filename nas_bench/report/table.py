"""The leaderboard of a comparison as text, before it becomes Markdown, LaTeX or a terminal's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_bench import text
from nas_bench.report import cells
from nas_bench.report.comparison import Comparison, Row, kind_name
from nas_bench.report.footnotes import Remark, remarks
from nas_bench.report.questions import MATCHES, twin_of
from nas_bench.report.standing import Standing

NOTE = (
    "Test accuracy or loss: mean ± half of the 95 % confidence interval (Student's t) over all "
    "seeds asked, or its ends where scores cannot be beyond one, at the end of the budget, never "
    "the best of the curve; † where seeds have no result and count as the worst score of the "
    "table, untrained networks included. Ranks: those that a row may have, 1 + the rows that are "
    "significantly better to the number of rows less those that are worse, among all pairs; – for "
    "controls and seed networks, which only explain, and for all rows where nothing is testable. "
    "Seeds: with a result / asked of any row of the table. Differences: paired by seed, with the "
    "interval of those that their test would not reject; * where significant (5 %). All tests: "
    "sign flips, max-T over the questions of a column. Grown − scratch: the grown networks and "
    "the same ones trained from scratch, for as many steps or as many training FLOPs. Own "
    "neurons: of those added, the method's; the others are random, silent ones of the harness. "
    "One multiply-add is one FLOP (fvcore). FLOPs: one sample at inference. Training FLOPs: "
    "training and growth (growth's share). Seconds: training and growth, without evaluation; ‡ "
    "where trials shared a device, so that they cannot be compared."
)
"""What the numbers of every leaderboard are."""
SHORT_NOTE = (
    "Test scores at the end of the budget, mean ± half of the 95 % interval over seeds; ranks are "
    "those that a row may have. --explain says what every column is."
)
"""The same on a terminal, unless more is asked for."""
ACROSS_NOTE = (
    "Mean rank: over tasks, of the rank by mean score within each, and the range of 95 % of "
    "bootstrap draws (over seeds, stratified by task)."
)
_QUESTIONS = {
    "equal steps": ("grown − scratch, equal steps", 6),
    "equal flops": ("grown − scratch, equal FLOPs", 3),
    "against fixed": ("method − fixed", 5.5),
    "against random_growth": ("method − random neurons", 4.5),
}
"""Titles of columns and what they are worth, by question."""


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
        best: by row, whether it is the best or tied with it, and complete.
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
            column("ranks", lambda row: str(found.ranks.get(row.name) or "–")),
            column("method", lambda row: text.one_line(row.name), float("inf"), True),
            column(metric, lambda row: cells.score(found, row)),
            column("seeds", lambda row: row.seeds),
            *_own_neurons(rows),
            column("parameters", lambda row: cells.cost(row, "parameters"), 5),
            column("FLOPs", lambda row: cells.cost(row, "flops"), 2),
            column("training FLOPs (growth)", _training, 4),
            column("seconds", _seconds, 1),
            *_differences(found, rows),
        ),
        best=tuple(found.leads(row) for row in rows),
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
    found = (twin_of(comparison, row, match) for row in comparison.rows for match in MATCHES)
    hidden = {twin.name for twin in found if twin and twin.role == "twin"}
    return [row for row in comparison.rows if row.name not in hidden]


def _own_neurons(rows: Sequence[Row]) -> list[Column]:
    shown = tuple(map(cells.own_neurons, rows))
    return [Column("own neurons", shown, 3.5)] if any(shown) else []


def _training(row: Row) -> str:
    share = f" ({cells.growth_share(row)})" if row.results else ""
    return cells.cost(row, "training_flops") + share


def _seconds(row: Row) -> str:
    return cells.cost(row, "seconds") + " ‡" * row.shared


def _differences(found: Standing, rows: Sequence[Row]) -> list[Column]:
    """A column for each question that was asked of any row."""
    columns = []
    for question, (title, worth) in _QUESTIONS.items():
        asked = (*found.growing, *found.against)
        contrasts = {c.first: c for c in asked if c.question == question}
        shown = (cells.difference(contrasts.get(r.name), found.comparison.metric) for r in rows)
        if contrasts and not _is_repeated(found, question):
            columns.append(Column(title, tuple(shown), worth))
    return columns


def _is_repeated(found: Standing, question: str) -> bool:
    """Whether a column of grown − scratch says it: with the same target `fixed` is the twin."""
    pairs = {(c.first, c.second) for c in found.against if c.question == question}
    return bool(pairs) and pairs <= {(c.first, c.second) for c in found.growing}


def _across(group: Mapping[str, Any]) -> Table:
    ranks = group["ranks"]
    least = ranks[0]["mean"]
    kind = kind_name(group["kind"])
    where = f"{group['protocol']} v{group['version']} · {kind} · {group['budget_name']}"
    lacking = ", ".join(map(text.one_line, group["not_everywhere"]))
    return Table(
        text.one_line(f"Mean ranks across {len(group['tasks'])} tasks · {where}"),
        (
            Column("mean rank", tuple(f"{rank['mean']:.2f}" for rank in ranks)),
            Column("method", tuple(text.one_line(rank["name"]) for rank in ranks), left=True),
            Column("range", tuple("{:.2f} – {:.2f}".format(*r["interval"]) for r in ranks)),
        ),
        best=tuple(rank["mean"] == least for rank in ranks),
        incomplete=(False,) * len(ranks),
        remarks=(Remark(f"Not on every task: {lacking}."),) if lacking else (),
    )
