"""What earlier sweeps left in the results folder: what is missing, failed, or out of date."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from nas_bench import plugins
from nas_bench.execution.job import Settings
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run, Summary, read_summary
from nas_bench.results.staleness import is_stale
from nas_bench.results.summary import ENDED_WELL
from nas_bench.specs import InputError
from nas_bench.text import counted
from nas_bench.trials.config import TrialConfig

Rerun = Literal["none", "failed", "stale", "all"]
NO_DATA: Mapping[str, str] = {}


def todays_data(
    configs: Iterable[TrialConfig], runs: Iterable[Run], settings: Settings
) -> dict[str, str]:
    """The checksum of today's data of each task that has results beside which a sweep runs.

    Data that lies on a cluster, or cannot be loaded, is left out: trials that need it say so.

    Args:
        configs: of the plan.
        runs: that the ledger holds.
        settings: of the sweep.
    """
    from nas_bench.training.data import data_folder, prepare

    if settings.address is not None:
        return {}
    there = {(run.protocol, run.task) for run in runs if run.status == "ok"}
    beside = {c.task: c.validation for c in configs if (c.protocol, c.task) in there}
    found, folder = {}, data_folder(settings.data)
    for task, validation in beside.items():
        with suppress(Exception):
            found[task] = prepare(plugins.task(task), folder, validation).checksum
    return found


def missing(
    configs: Iterable[TrialConfig],
    ledger: Ledger,
    rerun: Rerun,
    *,
    stopping: bool = False,
    data: Mapping[str, str] = NO_DATA,
) -> list[TrialConfig]:
    """The trials that a sweep runs; one that was cut off or that the machine failed is among them.

    Args:
        configs: of the plan.
        ledger: where earlier sweeps wrote.
        rerun: whether to run again what failed, what is stale, or all.
        stopping: whether the sweep stops trials early, and leaves those be that were.
        data: checksum of today's data by task, where it is known.
    """
    runs = ((config, ledger.glance(config)) for config in configs)
    return [config for config, run in runs if _is_missing(run, rerun, data, stopping=stopping)]


def refuse_other_data(
    missing: Iterable[TrialConfig],
    runs: Iterable[Run],
    folder: Path,
    rerun: Rerun,
    data: Mapping[str, str],
) -> None:
    """Refuse to put trials of today's data beside results of other data.

    Args:
        missing: those that the sweep runs.
        runs: that the ledger holds.
        folder: of the ledger.
        rerun: with stale or all, results of other data are what is to be replaced.
        data: checksum of today's data by task, where it is known.

    Raises:
        InputError: if a trial would.
    """
    if rerun in ("stale", "all"):
        return
    tasks = {(config.protocol, config.task) for config in missing if config.task in data}
    for run in runs:
        then = run.environment.get("data")
        apart = (run.protocol, run.task) in tasks and run.status == "ok"
        if apart and then and then != data[run.task]:
            raise InputError(
                f"{folder} has results of {run.task} in {run.protocol} that were measured "
                f"on other data (SHA-256 {then[:12]}…, today's {data[run.task][:12]}…), and rows "
                "of different data cannot be compared: choose another folder with --results, "
                "give the other data with --data, or measure all of them anew with --rerun stale"
            )


def remarks(
    configs: Sequence[TrialConfig],
    missing: Sequence[TrialConfig],
    ledger: Ledger,
    plugin_paths: Iterable[Path],
    data: Mapping[str, str] = NO_DATA,
) -> Iterator[str]:
    """What a person should know about the trials that a sweep leaves as they are.

    Args:
        configs: of the plan.
        missing: those that the sweep runs.
        ledger: where earlier sweeps wrote.
        plugin_paths: files of plugins.
        data: checksum of today's data by task, where it is known.
    """
    if damaged := sum(ledger.status(config) == "damaged" for config in missing):
        yield (
            f"{_trials(damaged)} {_has(damaged)} damaged files and will run again; what is there "
            "is set aside in a folder damaged-<n>"
        )
    running = {config.id for config in missing}
    kept = [config for config in configs if config.id not in running]
    known = (*ENDED_WELL, "unreadable")
    if failed := sum(ledger.status(config) not in known for config in kept):
        again = f"{_was(failed)} not run again; add --rerun failed"
        yield f"{_trials(failed)} failed earlier and {again}"
    for path in plugin_paths:
        plugins.load_path(path)
    rows = {ledger.trial_folder(config).parent: config for config in configs}
    if stale := sum(_stale(ledger, config, running, data) for config in rows.values()):
        yield (
            f"{_trials(stale)} in {ledger.folder} {_is(stale)} stale, of other behaviour or data "
            "than today's: run them again with --rerun stale, or use another --results folder"
        )


def _is_missing(run: Run | None, rerun: Rerun, data: Mapping[str, str], *, stopping: bool) -> bool:
    if run is None or run.unfinished or rerun == "all":
        return True
    if run.status == "stopped" and not stopping:
        return True
    if rerun == "stale":
        return is_stale(run, data)
    return rerun == "failed" and run.status not in ENDED_WELL


def _stale(
    ledger: Ledger, config: TrialConfig, running: Collection[str], data: Mapping[str, str]
) -> int:
    """How many results of a trial's seeds stay although they are stale."""
    kept = [summary for summary in _results(ledger, config) if summary.id not in running]
    return sum(is_stale(summary, data) for summary in kept)


def _results(ledger: Ledger, config: TrialConfig) -> Iterator[Summary]:
    for source in ledger.seeds(config):
        with suppress(ValueError):  # damage is told elsewhere
            yield read_summary(source)


def _trials(count: int) -> str:
    return counted(count, "trial")


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
