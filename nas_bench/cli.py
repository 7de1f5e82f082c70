"""The command line: `nas-bench VERB`. Nothing heavy is imported before a verb runs."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from nas_bench import streams
from nas_bench.commands import parameters
from nas_bench.commands.check import check
from nas_bench.commands.compare import compare
from nas_bench.commands.diff import diff
from nas_bench.commands.doctor import doctor
from nas_bench.commands.export import export
from nas_bench.commands.ls import ls
from nas_bench.commands.merge import merge
from nas_bench.commands.new import new
from nas_bench.commands.pack import pack
from nas_bench.commands.parameters import CannotRunError, examples
from nas_bench.commands.plan import plan
from nas_bench.commands.report import report
from nas_bench.commands.run import run
from nas_bench.commands.show import show
from nas_bench.commands.status import status as status_verb
from nas_bench.commands.submit import submit
from nas_bench.commands.tune import tune
from nas_bench.commands.unpack import unpack
from nas_bench.commands.verify import verify
from nas_bench.signals import Terminated, terminable
from nas_bench.specs import InputError, said
from nas_bench.text import traceback_of

_EPILOG = examples(
    "nas-bench run --methods tiny,gradmax",
    "nas-bench ls methods",
    "nas-bench report results/local",
)


class _Verbs(click.Group):
    """Verbs that signals end as documented."""

    def invoke(self, ctx: click.Context) -> Any:
        """See the base class."""
        try:
            with terminable():
                return super().invoke(ctx)
        except Terminated as error:
            return _say(
                f"Ended by {error}; the same command goes on from here.", parameters.TERMINATED
            )


@click.group(cls=_Verbs, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas-bench", prog_name="nas-bench")
def cli() -> None:
    """Benchmark neural networks that grow while they train.

    Exit codes: 0 all ok, 1 some trials failed, 2 wrong input, 3 nothing to do or to report,
    4 an error of the harness or this machine, 5 a check failed, 75 ended by SIGTERM or
    SIGHUP, 130 interrupted.
    """


_VERBS = (
    run, tune, plan, status_verb, ls, show, report, compare, diff, export, merge, verify, pack,
    unpack, submit, check, new, doctor,
)  # fmt: skip
for _verb in _VERBS:
    cli.add_command(_verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    streams.prepare()
    code = status(sys.argv[1:] if arguments is None else arguments)
    streams.finish()
    sys.exit(code)


def status(arguments: Sequence[str]) -> int:
    """The exit code of the command line with these arguments."""
    try:
        parameters.prepare_matplotlib()
        parameters.require_working_folder()
        result = cli.main(
            list(arguments), prog_name="nas-bench", standalone_mode=False, obj=arguments
        )
        return result if isinstance(result, int) else parameters.OK
    except click.ClickException as error:
        error.show()
        return parameters.USAGE
    except InputError as error:
        return _say(f"Error: {error}", parameters.USAGE)
    except (CannotRunError, streams.OutputError) as error:
        return _say(f"Error: {error}", parameters.BROKEN)
    except (click.Abort, KeyboardInterrupt):
        return _say("Interrupted; the same command goes on from here.", parameters.INTERRUPTED)
    except BaseException as error:  # code of others raises anything
        return _unexpected(error, verbose=not {"-v", "--verbose"}.isdisjoint(arguments))


def _unexpected(error: BaseException, *, verbose: bool) -> int:
    if verbose:
        click.echo(traceback_of(error), err=True, nl=False)
    hint = "" if verbose else "; run again with -v for the traceback"
    return _say(f"Error: {said(error)}{hint}", parameters.BROKEN)


def _say(message: str, code: int) -> int:
    click.echo(message, err=True)
    return code
