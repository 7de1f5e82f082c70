"""`nas-bench pack`: the trials of a protocol and task in one file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.parameters import (
    GATE,
    NOTHING,
    OK,
    CannotRunError,
    counted,
    examples,
    folder_given,
    folder_options,
    json_option,
    print_json,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.results.packing import Outcome

_EPILOG = examples(
    "nas-bench pack",
    "nas-bench pack results/published",
    "nas-bench pack results/local --protocol smoke --task digits --json",
)


def packing_options(verb: Callable[..., int]) -> Callable[..., int]:
    """The results folder, and which of its protocols and tasks."""
    for option in (
        verbose_option(),
        json_option(),
        click.option("--task", "tasks", multiple=True, help="Only this task; repeatable."),
        click.option(
            "--protocol", "protocols", multiple=True, help="Only this protocol; repeatable."
        ),
        folder_options,
    ):
        verb = option(verb)
    return verb


@click.command(epilog=_EPILOG)
@packing_options
def pack(**values: Any) -> int:
    """Pack each protocol and task in FOLDER whose trials have ended into one file.

    <protocol>/<task>.zip takes the place of the folder <protocol>/<task>; every verb reads it as
    it is. The folder is removed after the pack was read back as equal. What is unfinished or
    damaged stays as it is, and the exit code is 5. nas-bench unpack is the way back.
    """
    from nas_bench.results.packing import pack

    return change_packs(pack, **values)


def change_packs(
    change: "Callable[..., Iterator[Outcome]]",
    folder: Path | None,
    results: Path | None,
    protocols: tuple[str, ...],
    tasks: tuple[str, ...],
    as_json: bool,
) -> int:
    """Pack or unpack, say what became of it, and give the exit code."""
    from nas_bench.results.ledger import LedgerError
    from nas_bench.results.lock import locked

    place = folder_given(folder, results)
    if not place.is_dir():
        raise click.UsageError(f"there is no results folder at {place}")
    outcomes = []
    try:
        with locked(place):
            for outcome in change(place, protocols, tasks):
                outcomes.append(outcome)
                if not as_json:
                    _say(outcome)
    except LedgerError as error:
        raise CannotRunError(str(error)) from error
    if as_json:
        print_json({"results": str(place), "packs": [asdict(outcome) for outcome in outcomes]})
    return _code(outcomes, place)


def _say(outcome: "Outcome") -> None:
    """What was done on stdout, what was not on stderr."""
    from nas_bench.text import human, one_line

    if outcome.action != "refused":
        trials, size = counted(outcome.trials, "trial"), human(outcome.bytes)
        click.echo(one_line(f"{outcome.action}: {outcome.place}: {trials}, {size}B"))
    for problem in outcome.problems:
        click.echo(one_line(f"refused: {outcome.place}: {problem}"), err=True)


def _code(outcomes: "Sequence[Outcome]", place: Path) -> int:
    if not outcomes:
        click.echo(f"Nothing to do: there is nothing of this kind in {place}", err=True)
        return NOTHING
    return GATE if any(outcome.problems for outcome in outcomes) else OK
