"""A sweep: the trials of a plan that the ledger does not have yet, twins after originals."""

import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nas_bench import plugins
from nas_bench.execution import ExecutionError, Executor, ExecutorName, Job, Settings, Sink
from nas_bench.execution import executor as executor_of
from nas_bench.execution.checkpoints import ask_to_stop, forget_stop
from nas_bench.execution.devices import Place, earlier, places, sentence
from nas_bench.execution.job import is_last
from nas_bench.execution.resume import NO_DATA, Rerun, missing
from nas_bench.execution.storage import Storage, forget_sweeps, marked
from nas_bench.results.files import own_folder, writing
from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.results.lock import locked
from nas_bench.results.reading import Run
from nas_bench.results.summary import ENDED_WELL
from nas_bench.signals import Stop
from nas_bench.streams import Say
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.messages import Failure, Record, as_dict


@dataclass(frozen=True)
class Summary:
    """What became of a sweep, in trials.

    Attributes:
        ok: ran now and have a result.
        failed: ran now or earlier and have none, although they were not stopped early.
        skipped: had a result already.
    """

    ok: int
    failed: int
    skipped: int


def sweep(
    configs: Sequence[TrialConfig],
    ledger: Ledger,
    executor: ExecutorName,
    settings: Settings,
    rerun: Rerun = "none",
    observer: Sink | None = None,
    stop: Stop | None = None,
    data: Mapping[str, str] = NO_DATA,
    say: Say = lambda line: None,
) -> Summary:
    """Run what is missing; only this process writes the ledger.

    Trials that have a result are skipped and failed ones stay, unless rerun says otherwise.
    Trials that were cut off go on from their checkpoints; those that failed through a fault of
    the machine begin anew.

    Args:
        configs: of the plan; the originals of twins are among them or in the ledger.
        ledger: where everything is written before the observer hears of it.
        executor: what runs the trials, ray or inline.
        settings: of the executor.
        rerun: whether to run again what failed, what is stale, or all.
        observer: sees the messages of every trial that runs.
        stop: hears the signals by which a sweep is asked to end.
        data: checksum of today's data by task, where it is known.
        say: hears what happens before the first trial, and on which devices the tasks train.

    Raises:
        KeyboardInterrupt: if the sweep was asked to end; what ran has been kept.
        DataMissingError: if a task's data can't be downloaded; then nothing has run.
        ExecutionError: if no trial can run at all.
        InputError: if results of a GPU would get rows of a CPU beside them unasked.
        LedgerError: if the ledger cannot be written or, in part, read, is packed where something
            is missing, or another process writes it.
    """
    ledger.refuse_unreadable(configs)
    stopping = settings.early_stopping is not None
    lacking = partial(missing, configs, ledger, rerun, stopping=stopping, data=data)
    if not (chosen := lacking()):
        return _summary(configs, (), ledger)
    ledger.refuse_packed(chosen)
    if executor == "ray":
        _refuse_packing(configs, settings)
    with locked(ledger.folder):
        chosen = lacking()  # again: another sweep may just have ended
        _fetch(chosen, settings)
        settings = replace(settings, lease=secrets.token_hex(8))
        with _storage(settings, ledger.folder) as kept:
            for config in chosen:
                if kept and (rerun == "all" or _has_ended(ledger, config)):
                    kept.remove(config.id)
            scribe, stop = _Scribe(ledger, observer, kept), stop or Stop()
            asked = stop.heard_by(partial(ask_to_stop, kept, settings.lease)) if kept else None
            before = earlier(chosen, ledger.glances(), rerun)
            with asked or nullcontext():  # without storage a signal ends the sweep at once
                _run(chosen, ledger, executor_of(executor), settings, before, scribe, stop, say)
        return _summary(configs, chosen, ledger)


def _refuse_packing(configs: Sequence[TrialConfig], settings: Settings) -> None:
    """Seconds are worth the same for all trials only where each has the device for itself."""
    asked = settings.gpus_per_trial or 0.0
    if settings.shares_device(asked) and not all(config.reproducible for config in configs):
        raise ExecutionError(
            "a budget in seconds needs one trial at a time on a device: add --max-concurrent 1, "
            "or give the budget in epochs, steps or flops"
        )


@contextmanager
def _storage(settings: Settings, results: Path) -> Iterator[Storage | None]:
    """Where checkpoints lie; a folder in the results is ours alone, since we hold their lock."""
    if settings.storage is None:
        yield None
        return
    if "://" not in settings.storage and Path(settings.storage).parent == results.absolute():
        with writing(results):
            forget_sweeps(own_folder(results, Path(settings.storage).name))
    with marked(settings.storage, settings.lease) as kept:
        try:
            yield kept
        finally:
            with suppress(OSError):
                forget_stop(kept, settings.lease)


def _run(
    configs: Sequence[TrialConfig],
    ledger: Ledger,
    executor: Executor,
    settings: Settings,
    before: Mapping[str, set[str]],
    scribe: "_Scribe",
    stop: Stop,
    say: Say,
) -> None:
    originals = [Job(config) for config in configs if config.twin is None]
    twins = [config for config in configs if config.twin is not None]

    def stopping() -> bool:
        return stop.requested

    try:
        if executor.BEGINNING:
            say(executor.BEGINNING)
        with executor.session(settings):
            gpus = executor.gpus(settings)
            where = places(dict.fromkeys(c.task for c in configs), settings, gpus, before)
            say(sentence(where, gpus))
            if originals and not stopping():
                executor.execute(_placed(originals, where), settings, scribe, stopping)
            jobs = [] if stopping() else _twin_jobs(twins, ledger, scribe)
            if jobs:
                executor.execute(_placed(jobs, where), settings, scribe, stopping)
    except SystemExit:  # what Ray makes of a SIGTERM while it starts
        stop.signal = stop.signal or signal.SIGTERM
        raise KeyboardInterrupt from None
    finally:
        scribe.close()


def _placed(jobs: Sequence[Job], where: Mapping[str, Place]) -> list[Job]:
    """The jobs, each on the device of its task."""
    there = [where[job.config.task] for job in jobs]
    return [
        replace(job, device=place.device, gpus=place.gpus)
        for job, place in zip(jobs, there, strict=True)
    ]


def _fetch(configs: Sequence[TrialConfig], settings: Settings) -> None:
    """Download here, where progress is seen, before anything runs."""
    from nas_bench.training.data import Downloads, data_folder

    if settings.address is not None:
        return
    for path in settings.plugins:
        plugins.load_path(path)
    for spec in dict.fromkeys(config.task for config in configs):
        task = plugins.task(spec)
        if isinstance(task, Downloads):
            task.fetch(data_folder(settings.data))


class _Scribe:
    """Writes messages into the ledger, then tells the observer."""

    def __init__(self, ledger: Ledger, observer: Sink | None, kept: Storage | None) -> None:
        self._ledger, self._observer, self._kept = ledger, observer, kept
        self._open: dict[str, TrialConfig] = {}
        self._remarks: set[str] = set()

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Take one message; the first of a trial begins it, the last ends it.

        A remark is for the observer alone, and only the first of its kind.
        """
        if message["type"] == "remark":
            self._remark(config, message)
            return
        if config.id not in self._open and message["type"] != "started":
            self._ledger.begin(config)
        self._ledger.write(config, message)
        self._open[config.id] = config
        if is_last(message):
            self._ledger.finish(config)
            del self._open[config.id]
            if self._kept and _has_ended(self._ledger, config):
                with suppress(OSError):  # what stays there is not gone on from
                    self._kept.remove(config.id)
        if self._observer:
            self._observer(config, message)

    def _remark(self, config: TrialConfig, message: dict[str, Any]) -> None:
        if self._observer and message["message"] not in self._remarks:
            self._observer(config, message)
        self._remarks.add(message["message"])

    def close(self) -> None:
        """Mark the trials that were cut off; unmarked ones count as unfinished too."""
        for config in self._open.values():
            with suppress(LedgerError):  # what ended the sweep says more
                self._ledger.interrupt(config)
        self._open.clear()


def _has_ended(ledger: Ledger, config: TrialConfig) -> bool:
    """Whether no checkpoint of the trial is worth keeping."""
    return ledger.status(config) in (*ENDED_WELL, "failed", "diverged")


def _twin_jobs(twins: Sequence[TrialConfig], ledger: Ledger, scribe: _Scribe) -> list[Job]:
    """The jobs of twins; one whose original has no result fails at once."""
    runs = {run.id: run for run in ledger.runs()} if twins else {}
    jobs = []
    for config in twins:
        original = runs.get(config.twin.of) if config.twin else None
        if original and original.status == "ok" and original.result and original.result.step:
            jobs.append(_twin_job(config, original.result))
        else:
            scribe(config, as_dict(_without_original(original)))
    return jobs


def _twin_job(config: TrialConfig, original: Record) -> Job:
    flops = original.train_flops + original.growth_flops
    steps = config.twin is not None and config.twin.match == "steps"
    budget = Budget(steps=original.step) if steps else Budget(flops=flops)
    return Job(config, tuple(original.widths), budget)


def _without_original(original: Run | None) -> Failure:
    state = "it never ran"
    if original:
        state = f"it is {original.state}" + (f": {original.reason}" if original.reason else "")
    if original and original.status == "ok":
        state = "it took no step"
    if original and original.status == "not applicable":
        said = (original.error or {}).get("message", "")
        return Failure("not applicable", "NotApplicableError", f"its original is: {said}", "")
    message = f"the original of this twin has no result, so its widths are not known ({state})"
    return Failure("failed", "OriginalError", message, "")


def _summary(
    configs: Sequence[TrialConfig], chosen: Sequence[TrialConfig], ledger: Ledger
) -> Summary:
    ran = {config.id for config in chosen}
    statuses = {config.id: ledger.status(config) for config in configs}
    good = [identity for identity, status in statuses.items() if status == "ok"]
    ok = sum(identity in ran for identity in good)
    failed = sum(status not in ENDED_WELL for status in statuses.values())
    return Summary(ok, failed, skipped=len(good) - ok)
