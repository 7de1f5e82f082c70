"""`nas-bench merge`: bring results folders of several machines together."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_bench.commands.parameters import (
    GATE,
    OK,
    CannotRunError,
    PathGiven,
    examples,
    json_option,
    print_json,
    results_folder,
    results_option,
    say_nothing,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.results.merging import Decision, Prefer

_EPILOG = examples(
    "nas-bench merge node1/results node2/results --results results/local",
    "nas-bench merge results/laptop --dry-run",
    "nas-bench merge results/laptop --prefer newest --json",
)
_WRONG = ("conflict", "damaged", "unreadable")


@click.command(epilog=_EPILOG)
@click.argument(
    "sources", nargs=-1, required=True, type=PathGiven(path_type=Path, file_okay=False)
)
@results_option()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--prefer",
    type=click.Choice(["newest", "oldest", "source", "existing"]),
    help="Which of two different results wins  [default: none, which is an error]",
)
@json_option()
@verbose_option()
def merge(
    sources: tuple[Path, ...],
    results: Path | None,
    dry_run: bool,
    prefer: "Prefer | None",
    as_json: bool,
) -> int:
    """Bring the trials of the results folders SOURCES into one results folder.

    A result beats a failure, a failure beats what has not ended, more records beat fewer.
    Two different results are a conflict: the existing one stays, and the exit code is 5. What
    is replaced is set aside in damaged-<n> beside it.
    """
    target = results_folder(results)
    decisions = _decisions(_checked(sources, target), target, prefer, dry_run)
    counts = Counter(decision.action for decision in decisions)
    if as_json:
        rows = [
            {"action": d.action, "source": str(d.source), "reason": d.reason} for d in decisions
        ]
        print_json({"results": str(target), "dry_run": dry_run, "counts": counts, "trials": rows})
    else:
        _print(decisions, counts)
    if not decisions:
        return say_nothing("merge", sources[0].absolute())
    return GATE if any(counts[action] for action in _WRONG) else OK


def _checked(sources: Sequence[Path], target: Path) -> list[Path]:
    """The sources as absolute paths, once each."""
    for source in sources:
        if not source.is_dir():
            raise click.UsageError(f"there is no results folder at {source}")
        if source.resolve() == target.resolve():
            raise click.UsageError(f"{source} is the results folder itself: name other ones")
    return list(dict.fromkeys(source.absolute() for source in sources))


def _decisions(
    sources: Sequence[Path], target: Path, prefer: "Prefer | None", dry: bool
) -> "list[Decision]":
    from nas_bench.results.ledger import LedgerError
    from nas_bench.results.lock import locked
    from nas_bench.results.merging import merge

    try:
        with nullcontext() if dry else locked(target):
            return list(merge(sources, target, prefer, dry=dry))
    except LedgerError as error:
        raise CannotRunError(str(error)) from error


def _print(decisions: "Sequence[Decision]", counts: Counter[str]) -> None:
    """What happened on stdout, what did not go well on stderr."""
    from nas_bench.text import one_line

    for decision in decisions:
        wrong = decision.action in _WRONG
        if wrong or decision.action == "replaced":
            line = f"{decision.action}: {decision.place} of {decision.source}: {decision.reason}"
            click.echo(one_line(line), err=wrong)
    if decisions:
        click.echo(", ".join(f"{count} {action}" for action, count in counts.items()))
