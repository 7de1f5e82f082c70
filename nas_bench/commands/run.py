"""`nas-bench run`: plan trials, run them, report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nas_bench.commands.parameters import (
    FAILED,
    NOTHING,
    OK,
    TERMINATED,
    CannotRunError,
    data_option,
    examples,
    json_option,
    load_plugins,
    plugin_option,
    print_json,
    results_folder,
    results_option,
    verbose_option,
)
from nas_bench.commands.report import print_report, report_values, write_report
from nas_bench.specs import specs

if TYPE_CHECKING:
    from nas_bench.execution import Sink
    from nas_bench.execution.terminal import Say
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.config import TrialConfig
    from nas_bench.trials.protocol import Protocol

_EPILOG = examples(
    "nas-bench run --methods tiny,gradmax",
    "nas-bench run --protocol mlp --methods all --tasks mnist --seeds 0-9",
    "nas-bench run --methods 'tiny[update=false]' --budget '20 epochs' --set schedule.growths=4",
)


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; None is the protocol's own."""

    protocol: str
    methods: str | None
    tasks: str | None
    seeds: str | None
    budget: str | None
    config: Path | None
    changes: tuple[str, ...]
    no_baselines: bool
    plugin_paths: tuple[Path, ...]
    results: Path | None
    data: Path | None
    rerun: Literal["none", "failed", "all"]
    executor: Literal["ray", "inline"]
    address: str | None
    gpus_per_trial: float
    max_concurrent: int | None
    wandb: Literal["off", "offline", "online"]
    as_json: bool
    quiet: bool
    verbose: bool


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from nas_bench.execution.ray_session import is_address

        if not is_address(value):
            raise click.BadParameter(f"{value!r} is not of the form host:port or auto")
    return value


@click.command(epilog=_EPILOG)
@click.option("--protocol", default="smoke", show_default=True, help="Its name, or a YAML file.")
@click.option("--methods", help="Such as tiny,gradmax or 'tiny[update=false]' or all.")
@click.option("--tasks", help="Such as mnist,fashion_mnist.")
@click.option("--seeds", help="Such as 0-9 or 0,2,5.")
@click.option("--budget", help="Such as '10 epochs', '2000 steps' or '1e12 flops'.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="YAML file of changes to the protocol."
)
@click.option(
    "--set", "changes", multiple=True, metavar="A.B=JSON", help="A change to the protocol."
)
@click.option("--no-baselines", is_flag=True, help="Do not add the protocol's fixed networks.")
@plugin_option()
@results_option()
@data_option()
@click.option(
    "--rerun",
    type=click.Choice(["none", "failed", "all"]),
    default="none",
    show_default=True,
    help="What to run again of what has ended.",
)
@click.option(
    "--executor",
    type=click.Choice(["ray", "inline"]),
    default="ray",
    show_default=True,
    help="Ray Tune, or one after the other in this process.",
)
@click.option("--address", callback=_address, help="Of a running Ray cluster, host:port or auto.")
@click.option(
    "--gpus-per-trial",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Fractions share a GPU.",
)
@click.option("--max-concurrent", type=click.IntRange(min=1), help="Trials at a time.")
@click.option(
    "--wandb",
    type=click.Choice(["off", "offline", "online"]),
    default="off",
    show_default=True,
    help="Log to Weights & Biases too.",
)
@json_option()
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@verbose_option(expose_value=True)
def run(**values: Any) -> int:
    """Run the trials of a protocol and report on them.

    The same command again continues: what has finished is not run twice. Changes to the
    protocol come from --config, then --set, then --methods, --tasks, --seeds and --budget.
    """
    from nas_bench.execution.terminal import Terminated, terminable

    try:
        with terminable():
            return _run(Request(**values))
    except Terminated:
        click.echo("Ended by SIGTERM; what finished is kept.", err=True)
        return TERMINATED


def _run(request: Request) -> int:
    plugin_paths = load_plugins(request.plugin_paths)
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.plan import plan

    protocol = _protocol(request)
    configs = plan(protocol, baselines=not request.no_baselines)
    ledger = Ledger(results_folder(request.results))
    _sweep(request, configs, ledger, plugin_paths, protocol.threads)
    return _conclude(request, configs, ledger)


def _protocol(request: Request) -> "Protocol":
    from nas_bench.trials.protocol import load_protocol

    return load_protocol(request.protocol, _changes(request))


def _changes(request: Request) -> Iterator[dict[str, Any]]:
    """What changes the protocol, the strongest last."""
    from nas_bench.trials.inputs import read_yaml, setting

    if request.config:
        yield read_yaml(request.config)
    yield from map(setting, request.changes)
    lists = {"methods": request.methods, "tasks": request.tasks}
    yield {name: specs(text) for name, text in lists.items() if text is not None}
    texts = {"seeds": request.seeds, "budget": request.budget}
    yield {name: text for name, text in texts.items() if text is not None}


def _sweep(
    request: Request,
    configs: Sequence["TrialConfig"],
    ledger: "Ledger",
    plugin_paths: tuple[Path, ...],
    threads: int,
) -> None:
    from nas_bench.execution import ExecutionError, Settings
    from nas_bench.execution.earlier import missing, remarks
    from nas_bench.execution.progress import progress
    from nas_bench.execution.sweep import sweep
    from nas_bench.execution.terminal import clean_stdout
    from nas_bench.results.ledger import LedgerError
    from nas_bench.training.task import DataMissingError

    settings = Settings(
        data=request.data,
        plugins=plugin_paths,
        cpus_per_trial=threads,
        gpus_per_trial=request.gpus_per_trial,
        max_concurrent=request.max_concurrent,
        address=request.address,
    )
    chosen = missing(configs, ledger, request.rerun)
    for remark in remarks(configs, chosen, ledger, plugin_paths):
        click.echo(remark, err=True)
    try:
        with (
            clean_stdout(quiet=request.quiet) as say,
            progress(len(chosen), quiet=request.quiet) as shown,
            _wandb(request.wandb, ledger.folder, say) as logged,
        ):

            def observer(config: "TrialConfig", message: dict[str, Any]) -> None:
                shown(config, message)
                logged(config, message)

            sweep(configs, ledger, request.executor, settings, request.rerun, observer)
    except (DataMissingError, ExecutionError, LedgerError) as error:
        raise CannotRunError(str(error)) from error


@contextmanager
def _wandb(
    mode: Literal["off", "offline", "online"], folder: Path, warn: "Say"
) -> Iterator["Sink"]:
    """What logs to Weights & Biases, or nothing."""
    if mode == "off":
        yield lambda config, message: None
        return
    from nas_bench.execution.wandb_log import WandbLog

    log = WandbLog(mode, folder, warn)
    try:
        yield log
    finally:
        log.close()


def _conclude(request: Request, configs: Sequence["TrialConfig"], ledger: "Ledger") -> int:
    """Report on the folder, and say by the exit code how the trials asked for ended."""
    trials = [
        {
            "id": config.id,
            "task": config.task,
            "method": config.label,
            "seed": config.seed,
            "status": ledger.status(config),
        }
        for config in configs
    ]
    written = write_report(ledger.folder, request.as_json)
    if request.as_json:
        report = report_values(written) if written else {"table": [], "paths": [], "problems": []}
        print_json({"results": str(ledger.folder), "trials": trials, **report})
    elif written:
        print_report(written)
    if request.verbose:
        _say_tracebacks(configs, ledger)
    if not trials or written is None:
        click.echo(f"Nothing to do, and no results in {ledger.folder}", err=True)
        return NOTHING
    return OK if all(trial["status"] == "ok" for trial in trials) else FAILED


def _say_tracebacks(configs: Sequence["TrialConfig"], ledger: "Ledger") -> None:
    """Where the traceback of each failed trial is, on stderr."""
    for config in configs:
        trial = ledger.run(config)
        if trial and trial.error:
            place = trial.folder / "run.json"
            name = f"{config.task} {config.label} seed {config.seed}"
            click.echo(f"{name}: the traceback is in {place}", err=True)
