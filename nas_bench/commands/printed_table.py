"""Tables that verbs print below their lines."""

from collections.abc import Sequence

import click


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A titled table on stdout; what is in it is text."""
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(f"{title}: none")
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    click.echo(f"{title}:")
    Console(width=width, highlight=False).print(table)
