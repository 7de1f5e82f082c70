"""`nas-bench export`: the ledger as tables for pandas, DuckDB or R."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    from nas_bench.results.tables import Columns

Format = Literal["parquet", "csv"]

_EPILOG = examples(
    "nas-bench export --format csv",
    "nas-bench export results/published --format parquet",
    "nas-bench export results/local --format csv --out tables --json",
)


@click.command(epilog=_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@results_option()
@click.option(
    "--format", "kind", type=click.Choice(["parquet", "csv"]), required=True, help="Of the files."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the tables  [default: report/export in the results folder]",
)
@json_option()
@verbose_option()
def export(
    folder: Path | None, results: Path | None, kind: Format, out: Path | None, as_json: bool
) -> int:
    """Write trials, records and growth events of FOLDER as three tables, joined by `trial`.

    The same ledger gives the same bytes. Parquet needs pip install 'nas-bench[export]'.
    """
    from nas_bench.results.ledger import Ledger
    from nas_bench.results.tables import tables

    if folder and results:
        raise click.UsageError("give the folder once: as an argument or with --results")
    place = results_folder(folder or results)
    target = (out or place / "report" / "export").expanduser().absolute()
    _refuse_trials_place(target, place)
    found = Ledger(place).runs()
    problems = [line for run in found for line in run.damage]
    runs = [run for run in found if not run.astray]
    if not runs:
        for problem in problems:
            click.echo(f"Warning: {problem}", err=True)
        click.echo(f"Nothing to export: there are no trials in {place}", err=True)
        return NOTHING
    made = tables(runs)
    paths = _write(made, kind, target)
    if as_json:
        rows = {table.name: len(table.rows) for table in made}
        shown = {"paths": list(map(str, paths)), "rows": rows, "problems": problems}
        print_json({"results": str(place), **shown})
    else:
        for path in paths:
            click.echo(path)
    for problem in problems:
        click.echo(f"Warning: {problem}", err=True)
    return OK


def _refuse_trials_place(target: Path, results: Path) -> None:
    """Refuse a folder in which files would stand in the way of trials."""
    target, results = target.resolve(), results.resolve()
    if target.is_relative_to(results) and not target.is_relative_to(results / "report"):
        raise click.UsageError(
            f"--out {target} is where trials lie: choose a folder outside of {results}, or below "
            "its report/"
        )


def _write(made: "Sequence[Columns]", kind: Format, target: Path) -> list[Path]:
    """The files of the tables, each written at once after all were made."""
    from nas_bench.results import files
    from nas_bench.results.tables import as_csv, as_parquet

    try:
        contents = [(as_parquet if kind == "parquet" else as_csv)(table) for table in made]
    except ImportError as error:
        raise CannotRunError(
            "--format parquet needs pyarrow: pip install 'nas-bench[export]', or use --format csv"
        ) from error
    paths = [target / f"{table.name}.{kind}" for table in made]
    try:
        with files.writing(target):
            target.mkdir(parents=True, exist_ok=True)
            for path, content in zip(paths, contents, strict=True):
                files.replace(path, content)
    except files.LedgerError as error:
        raise CannotRunError(str(error)) from error
    return paths
