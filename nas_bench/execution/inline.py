"""The executor without Ray: trials in this process, one after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from nas_bench.execution.devices import Gpus, gpus_here
from nas_bench.execution.job import Job, Settings, Sink, Stopping, never
from nas_bench.execution.overdue import ended_in_time

BEGINNING = ""
"""See `Executor`."""


@contextmanager
def session(settings: Settings) -> Iterator[None]:
    """See `Executor`; a notebook may have changed files and names that tasks read since."""
    from nas_bench.training import data
    from nas_bench.trials import architecture

    data.forget()
    architecture.forget()
    yield


def gpus(settings: Settings) -> Gpus:
    """See `Executor`."""
    return gpus_here()


def execute(jobs: Sequence[Job], settings: Settings, sink: Sink, stop: Stopping = never) -> None:
    """See `Executor`."""
    from nas_bench.execution.worker import messages

    settings = replace(settings, max_concurrent=1)
    for job in jobs:
        if stop():
            break
        for message in ended_in_time(messages(job, settings), settings.timeout):
            sink(job.config, message)
