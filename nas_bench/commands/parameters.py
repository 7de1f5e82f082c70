"""Options that several verbs share, and what they mean."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from nas_bench.api.places import RESULTS_VARIABLE, ledgers_of, results_folder
from nas_bench.specs import CannotRunError
from nas_bench.streams import clean_stdout
from nas_bench.text import one_line

OK, FAILED, USAGE, NOTHING, BROKEN, GATE, TERMINATED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 75, 130

_NAMED = 3
"""Strays that are named; all of them with --json."""

MANY = 10**9
"""More of anything that is counted on the command line is a slip."""
_DOCUMENT = "nas_bench.document"
"""Where a context keeps what `--json` prints."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Number(click.FloatRange):
    """A number within limits; nan is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See the base class."""
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


class PathGiven(click.Path):
    """The path of a file or folder; no text, as an unset variable leaves it, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the base class."""
        if value == "":
            self.fail("there is no path: give one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


def examples(*lines: str) -> str:
    """The end of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def verbose_option(*, expose_value: bool = False) -> Decorator:
    """`-v`, which shows the traceback of an unexpected error; read by the entry point."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=expose_value,
        help="Show tracebacks of errors.",
    )


def explain_option() -> Decorator:
    """`--explain`, the long note under tables."""
    return click.option("--explain", is_flag=True, help="Say what every column of a table is.")


def json_option() -> Decorator:
    """`--json`, one JSON document on stdout instead of text, and nothing else there."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,
        callback=_keep_stdout,
        help="Print one JSON document.",
    )


def _keep_stdout(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """What anything prints before the verb has ended goes to stderr; then comes the document."""
    if value:
        context.call_on_close(lambda: _print_document(context))
        context.with_resource(clean_stdout())
    return value


def _print_document(context: click.Context) -> None:
    if _DOCUMENT in context.meta:
        click.echo(context.meta[_DOCUMENT])


def results_option() -> Decorator:
    """`--results`, the folder of the ledger."""
    return click.option(
        "--results",
        type=PathGiven(path_type=Path, file_okay=False),
        help=f"Results folder  [default: ${RESULTS_VARIABLE}, else ./results/local]",
    )


def folder_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The results folder as an argument or as `--results`; see `folder_given`."""
    verb = results_option()(verb)
    kind = PathGiven(path_type=Path, file_okay=False)
    return click.argument("folder", type=kind, required=False)(verb)


def data_option() -> Decorator:
    """`--data`, the folder of data sets."""
    return click.option(
        "--data",
        type=PathGiven(path_type=Path, file_okay=False),
        help="Data folder  [default: $NAS_BENCH_DATA, else the user's cache]",
    )


def device_option(about: str) -> Decorator:
    """`--device`, where trials train."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        callback=_device,
        metavar="auto|cpu|cuda[:N]|mps",
        help=f"Where trials train; {about}",
    )


def _device(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise click.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N and mps")
    return value


def plugin_option() -> Decorator:
    """`--plugin`, Python files with methods or tasks of one's own."""
    return click.option(
        "--plugin",
        "plugin_paths",
        type=PathGiven(path_type=Path),
        multiple=True,
        help="Python file with methods or tasks; repeatable.",
    )


def folder_given(folder: Path | None, results: Path | None) -> Path:
    """What `folder_options` have taken, as `results_folder` gives it."""
    if folder and results:
        raise click.UsageError("give the folder once: as an argument or with --results")
    return results_folder(folder or results)


def ledgers_given(ledgers: Sequence[Path], results: Path | None = None) -> tuple[Path, ...]:
    """The ledgers that were named, as arguments or with `--results`."""
    if ledgers and results:
        raise click.UsageError("give the folder once: as an argument or with --results")
    return ledgers_of(ledgers or ([results] if results else []))


def shown_ledgers(ledgers: Sequence[Path]) -> str | list[str]:
    """What `--json` says of the ledgers: one, or a list of several."""
    return str(ledgers[0]) if len(ledgers) == 1 else list(map(str, ledgers))


def say_damage(damage: Iterable[str]) -> None:
    """A line on stderr for each thing that is damaged."""
    for line in damage:
        click.echo(f"Warning: {one_line(line)}", err=True)


def say_strays(strays: Sequence[str]) -> None:
    """One line on stderr for everything that is no part of the ledger."""
    if strays:
        more = f"; and {len(strays) - _NAMED} more" if len(strays) > _NAMED else ""
        named = one_line("; ".join(strays[:_NAMED]))
        click.echo(f"Not part of the ledger, and left alone: {named}{more}", err=True)


def say_nothing(what: str, folder: Path, lacking: str = "trials") -> int:
    """That there is nothing to be done with a results folder, on stderr; the exit code."""
    from nas_bench.results.layout import results_above

    above = results_above(folder)
    cure = f"; it is a part of the results folder {above}" if above else ""
    click.echo(f"Nothing to {what}: there are no {lacking} in {folder}{cure}", err=True)
    return NOTHING


def typed() -> list[str]:
    """The command line that is running."""
    return ["nas-bench", *(click.get_current_context().find_root().obj or ())]


def try_to_write(folder: Path) -> None:
    """Make and delete a file in a folder, or in the nearest one above it that exists.

    Raises:
        OSError: if that cannot be done.
    """
    import tempfile

    existing = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.TemporaryFile(dir=existing):
        pass


def require_working_folder() -> None:
    """Refuse to begin in a folder that has been removed, where libraries end the process.

    Raises:
        CannotRunError: if it is gone.
    """
    try:
        Path.cwd()
    except OSError:
        raise CannotRunError(
            "the working directory is gone: change to another one, and give the command again"
        ) from None


def prepare_matplotlib() -> None:
    """Have it draw to files, whatever the environment asks for, and give it a folder.

    A temporary one where it cannot write into the user's, as it would say on every import.
    """
    os.environ["MPLBACKEND"] = "agg"
    if "MPLCONFIGDIR" in os.environ:
        return
    try:
        for variable, usual in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache")):
            try_to_write(Path(os.environ.get(variable) or Path.home() / usual))
    except (OSError, RuntimeError):
        import atexit
        import shutil
        import tempfile

        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="nas-bench-matplotlib-")
            os.environ["MPLCONFIGDIR"] = folder
            atexit.register(shutil.rmtree, folder, ignore_errors=True)


def counted(count: int, noun: str) -> str:
    """Such as `1 trial` and `2 trials`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def print_json(value: Any) -> None:
    """One JSON document on stdout when the verb has ended; what is not a number is null."""
    import json

    document = json.dumps(_finite(value), indent=2, default=str, allow_nan=False)
    click.get_current_context().meta[_DOCUMENT] = document


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(element) for element in value]
    infinite = isinstance(value, float) and (value != value or value in (1e400, -1e400))
    return None if infinite else value
