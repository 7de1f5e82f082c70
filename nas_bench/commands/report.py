"""`nas-bench report`: leaderboards and figures of a results folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.api.places import load_plugins, report_folder
from nas_bench.commands.parameters import (
    OK,
    CannotRunError,
    Number,
    PathGiven,
    counted,
    examples,
    explain_option,
    json_option,
    ledgers_given,
    plugin_option,
    print_json,
    results_option,
    say_damage,
    say_nothing,
    say_strays,
    shown_ledgers,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.report import Report
    from nas_bench.report.for_papers import Paper

_EPILOG = examples(
    "nas-bench report",
    "nas-bench report results/published results/local",
    "nas-bench report results/local --figures pdf --width 5.5 --rows tiny,fixed --no-title",
)

_FORMATS = ("png", "svg", "pdf")


def _formats(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = () if value == "none" else tuple(dict.fromkeys(value.split(",")))
    for name in names:
        if name not in _FORMATS:
            raise click.BadParameter(
                f"unknown format {name!r}: give some of {', '.join(_FORMATS)} with commas, or none"
            )
    return names


@click.command(epilog=_EPILOG)
@click.argument("ledgers", metavar="[LEDGER]...", type=PathGiven(path_type=Path), nargs=-1)
@results_option()
@plugin_option()
@click.option(
    "--into",
    type=PathGiven(path_type=Path, file_okay=False),
    help="Folder that gets the report/.  [default: the last LEDGER that is a folder]",
)
@click.option(
    "--figures",
    callback=_formats,
    metavar="png,svg,pdf|none",
    help="Formats of the figures.  [default: all three; of more than 4 comparisons "
    "png alone, of more than 10 none]",
)
@click.option("--width", type=Number(2, 20), help="Of figures for a paper, in inches.")
@click.option("--rows", metavar="A,B,…", help="The rows that figures show.")
@click.option(
    "--labels",
    type=PathGiven(path_type=Path, exists=True, dir_okay=False),
    help="YAML of what figures call rows, such as `tiny: TINY`.",
)
@click.option("--no-title", is_flag=True, help="Figures without titles.")
@explain_option()
@json_option()
@verbose_option()
def report(
    ledgers: tuple[Path, ...],
    results: Path | None,
    plugin_paths: tuple[Path, ...],
    into: Path | None,
    figures: tuple[str, ...] | None,
    width: float | None,
    rows: str | None,
    labels: Path | None,
    no_title: bool,
    explain: bool,
    as_json: bool,
) -> int:
    """Write leaderboards, figures and a page of results into the report/ of their folder.

    LEDGER is a results folder or a pack. Of several, rows of the second one and later ones are
    marked, a trial that two of them have counts once, and trials of fixed and random_growth that
    two have show whether one reproduces the other.

    With --width, --rows, --labels or --no-title figures are for a paper: rows are named where they
    are drawn, at most six in a figure, and each figure has a caption beside it.
    """
    load_plugins(plugin_paths)
    read = ledgers_given(ledgers, results)
    place = report_folder(read, into)
    written = write_report(
        place, as_json, figures, read, _paper(width, rows, labels, not no_title)
    )
    if written is None:
        return say_nothing("report", read[0], "results")
    _show(written, read, as_json, explain=explain)
    return OK


def _paper(
    width: float | None, rows: str | None, labels: Path | None, titled: bool
) -> "Paper | None":
    """What figures are asked to be like; None where nothing is asked.

    Raises:
        click.UsageError: if names cannot be read.
    """
    from nas_bench.report.for_papers import Paper
    from nas_bench.specs import InputError, specs
    from nas_bench.trials.inputs import read_yaml

    try:
        names = tuple(specs(rows)) if rows is not None else ()
        given = read_yaml(labels) if labels else {}
    except InputError as error:
        raise click.UsageError(str(error)) from None
    asked = Paper(width, names, {name: str(label) for name, label in given.items()}, titled)
    return None if asked == Paper() else asked


def write_report(
    folder: Path,
    as_json: bool = False,
    figures: Sequence[str] | None = None,
    ledgers: Sequence[Path] = (),
    paper: "Paper | None" = None,
) -> "Report | None":
    """The report of ledgers, None if they have no results; why not is on stderr.

    A report that cannot be written is printed at once, as JSON if asked.

    Args:
        folder: that gets the report.
        as_json: whether to print JSON.
        figures: their formats; None leaves it to the report.
        ledgers: results folders and packs; none: the folder itself.
        paper: what figures are for.

    Raises:
        CannotRunError: if it cannot be written.
        click.UsageError: if the paper's rows are none of the folder.
    """
    from nas_bench.report import NothingToReportError, UnwrittenError, write
    from nas_bench.specs import InputError

    try:
        return write(folder, figures, ledgers, paper)
    except InputError as error:
        raise click.UsageError(str(error)) from None
    except UnwrittenError as error:
        _show(error.report, ledgers or [folder], as_json)
        raise CannotRunError(str(error)) from error
    except NothingToReportError as error:
        say_damage(error.problems)
        say_strays(error.strays)
        if error.searched:
            click.echo(str(error), err=True)
        return None


def print_report(
    written: "Report", *, explain: bool = False, asked: Callable[[Any], bool] = lambda shown: True
) -> None:
    """The tables and where the files are, on stdout; damage and what was left out on stderr.

    Args:
        written: the report.
        explain: whether to say what every column is.
        asked: whether a comparison, as `report.json` has it, is printed.
    """
    import os
    import shutil

    from rich.console import Console
    from rich.text import Text

    from nas_bench.report.table import SHORT_NOTE

    width = max(shutil.get_terminal_size((120, 24)).columns, 80)
    console = Console(width=width, highlight=False)
    compared = written.content["comparisons"]
    shown = [table for table, c in zip(written.tables, compared, strict=False) if asked(c)]
    others = len(compared) - len(shown)
    across = (group for group in written.content["across"] if group["ranks"])
    shown += [
        table
        for table, group in zip(written.tables[len(compared) :], across, strict=True)
        if any(asked({**group, "task": task}) for task in group["tasks"])
    ]
    if others:
        more = f"{counted(others, 'other comparison')} in this folder: nas-bench report shows all"
        shown.append(Text(f"{more}\n", "dim"))
    for line in written.heads:
        console.print(Text(f"{line}\n"))
    for table in shown:
        console.print(table)
    console.print(Text("\n".join(written.notes if explain else (SHORT_NOTE,)), "dim"))
    figures = [path for path in written.paths if path.parent.name == "figures"]
    for path in written.paths:
        if path not in figures:
            click.echo(path)
    if figures:
        click.echo(f"{figures[0].parent}{os.sep} ({counted(len(figures), 'figure')})")
    say_damage(written.problems)
    say_strays(written.strays)
    if written.left_out:
        click.echo(written.left_out, err=True)


def report_values(written: "Report") -> dict[str, object]:
    """What `report.json` holds, the rows of `leaderboard.csv`, the paths and what was left out."""
    shown = {name: value for name, value in written.content.items() if name != "results"}
    return {
        **shown,
        "table": list(written.numbers),
        "paths": [str(path) for path in written.paths],
        "left_out": written.left_out,
        "strays": list(written.strays),
    }


def _show(
    written: "Report", ledgers: Sequence[Path], as_json: bool, *, explain: bool = False
) -> None:
    if as_json:
        print_json({"results": shown_ledgers(ledgers), **report_values(written)})
    else:
        print_report(written, explain=explain)
