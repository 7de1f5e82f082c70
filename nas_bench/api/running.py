"""Running the trials of a selection, with progress on stderr."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas_bench.api.announcement import announced
from nas_bench.api.places import results_folder
from nas_bench.api.selection import Selection
from nas_bench.specs import CannotRunError, InputError, absolute, shown

if TYPE_CHECKING:
    from nas_bench.execution import Settings, Sink
    from nas_bench.execution.wandb_log import WandbLog
    from nas_bench.report import Report
    from nas_bench.results.ledger import Ledger
    from nas_bench.signals import Stop
    from nas_bench.streams import Say
    from nas_bench.trials.config import TrialConfig
    from nas_bench.trials.protocol import Protocol

CHECKPOINTS = ".checkpoints"
"""Folder in the results where checkpoints lie; ignored by git."""
_LEAST = 1e-4  # GPUs; Ray counts in such units
_MOST = 10**9
_NUMBERS: dict[str, tuple[type, int, int]] = {
    "gpus_per_trial": (Real, 0, 10_000),
    "trials_per_gpu": (Integral, 1, 10_000),
    "max_concurrent": (Integral, 1, _MOST),
    "timeout": (Real, 0, _MOST),
    "retries": (Integral, 0, 1000),
    "checkpoint_every": (Real, 0, _MOST),
}
"""Kind and limits of numbers that say how trials run."""
_WITHOUT_STORAGE = (
    "No checkpoints are kept, so interrupted trials will begin anew: give --storage a folder or "
    "address that all machines of the cluster share"
)


@dataclass(frozen=True, kw_only=True)
class Request(Selection):
    """What was asked for, in the words of the command line.

    Attributes:
        executor: Ray Tune, or one trial after the other in this process.
        address: of a running Ray cluster, host:port or auto.
        device: that trains: auto, cpu, cuda, cuda:N or mps.
        gpus_per_trial: fractions share a GPU; None: what the task declares.
        trials_per_gpu: the same, by how many share one.
        max_concurrent: trials at a time; None: as many as there is room for.
        timeout: seconds a trial may run; None: any.
        retries: how often a trial goes on after its machine failed.
        storage: folder or address of checkpoints; None: in the results.
        checkpoint_every: seconds between checkpoints of a trial.
        wandb: whether to log to Weights & Biases too.
        quiet: whether nothing is said on the way.
    """

    executor: Literal["ray", "inline"] = "ray"
    address: str | None = None
    device: str = "auto"
    gpus_per_trial: float | None = None
    trials_per_gpu: int | None = None
    max_concurrent: int | None = None
    timeout: float | None = None
    retries: int = 1
    storage: str | None = None
    checkpoint_every: float = 60.0
    wandb: Literal["off", "offline", "online"] = "off"
    quiet: bool = False


@dataclass(frozen=True)
class Sweep:
    """A request that is ready to run.

    Attributes:
        request: prepared.
        configs: the trials of its plan.
        ledger: where they are written.
        settings: how they run.
    """

    request: Request
    configs: "Sequence[TrialConfig]"
    ledger: "Ledger"
    settings: "Settings"


def sweep_of(request: Request, typed: Sequence[str] | None = None) -> Sweep:
    """The trials that a request asks for, and how they will run.

    Args:
        request: of the command line or of Python.
        typed: the command line, which the ledger records; of a study, which is a file that may
            change, and of Python it records the command that asks for the same.

    Raises:
        InputError: if something in it does not fit.
    """
    of_a_file = request.config is not None
    request = request.prepared()
    command = request.command() if typed is None or of_a_file else typed
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.planning import plan

    protocol = request.changed_protocol()
    configs = plan(protocol, baselines=not request.no_baselines)
    ledger = Ledger(results_folder(request.results), command)
    return Sweep(request, configs, ledger, execution_settings(request, ledger, protocol))


def carry_out(sweep: Sweep, stop: "Stop") -> "WandbLog | None":
    """Run what is missing of the trials; gives what logs them, if anything does.

    Raises:
        CannotRunError: if no trial can run, or the ledger cannot be written.
    """
    log = _wandb(sweep.request.wandb, sweep.ledger.folder)
    run_trials(sweep.request, sweep.configs, sweep.ledger, stop, sweep.settings, log)
    return log


def execution_settings(request: Request, ledger: "Ledger", protocol: "Protocol") -> "Settings":
    """How the trials of a request run.

    Raises:
        InputError: if what it says contradicts itself.
    """
    from nas_bench.execution import Settings

    _refuse_unknown_words(request)
    if request.executor == "inline" and request.address is not None:
        raise InputError(
            f"--executor inline runs in this process, not on the cluster at {request.address}: "
            "leave one of them out"
        )
    share = _gpus(request)
    _refuse_other_devices(request, share)
    storage = None if request.storage is None else str(request.storage)
    if storage is None and request.address is None:
        storage = str((ledger.folder / CHECKPOINTS).absolute())
    elif storage is not None and "://" not in storage:
        storage = str(absolute(Path(storage)))
    return Settings(
        data=request.data and absolute(request.data),
        plugins=request.plugin_paths,
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


def _refuse_unknown_words(request: Request) -> None:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(request.device)):
        raise InputError(f"{request.device!r} is none of auto, cpu, cuda, cuda:N and mps")
    for name, known in (("executor", ("ray", "inline")), ("wandb", ("off", "offline", "online"))):
        if (value := getattr(request, name)) not in known:
            raise InputError(f"{name} {value!r} is none of {', '.join(known)}")
    for name, (kind, least, most) in _NUMBERS.items():
        value = getattr(request, name)
        if value is not None and not (isinstance(value, kind) and least <= value <= most):
            what = "whole number" if kind is Integral else "number"
            raise InputError(f"{name} {shown(value)} is no {what} from {least} to {most}")


def _gpus(request: Request) -> float | None:
    """GPUs of each trial, None where the tasks decide."""
    if request.trials_per_gpu is None:
        return _countable(request.gpus_per_trial)
    if request.gpus_per_trial is not None:
        raise InputError("give --gpus-per-trial or --trials-per-gpu, not both")
    return 10000 // request.trials_per_gpu / 10000  # Ray counts in ten thousandths


def _countable(share: float | None) -> float | None:
    """GPUs of a trial as Ray can count them."""
    if share is not None and share > 1 and share % 1:
        raise InputError(
            f"--gpus-per-trial {share:g}: give a share of one GPU, such as 0.5, or whole GPUs"
        )
    if share is not None and 0 < share < _LEAST:
        raise InputError(f"--gpus-per-trial {share:g}: the least share of a GPU is {_LEAST}")
    return share


def _refuse_other_devices(request: Request, share: float | None) -> None:
    """Devices that the other options speak against."""
    device, on_gpu = request.device, request.device.startswith("cuda")
    if share is not None and device != "auto" and on_gpu != bool(share):
        option = "--gpus-per-trial" if request.trials_per_gpu is None else "--trials-per-gpu"
        raise InputError(f"--device {device} and {option} contradict: leave one of them out")
    if ":" in device and request.executor == "ray":
        raise InputError(
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
            _say(line)
    data = todays_data(configs, there, settings)
    chosen = lacking(data=data)
    refuse_other_data(chosen, there, ledger.folder, request.rerun, data)
    for remark in remarks(configs, chosen, ledger, settings.plugins, data):
        _say(remark)
    if chosen and settings.storage is None:
        _say(_WITHOUT_STORAGE)
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

    return WandbLog(mode, folder, warn=_say)


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


def summarise(
    log: "WandbLog", request: Request, configs: Sequence["TrialConfig"], written: "Report"
) -> None:
    """Log the report to Weights & Biases."""
    from nas_bench.streams import clean_stdout

    plots = [p for p in written.paths if p.suffix == ".png" and p.stem.startswith("pareto")]
    with clean_stdout(quiet=request.quiet) as log.warn:
        log.summarise(configs[0].protocol, written.numbers, plots)


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


def _say(line: str) -> None:
    print(line, file=sys.stderr)
