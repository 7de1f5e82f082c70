"""`nas-bench status`: how far the trials of a results folder are."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.api.places import load_plugins
from nas_bench.commands.parameters import (
    MANY,
    OK,
    Number,
    counted,
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
from nas_bench.specs import short_names
from nas_bench.text import one_line, ranges

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nas_bench.results.overview import Overview, Row, Trial

_SHOWN = 20
"""Damaged trials named below the table; all of them with --json."""
_EPILOG = examples(
    "nas-bench status",
    "nas-bench status --watch",
    "nas-bench status results/published --json",
)


@click.command(epilog=_EPILOG)
@folder_options
@plugin_option()
@click.option("--watch", is_flag=True, help="Keep looking, until Ctrl-C.")
@click.option(
    "--every",
    type=Number(0.1, MANY),
    default=2.0,
    show_default=True,
    help="Seconds between looks with --watch.",
)
@json_option()
@verbose_option()
def status(
    folder: Path | None,
    results: Path | None,
    plugin_paths: tuple[Path, ...],
    watch: bool,
    every: float,
    as_json: bool,
) -> int:
    """Show how far the trials in FOLDER are, also while others write into it."""
    load_plugins(plugin_paths)
    place = folder_given(folder, results)
    if watch:
        if as_json:
            raise click.UsageError("--watch and --json do not go together: ask for one")
        return _watch(place, every)
    from nas_bench.results.overview import overview

    found = overview(place)
    if as_json:
        print_json(_values(found))
    elif found.trials or found.problems:
        _console().print(_shown(found))
    say_strays(found.strays)
    if not found.trials:
        return say_nothing("show", place)
    return OK


def _watch(folder: Path, every: float) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        _live(folder, every) if sys.stdout.isatty() else _lines(folder, every)
    return OK


def _live(folder: Path, every: float) -> None:
    from rich.live import Live

    from nas_bench.results.overview import overview

    with Live(_shown(overview(folder)), console=_console(), auto_refresh=False) as live:
        while True:
            time.sleep(every)
            live.update(_shown(overview(folder)), refresh=True)


def _lines(folder: Path, every: float) -> None:
    """A line for every trial that changed since the last look, while somebody reads them."""
    from nas_bench.results.overview import overview

    said: dict[str, str] = {}
    while not getattr(sys.stdout, "lost", False):
        found = overview(folder)
        names = short_names(row.task for row in found.rows)
        for trial in found.trials:
            line = _line(trial, names[trial.run.task])
            if said.get(trial.place) != line:
                said[trial.place] = line
                click.echo(line)
        sys.stdout.flush()
        time.sleep(every)


def _line(trial: "Trial", task: str) -> str:
    run = trial.run
    share = f" {trial.share:.0%}" if run.status == "running" and trial.share is not None else ""
    reason = f": {run.reason}" if run.reason else ""
    name = f"{run.protocol} {task} {run.label} seed {run.seed}"
    return one_line(f"{name}: {run.status}{share}{reason}")


def _shown(found: "Overview") -> "RenderableType":
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = _columns(found)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("protocol", "task", "method"):
        table.add_column(name, overflow="fold")
    for name in (*columns, "seeds", "running at", "last write"):
        table.add_column(name, justify="right")
    names = short_names(row.task for row in found.rows)
    for row in found.rows:
        table.add_row(*map(Text, _cells(row, names[row.task], columns, found.now)))
    shown = [table] if found.rows else []
    return Group(*shown, *(Text(line) for line in _remarks(found)))


def _columns(found: "Overview") -> list[str]:
    """The statuses that occur; ok always."""
    from nas_bench.results.overview import STATUSES

    names = (*STATUSES, "stale")
    return [name for name in names if name == "ok" or any(row.counts[name] for row in found.rows)]


def _cells(row: "Row", task: str, columns: list[str], now: float) -> Iterator[str]:
    yield from map(one_line, (row.protocol, task, row.label))
    yield from (str(row.counts[name] or "–") for name in columns)
    yield ranges(row.seeds)
    shares = row.shares
    several = f"{min(shares):.0%}–{max(shares):.0%}" if shares else "–"
    yield f"{shares[0]:.0%}" if len(set(shares)) == 1 else several
    yield "–" if row.written is None else f"{_age(now - row.written)} ago"


def _remarks(found: "Overview") -> Iterator[str]:
    counts = [row.counts for row in found.rows]
    running, stale = (sum(count[name] for count in counts) for name in ("running", "stale"))
    trials = counted(len(found.trials), "trial")
    if found.driver:
        yield f"{trials}; {one_line(found.driver)} writes here"
    elif running:
        yield (
            f"{trials}; no driver writes here: what is running was cut off, "
            "and the same command continues it"
        )
    else:
        yield trials
    if stale:
        yield f"{stale} stale: of other behaviour or data than today's"
    problems = found.problems
    unreadable = tuple(f"{t.place}: " for t in found.trials if t.run.status == "unreadable")
    for text in problems[:_SHOWN]:
        word = "unreadable" if text.startswith(unreadable) else "damaged"
        yield f"{word}: {one_line(text)}"
    if len(problems) > _SHOWN:
        yield f"and {len(problems) - _SHOWN} more: --json lists all"


def _age(seconds: float) -> str:
    """Seconds as people say them: `12 s`, `5 min`, `3 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _values(found: "Overview") -> dict[str, Any]:
    """The overview as JSON-able values."""
    from nas_bench.results.overview import STATUSES

    names = (*STATUSES, "stale")
    rows = [
        {
            "protocol": row.protocol,
            "task": row.task,
            "method": row.label,
            **{name: row.counts[name] for name in names},
            "seeds": row.seeds,
            "last_write": None if row.written is None else found.now - row.written,
        }
        for row in found.rows
    ]
    trials = [
        {
            "folder": trial.place,
            "id": trial.run.id,
            "seed": trial.run.seed,
            "status": trial.run.status,
            "stale": trial.stale,
            "share": trial.share,
            "reason": trial.run.reason,
        }
        for trial in found.trials
    ]
    return {
        "results": str(found.folder),
        "driver": found.driver,
        "rows": rows,
        "trials": trials,
        "problems": found.problems,
        "strays": found.strays,
    }


def _console() -> "Console":
    import shutil

    from rich.console import Console

    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    return Console(width=width, highlight=False)
