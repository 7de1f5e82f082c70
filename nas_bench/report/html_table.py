"""Tables as plain HTML, as notebooks show them."""

from collections.abc import Iterable, Sequence
from html import escape

from nas_bench.report.table import Table


def leaderboard(table: Table) -> str:
    """The table under its title, with its remarks; what is best is bold."""
    rows = [
        [f"<b>{escape(cell)}</b>" if best else escape(cell) for cell in row]
        for row, best in zip(table.rows, table.best, strict=True)
    ]
    said = (line for remark in table.remarks for line in (remark.sentence, *remark.items))
    header = [escape(column.title) for column in table.columns]
    return f"<h4>{escape(table.title)}</h4>{_table(header, rows)}{lines(said)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text."""
    return _table([*map(escape, header)], [[*map(escape, row)] for row in rows])


def lines(said: Iterable[str]) -> str:
    """A paragraph with a line for each."""
    return f"<p>{'<br>'.join(map(escape, said))}</p>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
