"""`nas-bench plan`: what `run` would do, and what it would cost."""

from typing import Any

import click

from nas_bench.api.planning import Plan, plan_of
from nas_bench.api.selection import Selection
from nas_bench.commands.parameters import (
    NOTHING,
    OK,
    examples,
    json_option,
    print_json,
    verbose_option,
)
from nas_bench.commands.selection import selection_options

_EPILOG = examples(
    "nas-bench plan --methods tiny,gradmax",
    "nas-bench plan --protocol mlp --methods all --tasks mnist --seeds 0-9",
    "nas-bench plan --rerun failed --json",
)


@click.command(epilog=_EPILOG)
@selection_options
@json_option()
@verbose_option()
def plan(as_json: bool, **values: Any) -> int:
    """List the trials that `run` with the same options would run, and estimate their cost.

    Nothing runs, and nothing is downloaded or written. Estimates come from finished seeds of the
    same settings, else from the FLOPs of the networks and the speed of finished trials of
    the task on this kind of machine, else from a few training steps measured now.
    """
    found = plan_of(Selection(**values))
    if as_json:
        print_json(found.values())
    else:
        click.echo("\n".join(found.announcement))
        _print(found)
    return OK if found.planned else NOTHING


def _print(plan: Plan) -> None:
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    header, rows = plan.rows()
    for name in header[:2]:
        table.add_column(name, overflow="fold")
    for name in header[2:]:
        table.add_column(name, justify="right")
    for cells in rows:
        table.add_row(*map(Text, cells))
    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    console = Console(width=width, highlight=False)
    if plan.planned:
        console.print(table)
    for line in plan.lines():
        console.print(Text(line))
