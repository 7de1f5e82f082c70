"""`nas-bench submit`: check results, and pack them for a pull request."""

from pathlib import Path

import click

from nas_bench.api.places import load_plugins, refuse_among_trials
from nas_bench.commands.parameters import (
    GATE,
    MANY,
    OK,
    CannotRunError,
    PathGiven,
    counted,
    data_option,
    device_option,
    examples,
    folder_given,
    folder_options,
    json_option,
    plugin_option,
    print_json,
    say_nothing,
    say_strays,
    verbose_option,
)

_EPILOG = examples(
    "nas-bench submit my-results",
    "nas-bench submit my-results --rerun 5 --output mine.zip",
    "nas-bench submit my-results --plugin mine.py --json",
)


@click.command(epilog=_EPILOG)
@folder_options
@click.option(
    "--rerun",
    type=click.IntRange(0, MANY),
    default=3,
    show_default=True,
    metavar="K",
    help="Run K random trials again, and compare.",
)
@click.option(
    "--seed", type=click.IntRange(0, MANY), default=0, show_default=True, help="Of the choice."
)
@click.option(
    "--output",
    type=PathGiven(path_type=Path, dir_okay=False),
    help="File of the pack.  [default: submission-FOLDER.zip]",
)
@device_option("auto takes each trial's own, if there is one like it here.")
@plugin_option()
@data_option()
@json_option()
@verbose_option()
def submit(
    folder: Path | None,
    results: Path | None,
    rerun: int,
    seed: int,
    output: Path | None,
    device: str,
    plugin_paths: tuple[Path, ...],
    data: Path | None,
    as_json: bool,
) -> int:
    """Check the results in FOLDER as reviewers do, and write one pack for a pull request.

    Checked are: files, clocks and budgets; failures; protocols, which must be as they come;
    seeds; fixed and random_growth beside one's own methods; behaviour versions; the contract of
    plugins; and trials drawn at random, which run again. CONTRIBUTING.md says what comes next.
    """
    from nas_bench.api.submission import checked, write_pack
    from nas_bench.execution import Settings
    from nas_bench.results.ledger import Ledger, LedgerError

    ledger = Ledger(folder_given(folder, results))
    settings = Settings(data=data, plugins=load_plugins(plugin_paths), device=device)
    path = output or Path(f"submission-{ledger.folder.name}.zip")
    refuse_among_trials(path, ledger.folder)
    found = checked(ledger, settings, rerun, seed)
    say_strays(found.aside)
    try:
        if found.ok:
            write_pack(found, path)
    except LedgerError as error:
        raise CannotRunError(str(error)) from error
    if as_json:
        written = str(path) if found.ok else None
        print_json({"checks": [vars(check) for check in found.checks], "pack": written})
    elif found.runs:
        for check in found.checks:
            remark = f": {check.message}" if check.message else ""
            click.echo(f"{'ok    ' if check.ok else 'FAILED'} {check.name}{remark}")
        if found.ok:
            click.echo(
                f"{path} ({counted(len(found.runs), 'trial')}): attach it to a pull request"
            )
        else:
            click.echo("No pack is written, since not every check holds", err=True)
    if not found.runs:
        return say_nothing("submit", ledger.folder)
    return OK if found.ok else GATE
