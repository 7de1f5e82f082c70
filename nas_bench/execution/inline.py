"""The executor without Ray: trials in this process, one after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from nas_bench.execution.job import ExecutionError, Job, Settings, Sink, Stopping, never


@contextmanager
def session(settings: Settings) -> Iterator[None]:
    """See `Executor`; nothing is shared."""
    yield


def execute(jobs: Sequence[Job], settings: Settings, sink: Sink, stop: Stopping = never) -> None:
    """See `Executor`."""
    from nas_bench.execution.worker import messages

    device, settings = _device(settings), replace(settings, max_concurrent=1)
    for job in jobs:
        if stop():
            break
        for message in messages(job, settings, device):
            sink(job.config, message)


def _device(settings: Settings) -> str:
    import torch

    if settings.gpus_per_trial == 0:
        return "cpu"
    if not torch.cuda.is_available():
        raise ExecutionError(
            f"each trial asks for {settings.gpus_per_trial:g} GPUs, but torch finds none here: "
            "use --gpus-per-trial 0"
        )
    return "cuda"
