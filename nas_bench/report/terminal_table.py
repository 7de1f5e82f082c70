"""Tables on a terminal, as wide as it is."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from nas_bench.report.footnotes import Remark
from nas_bench.report.table import Column, Table

_GAP = 2  # between columns: rich's padding and the box's separator
_NAME = 20  # columns that names get at least; longer ones are folded


@dataclass(frozen=True)
class Shown:
    """A table for a rich console; what does not fit goes column by column, never by digits."""

    table: Table

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        columns = fitting(self.table.columns, options.max_width)
        yield Text(self.table.title, style="bold")
        yield _grid(self.table, columns)
        left_out = [c.title for c in self.table.columns if c not in columns]
        if left_out:
            yield Text(f"No room for: {'; '.join(left_out)}.", style="dim")
        for remark in self.table.remarks:
            yield _remark(remark)
        yield Text("")


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit, those that are worth least left out."""
    kept = list(columns)
    while sum(_width(column) + _GAP for column in kept) - _GAP > width:
        least = min(kept, key=lambda column: column.worth)
        if least.worth == float("inf"):
            break
        kept.remove(least)
    return kept


def _grid(table: Table, columns: Sequence[Column]) -> RichTable:
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        title = Text(_header(column))
        if column.left:
            grid.add_column(title, overflow="fold", min_width=min(_NAME, _width(column)))
        else:
            grid.add_column(title, justify="right", no_wrap=True)
    rows = zip(*(column.cells for column in columns), strict=True)
    for cells, best, incomplete in zip(rows, table.best, table.incomplete, strict=True):
        grid.add_row(*map(Text, cells), style="yellow" if incomplete else "bold" if best else "")
    return grid


def _header(column: Column) -> str:
    """The title on as many lines as its cells are narrow."""
    if column.left:
        return column.title
    longest = max(map(len, column.title.split()))
    widest = max(map(cell_len, column.cells), default=0)
    return textwrap.fill(column.title, max(longest, widest), break_long_words=False)


def _width(column: Column) -> int:
    lines = [*column.cells, *_header(column).splitlines()]
    widest = max(map(cell_len, lines))
    return min(widest, _NAME) if column.left else widest


def _remark(remark: Remark) -> Text:
    return Text("\n".join([remark.sentence, *(f"  {item}" for item in remark.items)]), "yellow")
