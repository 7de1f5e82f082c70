"""One trial in this process: reset, run, every error caught. The same for every executor."""

import functools
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from nas_bench import plugins
from nas_bench.execution.checkpoints import (
    Checkpoints,
    LeaseLostError,
    OutOfTimeError,
    PreemptedError,
    nothing,
)
from nas_bench.execution.job import Job, Settings, is_last
from nas_bench.execution.overdue import OverdueError
from nas_bench.execution.provenance import ran, site_kinds
from nas_bench.execution.storage import require_mark, storage
from nas_bench.growth.layers import NotFiniteError
from nas_bench.results.environment import core_hash, environment, source_hash
from nas_bench.text import text_of, traceback_of
from nas_bench.training.data import data_folder, prepare
from nas_bench.training.randomness import seed_all
from nas_bench.training.soundness import out_of_memory
from nas_bench.trials.applicability import NotApplicableError
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Failure, FailureStatus, Record, as_dict
from nas_bench.trials.trial import DivergedError, run_trial

_CORE = core_hash()
"""Of the code that this process has just imported."""


class NoGpuError(RuntimeError):
    """A trial came to a machine whose GPU cannot be used."""


def messages(
    job: Job, settings: Settings, pausing: Callable[[], None] = nothing
) -> Iterator[dict[str, Any]]:
    """What a trial says, as JSON-able values.

    The first message is `started` with the environment, `loaded` adds checksums of data and
    code, and the last is a record with `final` set or a failure. Nothing is raised but
    interrupts.

    Args:
        job: the trial.
        settings: how it runs.
        pausing: called about once a second while it trains.
    """
    ended, saying = False, _run(job, settings, pausing)
    while (message := _next(saying)) is not None:
        ended = ended or is_last(message)
        yield message
    if not ended:
        yield as_dict(Failure("failed", "NoResultError", "the trial ended without a result", ""))


def _next(saying: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """The next message, a failure where anything is raised, and None after the last."""
    try:
        return next(saying, None)
    except (KeyboardInterrupt, OverdueError):
        raise
    except BaseException as error:  # whatever class a plugin's library chose
        return as_dict(failure(error))


def require_gpu(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        NoGpuError: if torch finds no GPU here.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise NoGpuError(
            f"this machine ({platform.node()}) was to train on a GPU, but its torch finds none: "
            "install torch with CUDA there, or use --device cpu"
        )


def reset(config: TrialConfig) -> None:
    """Put everything that decides bits into a known state, whatever ran here before."""
    seed_all(config.seed)
    torch.set_num_threads(config.threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.set_flush_denormal(False)
    torch.set_float32_matmul_precision("highest")
    torch.autograd.set_detect_anomaly(False)
    torch.set_autocast_enabled("cpu", False)
    torch.set_autocast_enabled("cuda", False)
    _be_deterministic()


def failure(error: BaseException) -> Failure:
    """The row that an exception becomes."""
    name = type(error).__name__
    try:
        return Failure(_status(error), name, _said(error), traceback_of(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # its class answers to nothing
        return Failure("failed", name, name, "")


def _run(job: Job, settings: Settings, pausing: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """What happens only once in a process, imports and loading, lies between two resets."""
    config, device, folder = job.config, job.device, data_folder(settings.data)
    require_gpu(device)
    own = {"threads": config.threads, "shared_device": settings.shares_device(job.gpus)}
    yield {"type": "started", "environment": _surroundings(device) | own}
    reset(config)
    _enter(device)
    for path, content in settings.plugin_files:
        plugins.load_path(path, content)
    plugins.define_all(settings.definitions)
    method, task = plugins.method(config.method), plugins.task(config.task)
    trigger = plugins.trigger(config.schedule.when)
    data = prepare(task, folder, config.validation, device=device)
    sources = {
        "method": source_hash(type(method)),
        "task": source_hash(type(task)),
        "trigger": source_hash(type(trigger)),
        "core": _CORE,
    }
    environment = {"data": data.checksum, "sources": sources}
    yield {"type": "loaded", "environment": environment, **ran(config, method, task, trigger)}
    kept = storage(settings.storage) if settings.storage else None
    if kept and settings.address:
        require_mark(kept, settings.lease)
    keeper = Checkpoints(
        kept, config.id, settings.lease,
        sources | {"data": data.checksum, "device": torch.device(device).type},
        settings.checkpoint_every, settings.timeout, pausing,
    )  # fmt: skip
    keeper.claim()
    reset(config)
    try:
        for message in run_trial(config, job.widths, job.budget, folder, device, keeper):
            yield from _remarks(keeper)
            if isinstance(message, Record) and message.final:
                memory = {"peak_memory": _peak_memory(device)}
                kinds = {"sites": site_kinds(task, data)}
                yield {"type": "loaded", "environment": memory, "resolved": kinds}
            yield as_dict(message)
    except Exception:
        yield from _remarks(keeper)
        raise


def _remarks(keeper: Checkpoints) -> Iterator[dict[str, Any]]:
    while keeper.remarks:
        yield {"type": "remark", "message": keeper.remarks.pop(0)}


def _be_deterministic() -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _enter(device: str) -> None:
    """Have a GPU be the one that clocks wait for, and its memory as before any trial."""
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_memory(device: str) -> int:
    """Bytes: of the GPU by this trial, or of the process on a CPU since it started."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(error: BaseException) -> FailureStatus:
    named: dict[type[BaseException], FailureStatus] = {
        DivergedError: "diverged", NotFiniteError: "diverged", OutOfTimeError: "timeout",
        PreemptedError: "preempted", LeaseLostError: "preempted",
        NotApplicableError: "not applicable",
    }  # fmt: skip
    if type(error) in named:
        return named[type(error)]
    if out_of_memory(error):
        return "oom"
    return "failed"


def _said(error: BaseException) -> str:
    if type(error) is SystemExit:
        return f"the trial called sys.exit({error.code!r})"
    return text_of(error)


@functools.cache
def _surroundings(device: str) -> dict[str, Any]:
    """What stays the same in a process, whose code is that of its start."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return environment() | {
        "device": name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
