"""`nas-bench export`: the ledger as tables for pandas, DuckDB or R."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from nas_bench.api.places import refuse_among_trials
from nas_bench.commands.parameters import (
    OK,
    CannotRunError,
    PathGiven,
    examples,
    folder_given,
    folder_options,
    json_option,
    print_json,
    say_damage,
    say_nothing,
    say_strays,
    verbose_option,
)
from nas_bench.specs import absolute

if TYPE_CHECKING:
    from nas_bench.results.tables import Columns

Format = Literal["parquet", "csv"]

_EPILOG = examples(
    "nas-bench export --format csv",
    "nas-bench export results/published --format parquet",
    "nas-bench export results/local --format csv --out tables --json",
)


@click.command(epilog=_EPILOG)
@folder_options
@click.option(
    "--format", "kind", type=click.Choice(["parquet", "csv"]), required=True, help="Of the files."
)
@click.option(
    "--out",
    type=PathGiven(path_type=Path, file_okay=False),
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

    place = folder_given(folder, results)
    target = absolute(out or place / "report" / "export")
    refuse_among_trials(target, place)
    found = Ledger(place).contents()
    say_damage(found.damage)
    say_strays(found.aside)
    if not found.runs:
        return say_nothing("export", place)
    made = tables(found.runs)
    paths = _write(made, kind, target, place)
    if as_json:
        rows = {table.name: len(table.rows) for table in made}
        shown = {"paths": list(map(str, paths)), "rows": rows, "problems": found.damage}
        print_json({"results": str(place), **shown, "strays": found.aside})
    else:
        for path in paths:
            click.echo(path)
    return OK


def _write(made: "Sequence[Columns]", kind: Format, target: Path, results: Path) -> list[Path]:
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
        ours = target.relative_to(results).parts if target.is_relative_to(results) else ()
        files.own_folder(results if ours else target, *ours)
        with files.writing(target):
            for path, content in zip(paths, contents, strict=True):
                files.replace(path, content)
    except files.LedgerError as error:
        raise CannotRunError(str(error)) from error
    return paths
