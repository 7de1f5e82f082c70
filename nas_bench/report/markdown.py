"""Tables as Markdown."""

from collections.abc import Sequence

from nas_bench import text
from nas_bench.report.footnotes import Remark
from nas_bench.report.table import Table


def section(table: Table) -> str:
    """The table under a heading, with its remarks."""
    header = [text.markdown(column.title) for column in table.columns]
    rules = [":--" if column.left else "--:" for column in table.columns]
    rows = [[text.markdown(cell) for cell in row] for row in table.rows]
    lines = [f"## {text.markdown(table.title)}", "", *map(_row, (header, rules, *rows)), ""]
    return "\n".join([*lines, *map(_remark, table.remarks)])


def listed(heading: str, items: Sequence[str]) -> str:
    """A heading and a list, as a section."""
    lines = "\n".join(f"- {text.markdown(item)}" for item in items)
    return f"## {text.markdown(heading)}\n\n{lines}\n"


def _remark(remark: Remark) -> str:
    items = "".join(f"- {text.markdown(item)}\n" for item in remark.items)
    return f"{text.markdown(remark.sentence)}\n{f'{chr(10)}{items}' if items else ''}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
