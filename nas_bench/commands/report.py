"""`nas-bench report`: tables and plots of a results folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_bench.commands.parameters import (
    NOTHING,
    OK,
    CannotRunError,
    examples,
    json_option,
    print_json,
    results_folder,
    results_option,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.report import Report

_EPILOG = examples(
    "nas-bench report",
    "nas-bench report results/published",
    "nas-bench report results/local --json",
)


@click.command(epilog=_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@results_option()
@json_option()
@verbose_option()
def report(folder: Path | None, results: Path | None, as_json: bool) -> int:
    """Write tables and plots of the results in FOLDER into its report/."""
    if folder and results:
        raise click.UsageError("give the folder once: as an argument or with --results")
    place = results_folder(folder or results)
    written = write_report(place, as_json)
    if written is None:
        click.echo(f"Nothing to report: there are no results in {place}", err=True)
        return NOTHING
    _show(written, place, as_json)
    return OK


def write_report(folder: Path, as_json: bool = False) -> "Report | None":
    """The report of a results folder, None if it has no results.

    A report that cannot be written is printed at once, as JSON if asked.

    Raises:
        CannotRunError: if it cannot be written.
    """
    from nas_bench.report import UnwrittenError, write
    from nas_bench.results.ledger import Ledger, LedgerError

    try:
        return write(folder)
    except UnwrittenError as error:
        _show(error.report, folder, as_json)
        raise CannotRunError(str(error)) from error
    except LedgerError as error:
        if not any(run.config for run in Ledger(folder).runs()):
            return None
        raise CannotRunError(str(error)) from error


def print_report(written: "Report") -> None:
    """The tables and where the files are, on stdout; damage on stderr."""
    import shutil

    from rich.console import Console

    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    console = Console(width=width, highlight=False)
    for table in written.tables:
        console.print(table)
    for path in written.paths:
        click.echo(path)
    for problem in written.problems:
        click.echo(f"Warning: {problem}", err=True)


def report_values(written: "Report") -> dict[str, object]:
    """The report as JSON-able values: the rows of `table.csv`, the paths, what is damaged."""
    return {
        "table": list(written.numbers),
        "paths": [str(path) for path in written.paths],
        "problems": list(written.problems),
    }


def _show(written: "Report", folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({"results": str(folder), **report_values(written)})
    else:
        print_report(written)
