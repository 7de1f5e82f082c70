"""`nas-bench run`: plan trials, run them, report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nas_bench.commands.announcement import announced
from nas_bench.commands.parameters import (
    FAILED,
    MANY,
    NOTHING,
    OK,
    CannotRunError,
    Decorator,
    Number,
    device_option,
    examples,
    explain_option,
    json_option,
    load_plugins,
    print_json,
    results_folder,
    typed,
    verbose_option,
)
from nas_bench.commands.report import print_report, report_values, write_report
from nas_bench.commands.selection import Selection, selection_options
from nas_bench.signals import Stop, terminable
from nas_bench.specs import absolute

if TYPE_CHECKING:
    from nas_bench.execution import Settings, Sink
    from nas_bench.execution.wandb_log import WandbLog
    from nas_bench.report import Report
    from nas_bench.results.ledger import Ledger
    from nas_bench.streams import Say
    from nas_bench.trials.config import TrialConfig
    from nas_bench.trials.protocol import Protocol

_EPILOG = examples(
    "nas-bench run --methods tiny,gradmax",
    "nas-bench run --protocol mlp --methods all --tasks mnist --seeds 0-9",
    "nas-bench run --methods 'tiny[update=false]' --budget '20 epochs' --set schedule.growths=4",
)


_LEAST = 1e-4  # GPUs; Ray counts in such units
CHECKPOINTS = ".checkpoints"
"""Folder in the results where checkpoints lie; ignored by git."""
_WITHOUT_STORAGE = (
    "No checkpoints are kept, so interrupted trials will begin anew: give --storage a folder or "
    "address that all machines of the cluster share"
)


@dataclass(frozen=True)
class Request(Selection):
    """What was asked for on the command line."""

    executor: Literal["ray", "inline"]
    address: str | None
    device: str
    gpus_per_trial: float | None
    trials_per_gpu: int | None
    max_concurrent: int | None
    timeout: float | None
    retries: int
    storage: str | None
    checkpoint_every: float
    wandb: Literal["off", "offline", "online"]
    slurm: str | None
    submit: bool
    sbatch: tuple[str, ...]
    explain: bool
    as_json: bool
    quiet: bool
    verbose: bool


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from nas_bench.execution.ray_session import is_address

        if not is_address(value):
            raise click.BadParameter(f"{value!r} is not of the form host:port or auto")
    return value


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
    protocol come from --config, then --set, then --methods, --tasks, --seeds and --budget.
    """
    with terminable() as stop:
        return _run(Request(**values), stop)


def _run(request: Request, stop: "Stop") -> int:
    plugin_paths = load_plugins(request.plugin_paths)
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.planning import plan

    protocol = request.changed_protocol()
    configs = plan(protocol, baselines=not request.no_baselines)
    ledger = Ledger(results_folder(request.results), typed())
    settings = execution_settings(request, ledger, plugin_paths, protocol)
    if request.slurm:
        from nas_bench.commands.slurm import batch

        place = str(settings.storage)
        return batch(request.slurm, request.submit, request.sbatch, ledger.folder, place)
    if request.submit or request.sbatch:
        raise click.UsageError("--submit and --sbatch belong to --slurm: add --slurm FILE")
    log = _wandb(request.wandb, ledger.folder)
    run_trials(request, configs, ledger, stop, settings, log)
    return _conclude(request, configs, ledger, log)


def execution_settings(
    request: Request, ledger: "Ledger", plugin_paths: tuple[Path, ...], protocol: "Protocol"
) -> "Settings":
    """How the trials of a request run."""
    from nas_bench.execution import Settings

    if request.executor == "inline" and request.address is not None:
        raise click.UsageError(
            f"--executor inline runs in this process, not on the cluster at {request.address}: "
            "leave one of them out"
        )
    share = _gpus(request)
    _refuse_other_devices(request, share)
    storage = request.storage
    if storage is None and request.address is None:
        storage = str((ledger.folder / CHECKPOINTS).absolute())
    elif storage is not None and "://" not in storage:
        storage = str(absolute(Path(storage)))
    return Settings(
        data=request.data and absolute(request.data),
        plugins=plugin_paths,
        cpus_per_trial=protocol.threads,
        device=request.device,
        gpus_per_trial=share,
        max_concurrent=request.max_concurrent,
        address=request.address,
        storage=storage,
        checkpoint_every=request.checkpoint_every,
        timeout=request.timeout,
        retries=request.retries,
    )


def _gpus(request: Request) -> float | None:
    """GPUs of each trial, None where the tasks decide."""
    if request.trials_per_gpu is None:
        return _countable(request.gpus_per_trial)
    if request.gpus_per_trial is not None:
        raise click.UsageError("give --gpus-per-trial or --trials-per-gpu, not both")
    return 10000 // request.trials_per_gpu / 10000  # Ray counts in ten thousandths


def _countable(share: float | None) -> float | None:
    """GPUs of a trial as Ray can count them."""
    if share is not None and share > 1 and share % 1:
        raise click.UsageError(
            f"--gpus-per-trial {share:g}: give a share of one GPU, such as 0.5, or whole GPUs"
        )
    if share is not None and 0 < share < _LEAST:
        raise click.UsageError(f"--gpus-per-trial {share:g}: the least share of a GPU is {_LEAST}")
    return share


def _refuse_other_devices(request: Request, share: float | None) -> None:
    """Devices that the other options speak against."""
    device, on_gpu = request.device, request.device.startswith("cuda")
    if share is not None and device != "auto" and on_gpu != bool(share):
        option = "--gpus-per-trial" if request.trials_per_gpu is None else "--trials-per-gpu"
        raise click.UsageError(f"--device {device} and {option} contradict: leave one of them out")
    if ":" in device and request.executor == "ray":
        raise click.UsageError(
            f"under Ray each trial gets a GPU of Ray's choice, not {device}: give --device cuda, "
            "or --executor inline"
        )


def run_trials(
    request: Request,
    configs: Sequence["TrialConfig"],
    ledger: "Ledger",
    stop: "Stop",
    settings: "Settings",
    log: "WandbLog | None" = None,
) -> None:
    """Run what is missing of these trials, with progress on stderr.

    Raises:
        CannotRunError: if no trial can run, or the ledger cannot be written.
    """
    from nas_bench.execution import ExecutionError
    from nas_bench.execution.progress import name, progress
    from nas_bench.execution.resume import missing, refuse_other_data, remarks, todays_data
    from nas_bench.execution.sweep import sweep
    from nas_bench.results.ledger import LedgerError
    from nas_bench.streams import clean_stdout
    from nas_bench.training.task import DataMissingError

    stopping = settings.early_stopping is not None
    there = ledger.glances()
    lacking = partial(missing, configs, ledger, request.rerun, stopping=stopping)
    if lacking():
        for line in () if request.quiet else announced(configs, request.seeds):
            click.echo(line, err=True)
    data = todays_data(configs, there, settings)
    chosen = lacking(data=data)
    refuse_other_data(chosen, there, ledger.folder, request.rerun, data)
    for remark in remarks(configs, chosen, ledger, settings.plugins, data):
        click.echo(remark, err=True)
    if chosen and settings.storage is None:
        click.echo(_WITHOUT_STORAGE, err=True)
    try:
        with (
            clean_stdout(quiet=request.quiet) as say,
            progress(len(chosen), quiet=request.quiet) as shown,
            _logging(log, say) as logged,
        ):

            def observer(config: "TrialConfig", message: dict[str, Any]) -> None:
                if message["type"] == "remark":
                    say(f"{name(config)}: {message['message']}")
                    return
                shown(config, message)
                logged(config, message)

            asked = request.executor, settings, request.rerun
            aloud = (lambda line: None) if request.quiet else say
            sweep(configs, ledger, *asked, observer, stop, data, aloud)
    except (DataMissingError, ExecutionError, LedgerError) as error:
        raise CannotRunError(str(error)) from error


def _wandb(mode: Literal["off", "offline", "online"], folder: Path) -> "WandbLog | None":
    if mode == "off":
        return None
    from nas_bench.execution.wandb_log import WandbLog

    return WandbLog(mode, folder, warn=lambda line: click.echo(line, err=True))


@contextmanager
def _logging(log: "WandbLog | None", say: "Say") -> Iterator["Sink"]:
    """What logs to Weights & Biases, or nothing."""
    if log is None:
        yield lambda config, message: None
        return
    log.warn = say
    try:
        yield log
    finally:
        log.close()


def _summarise(
    log: "WandbLog", request: Request, configs: Sequence["TrialConfig"], written: "Report"
) -> None:
    """Log the report to Weights & Biases."""
    from nas_bench.streams import clean_stdout

    plots = [p for p in written.paths if p.suffix == ".png" and p.stem.startswith("pareto")]
    with clean_stdout(quiet=request.quiet) as log.warn:
        log.summarise(configs[0].protocol, written.numbers, plots)


def _conclude(
    request: Request,
    configs: Sequence["TrialConfig"],
    ledger: "Ledger",
    log: "WandbLog | None",
) -> int:
    """Report on the folder, and say by the exit code how the trials asked for ended."""
    trials = trial_values(configs, ledger)
    written = write_report(ledger.folder, request.as_json)
    if log and written and configs:
        _summarise(log, request, configs, written)
    if request.as_json:
        report = report_values(written) if written else {"table": [], "paths": [], "problems": []}
        print_json({"results": str(ledger.folder), "trials": trials, **report})
    elif written:
        print_report(written, explain=request.explain, asked=asked(configs))
    if request.verbose:
        say_tracebacks(configs, ledger)
    if not trials or written is None:
        click.echo(f"Nothing to do, and no results in {ledger.folder}", err=True)
        return NOTHING
    return OK if all(trial["status"] in ("ok", "not applicable") for trial in trials) else FAILED


def asked(configs: Sequence["TrialConfig"]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a comparison of the report is one that these trials belong to."""
    own = {(c.protocol, c.version, c.kind, c.task, str(c.budget)) for c in configs}
    names = ("protocol", "version", "kind", "task", "budget")
    return lambda shown: tuple(shown[name] for name in names) in own


def trial_values(configs: Sequence["TrialConfig"], ledger: "Ledger") -> list[dict[str, Any]]:
    """What became of each trial, for `--json`."""
    return [
        {
            "id": config.id,
            "task": config.task,
            "method": config.label,
            "seed": config.seed,
            "status": ledger.status(config),
        }
        for config in configs
    ]


def say_tracebacks(configs: Sequence["TrialConfig"], ledger: "Ledger") -> None:
    """Where the traceback of each failed trial is, on stderr."""
    for config in configs:
        trial = ledger.run(config)
        if trial and trial.error:
            place = trial.folder / "run.json"
            name = f"{config.task} {config.label} seed {config.seed}"
            click.echo(f"{name}: the traceback is in {place}", err=True)
