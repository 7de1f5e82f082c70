"""`nas-bench run`: plan trials, run them, report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from nas_bench.api.running import (
    Request,
    Sweep,
    asked,
    carry_out,
    summarise,
    sweep_of,
    trial_values,
)
from nas_bench.commands.parameters import (
    FAILED,
    MANY,
    NOTHING,
    OK,
    Decorator,
    Number,
    device_option,
    examples,
    explain_option,
    json_option,
    print_json,
    typed,
    verbose_option,
)
from nas_bench.commands.report import print_report, report_values, write_report
from nas_bench.commands.selection import selection_options
from nas_bench.signals import Stop, terminable

if TYPE_CHECKING:
    from nas_bench.execution.wandb_log import WandbLog
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.config import TrialConfig

_EPILOG = examples(
    "nas-bench run --methods tiny,gradmax",
    "nas-bench run --protocol mlp --methods all --tasks mnist --seeds 0-9",
    "nas-bench run --methods 'tiny[update=false]' --budget '20 epochs' --set schedule.growths=4",
)


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from nas_bench.execution.ray_session import is_address

        if not is_address(value):
            raise click.BadParameter(f"{value!r} is not of the form host:port or auto")
    return value


@dataclass(frozen=True)
class Printing:
    """How a verb says what came of it."""

    explain: bool
    as_json: bool
    verbose: bool


def execution_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Every option that says how trials run and what is said meanwhile."""
    for option in reversed(_execution_options()):
        verb = option(verb)
    return verb


def _execution_options() -> list[Decorator]:
    return [
        click.option(
            "--executor",
            type=click.Choice(["ray", "inline"]),
            default="ray",
            show_default=True,
            help="Ray Tune, or one after the other in this process.",
        ),
        device_option("auto takes a GPU for tasks that gain from one."),
        click.option(
            "--address", callback=_address, help="Of a running Ray cluster, host:port or auto."
        ),
        click.option(
            "--gpus-per-trial",
            type=Number(0, 10_000),
            help="Fractions share a GPU; 0 is the CPU.  [default: what the task declares]",
        ),
        click.option(
            "--trials-per-gpu", type=click.IntRange(1, 10000), help="Trials that share a GPU."
        ),
        click.option("--max-concurrent", type=click.IntRange(1, MANY), help="Trials at a time."),
        click.option(
            "--timeout",
            type=Number(0, MANY, min_open=True),
            help="Seconds a trial may run.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(0, 1000),
            default=1,
            show_default=True,
            help="How often a trial goes on after its machine failed: worker killed, node lost.",
        ),
        click.option(
            "--storage",
            help="Folder or address (s3://…) of checkpoints that all machines reach. "
            "[default: .checkpoints in the results; none with --address]",
        ),
        click.option(
            "--checkpoint-every",
            type=Number(0, MANY),
            default=60.0,
            show_default=True,
            help="Seconds between checkpoints of a trial.",
        ),
        explain_option(),
        json_option(),
        click.option("-q", "--quiet", is_flag=True, help="No progress."),
        verbose_option(expose_value=True),
    ]


@click.command(epilog=_EPILOG)
@selection_options
@execution_options
@click.option(
    "--wandb",
    type=click.Choice(["off", "offline", "online"]),
    default="off",
    show_default=True,
    help="Log to Weights & Biases too.",
)
@click.option(
    "--slurm",
    metavar="FILE|-",
    help="Run nothing; write a Slurm batch script that runs this command on all its nodes.",
)
@click.option("--submit", is_flag=True, help="With --slurm: hand the script to sbatch.")
@click.option(
    "--sbatch",
    multiple=True,
    metavar="OPTION",
    help="With --slurm: an option such as --nodes=4; repeatable.",
)
def run(**values: Any) -> int:
    """Run the trials of a protocol and report on them.

    The same command again continues: what has finished is not run twice. Changes to the
    protocol come from the study of --config, then --set, then --methods, --tasks, --seeds and
    --budget.
    """
    printing = Printing(*(values.pop(name) for name in ("explain", "as_json", "verbose")))
    batch = tuple(values.pop(name) for name in ("slurm", "submit", "sbatch"))
    with terminable() as stop:
        return _run(Request(**values), stop, batch, printing)


def _run(request: Request, stop: Stop, batch: tuple[Any, ...], printing: Printing) -> int:
    """Run the trials, or write the batch script that does."""
    sweep = sweep_of(request, typed())
    script, submit, options = batch
    if script:
        from nas_bench.commands.slurm import batch as write

        return write(script, submit, options, sweep.ledger.folder, str(sweep.settings.storage))
    if submit or options:
        raise click.UsageError("--submit and --sbatch belong to --slurm: add --slurm FILE")
    log = carry_out(sweep, stop)
    return _conclude(sweep, log, printing)


def _conclude(sweep: Sweep, log: "WandbLog | None", printing: Printing) -> int:
    """Report on the folder, and say by the exit code how the trials asked for ended."""
    configs, folder = sweep.configs, sweep.ledger.folder
    trials = trial_values(configs, sweep.ledger)
    written = write_report(folder, printing.as_json)
    if log and written and configs:
        summarise(log, sweep.request, configs, written)
    if printing.as_json:
        report = report_values(written) if written else {"table": [], "paths": [], "problems": []}
        print_json({"results": str(folder), "trials": trials, **report})
    elif written:
        print_report(written, explain=printing.explain, asked=asked(configs))
    if printing.verbose:
        say_tracebacks(configs, sweep.ledger)
    if not trials or written is None:
        click.echo(f"Nothing to do, and no results in {folder}", err=True)
        return NOTHING
    return OK if all(trial["status"] in ("ok", "not applicable") for trial in trials) else FAILED


def say_tracebacks(configs: Sequence["TrialConfig"], ledger: "Ledger") -> None:
    """Where the traceback of each failed trial is, on stderr."""
    for config in configs:
        trial = ledger.run(config)
        if trial and trial.error:
            place = trial.folder / "run.json"
            name = f"{config.task} {config.label} seed {config.seed}"
            click.echo(f"{name}: the traceback is in {place}", err=True)
