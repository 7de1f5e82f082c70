"""How far the trials of a results folder are: for people who look while others write."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nas_bench.results.layout import CURVE, RUN
from nas_bench.results.ledger import Ledger
from nas_bench.results.lock import holder
from nas_bench.results.reading import Run, glance
from nas_bench.results.staleness import is_stale, newest_data
from nas_bench.results.suffixes import suffixes
from nas_bench.trials.messages import Record

_OF_SEARCHES = ("recipe", "method")
"""Settings that searches try many of."""
STATUSES = ("ok", "stopped", "running", "failed", "oom", "timeout", "diverged", "preempted",
            "not applicable", "damaged", "unreadable")  # fmt: skip
"""In the order of the table; stale results are ok too."""


@dataclass(frozen=True)
class Trial:
    """One trial in the overview.

    Attributes:
        run: as a glance shows it.
        share: of its budget that is spent, in [0, 1]; None if that is not known.
        written: when its files were last written, in seconds since the epoch; None if never.
        stale: whether today's code or data would not repeat its result.
    """

    run: Run
    share: float | None
    written: float | None
    stale: bool

    @property
    def place(self) -> str:
        """Its folder, without the results folder."""
        return self.run.place


@dataclass(frozen=True)
class Row:
    """The trials of one protocol, task and method."""

    protocol: str
    task: str
    label: str
    trials: tuple[Trial, ...]

    @property
    def counts(self) -> Counter[str]:
        """Trials by status, and those that are stale."""
        found: Counter[str] = Counter(trial.run.status for trial in self.trials)
        found["stale"] = sum(trial.stale for trial in self.trials)
        return found

    @property
    def seeds(self) -> list[int]:
        """Those of its trials."""
        return sorted({trial.run.seed for trial in self.trials if trial.run.seed >= 0})

    @property
    def shares(self) -> list[float]:
        """How far its running trials are."""
        running = [trial.share for trial in self.trials if trial.run.status == "running"]
        return [share for share in running if share is not None]

    @property
    def written(self) -> float | None:
        """When a file of it was last written."""
        return max((t.written for t in self.trials if t.written is not None), default=None)


@dataclass(frozen=True)
class Overview:
    """Everything that is known without parsing curves.

    Attributes:
        folder: the results folder.
        trials: all of them, sorted by path.
        problems: what is damaged, one sentence each; a line that is being written is not.
        strays: what is no part of the ledger, one sentence each.
        driver: who writes at present, None if nobody does.
        now: when this was read, in seconds since the epoch.
    """

    folder: Path
    trials: tuple[Trial, ...]
    problems: tuple[str, ...]
    strays: tuple[str, ...]
    driver: str | None
    now: float

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """By protocol, task and method, and by settings that a protocol varies."""
        alike: dict[tuple[str, str, str], dict[str, list[Trial]]] = defaultdict(_lists)
        for trial in self.trials:
            run = trial.run
            alike[run.protocol, run.task, run.label][run.settings_id].append(trial)
        groups: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
        for (protocol, task, label), settings in alike.items():
            runs = {i: [trial.run for trial in trials] for i, trials in settings.items()}
            told_apart = zip(suffixes(runs, _OF_SEARCHES), settings.values(), strict=True)
            for suffix, trials in told_apart:
                groups[protocol, task, label + suffix].extend(trials)
        return tuple(Row(*key, tuple(group)) for key, group in sorted(groups.items()))


def _lists() -> dict[str, list[Trial]]:
    return defaultdict(list)


def overview(folder: Path) -> Overview:
    """The present state of a results folder; nothing is written or locked."""
    found = Ledger(folder).contents(glance)
    results = {run.id: run.result for run in found.runs if run.result}
    data = newest_data(found.runs)
    trials = tuple(_trial(run, results, data) for run in found.runs)
    whole = found._replace(runs=[run for run in found.runs if not run.only_cut])
    said = tuple(whole.damage), tuple(found.aside)
    return Overview(folder, trials, *said, holder(folder), time.time())


def _trial(run: Run, results: Mapping[str, Record], data: Mapping[str, str]) -> Trial:
    return Trial(run, _share(run, results), _written(run), is_stale(run, data))


def _share(run: Run, results: Mapping[str, Record]) -> float | None:
    """How much of the budget the last record has spent; a twin's is what its original spent."""
    if run.status == "ok":
        return 1.0
    config = run.config
    if config is None or not run.curve:
        return None
    last, flops = run.curve[-1], _flops(run.curve[-1])
    if twin := config.twin:
        original = results.get(twin.of)
        if original is None:
            return None
        steps = twin.match == "steps"
        spent = last.step / original.step if steps else flops / _flops(original)
        return min(1.0, spent)
    share = config.budget.share(
        epoch=last.epoch, step=last.step, flops=flops, seconds=last.seconds.charged
    )
    return min(1.0, share)


def _flops(record: Record) -> float:
    return record.train_flops + record.growth_flops or 1.0


def _written(run: Run) -> float | None:
    times = (run.source.modified(name) for name in (CURVE, RUN))
    return max((time for time in times if time is not None), default=None)
