"""What earlier sweeps left in the results folder: what is missing, failed, or out of date."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from nas_bench import plugins
from nas_bench.results.environment import core_hash, source_hash
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run, Summary, read_summary
from nas_bench.trials.config import TrialConfig

Rerun = Literal["none", "failed", "stale", "all"]


def missing(
    configs: Iterable[TrialConfig], ledger: Ledger, rerun: Rerun, *, stopping: bool = False
) -> list[TrialConfig]:
    """The trials that a sweep runs; one that was cut off or that the machine failed is among them.

    Args:
        configs: of the plan.
        ledger: where earlier sweeps wrote.
        rerun: whether to run again what failed, what other code made, or all.
        stopping: whether the sweep stops trials early, and leaves those be that were.
    """
    runs = ((config, ledger.glance(config)) for config in configs)
    return [config for config, run in runs if _is_missing(config, run, rerun, stopping=stopping)]


def remarks(
    configs: Sequence[TrialConfig],
    missing: Sequence[TrialConfig],
    ledger: Ledger,
    plugin_paths: Iterable[Path],
) -> Iterator[str]:
    """What a person should know about the trials that a sweep leaves as they are.

    Args:
        configs: of the plan.
        missing: those that the sweep runs.
        ledger: where earlier sweeps wrote.
        plugin_paths: files of plugins.
    """
    if damaged := sum(ledger.status(config) == "damaged" for config in missing):
        yield (
            f"{_trials(damaged)} {_has(damaged)} damaged files and will run again; what is there "
            "is set aside in a folder damaged-<n>"
        )
    running = {config.id for config in missing}
    kept = [config for config in configs if config.id not in running]
    if failed := sum(ledger.status(config) not in ("ok", "stopped") for config in kept):
        again = f"{_was(failed)} not run again; add --rerun failed"
        yield f"{_trials(failed)} failed earlier and {again}"
    for path in plugin_paths:
        plugins.load_path(path)
    rows = {ledger.trial_folder(config).parent: config for config in configs}
    if stale := sum(_stale(ledger, config, running) for config in rows.values()):
        yield (
            f"{_trials(stale)} in {ledger.folder} {_was(stale)} run with other code than today's: "
            "run them again with --rerun stale, or use another --results folder"
        )


def _is_missing(config: TrialConfig, run: Run | None, rerun: Rerun, *, stopping: bool) -> bool:
    if run is None or run.unfinished or rerun == "all":
        return True
    if run.status == "stopped" and not stopping:
        return True
    ended = run.status in ("ok", "stopped")
    if rerun == "stale":
        return ended and _differs(run, _today(config))
    return rerun == "failed" and not ended


def _stale(ledger: Ledger, config: TrialConfig, running: Collection[str]) -> int:
    """How many results of a trial's seeds stay and come from other code than today's."""
    kept = [summary for summary in _results(ledger, config) if summary.id not in running]
    today = _today(config) if kept else {}
    return sum(_differs(summary, today) for summary in kept)


def _differs(summary: Summary, today: Mapping[str, str]) -> bool:
    """Whether a result comes from code with other hashes than these."""
    stored = summary.environment.get("sources", {})
    return any(stored.get(name, value) != value for name, value in today.items())


def _results(ledger: Ledger, config: TrialConfig) -> Iterator[Summary]:
    for source in ledger.seeds(config):
        with suppress(ValueError):  # damage is told elsewhere
            summary = read_summary(source)
            if summary.status == "ok":
                yield summary


def _today(config: TrialConfig) -> dict[str, str]:
    """The hashes that a trial would store now."""
    found = {"core": core_hash()}
    classes = {
        "method": type(plugins.method(config.method)),
        "task": type(plugins.task(config.task)),
    }
    for name, cls in classes.items():
        with suppress(ValueError):
            found[name] = source_hash(cls)
    return found


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
