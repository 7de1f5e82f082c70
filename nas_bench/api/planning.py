"""What a run would do, and what it would cost."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nas_bench.api.announcement import announced
from nas_bench.api.places import results_folder
from nas_bench.api.selection import Selection
from nas_bench.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from nas_bench.execution.estimate import Estimate
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.config import TrialConfig

_STATES = ("ok", "to run", "not applicable", "failed", "stale", "unreadable")
_NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Planned:
    """A trial of the plan, and what it will cost if it runs."""

    config: "TrialConfig"
    state: str
    estimate: "Estimate | None"


@dataclass(frozen=True)
class Plan:
    """The trials of a selection, and what running them would cost.

    Attributes:
        planned: the trials, in order.
        at_a_time: how many fit on this machine's processors.
        announcement: what the plan asks for and what it can show, one line each.
        remarks: what `run` would say of those that it leaves as they are.
    """

    planned: tuple[Planned, ...]
    at_a_time: int
    announcement: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def running(self) -> list[Planned]:
        """The trials that would run."""
        return [trial for trial in self.planned if trial.state == "to run"]

    @property
    def flops(self) -> float | None:
        """Multiply-adds of those; None if some are not known."""
        return total(t.estimate.flops for t in self.running if t.estimate)

    @property
    def seconds(self) -> float | None:
        """Of those, one after the other; None if some are not known."""
        return total(t.estimate.seconds for t in self.running if t.estimate)

    @property
    def frame(self) -> "pd.DataFrame":
        """A row for each trial: what it is, its state and its estimate."""
        import pandas as pd

        rows = [_values(trial) for trial in self.planned]
        return pd.DataFrame([{**row, **(row.pop("estimate") or {})} for row in rows])

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """The table: its header, and its cells with a row for each task and method."""
        from nas_bench.specs import short_names

        states = [s for s in _STATES if s == "to run" or any(p.state == s for p in self.planned)]
        names = short_names(trial.config.task for trial in self.planned)
        groups: dict[tuple[str, str], list[Planned]] = {}
        for trial in self.planned:
            groups.setdefault((trial.config.task, trial.config.label), []).append(trial)
        cells = []
        for (task, label), group in groups.items():
            counts = Counter(trial.state for trial in group)
            states_of = (str(counts[state] or "–") for state in states)
            cells.append([names[task], label, *states_of, *_costs(group)])
        return ["task", "method", *states, "FLOPs", "time"], cells

    def lines(self) -> Iterator[str]:
        """How much there is to run, what it costs and how that is known, then the remarks."""
        yield from _cost_lines(self)
        yield from self.remarks

    def values(self) -> dict[str, Any]:
        """The plan as JSON-able values."""
        from nas_bench.report.statistics import TESTABLE

        running, seconds = self.running, self.seconds
        return {
            "trials": [_values(trial) for trial in self.planned],
            "to_run": len(running),
            "seeds": sorted({trial.config.seed for trial in self.planned}),
            "testable_from": TESTABLE,
            "flops": self.flops,
            "seconds": seconds,
            "at_a_time": self.at_a_time,
            "wall_seconds": _wall(running, seconds, self.at_a_time)
            if running and seconds
            else None,
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        header, cells = self.rows()
        table = ("  ".join(row) for row in (header, *cells))
        return "\n".join((*self.announcement, *table, *self.lines()))

    def _repr_html_(self) -> str:
        from nas_bench.report.html_table import lines, table

        return lines(self.announcement) + table(*self.rows()) + lines(self.lines())


def plan_of(selection: Selection) -> Plan:
    """The plan of a selection; nothing runs, and nothing is downloaded or written.

    Raises:
        InputError: if something in it does not fit.
    """
    selection = selection.prepared()
    from nas_bench.execution import Settings
    from nas_bench.execution.estimate import Estimator
    from nas_bench.execution.resume import missing, remarks, todays_data
    from nas_bench.results.ledger import Ledger
    from nas_bench.training.data import data_folder
    from nas_bench.trials.planning import plan

    configs = plan(selection.changed_protocol(), baselines=not selection.no_baselines)
    ledger = Ledger(results_folder(selection.results))
    there = ledger.glances()
    data = todays_data(configs, there, Settings(data=selection.data))
    chosen = missing(configs, ledger, selection.rerun, data=data)
    wanted = {config.id for config in chosen}
    estimator = Estimator(there, data_folder(selection.data))
    refused = {c.id: reason for c in chosen if (reason := estimator.refusal(c))}
    planned = [
        Planned(c, _NOT_APPLICABLE, None)
        if c.id in refused
        else Planned(c, "to run", estimator.estimate(c))
        if c.id in wanted
        else Planned(c, _state(ledger, c, data), None)
        for c in configs
    ]
    said = dict.fromkeys(
        f"{c.method} is not applicable to {c.task}: {refused[c.id]}"
        for c in chosen
        if c.id in refused
    )
    threads = max((config.threads for config in configs), default=1)
    return Plan(
        tuple(planned),
        max(1, (os.cpu_count() or 1) // threads),
        tuple(announced(configs, selection.seeds)),
        (*said, *remarks(configs, chosen, ledger, selection.plugin_paths, data)),
    )


def total(values: Iterable[float | None]) -> float | None:
    """The sum, None if one of them is not known."""
    found = list(values)
    return None if any(value is None for value in found) else sum(v or 0.0 for v in found)


def _state(ledger: "Ledger", config: "TrialConfig", data: Mapping[str, str]) -> str:
    from nas_bench.results.staleness import is_stale

    run = ledger.glance(config)
    if run is None or run.status != "ok":
        known = run is not None and run.status in ("unreadable", _NOT_APPLICABLE)
        return run.status if run is not None and known else "failed"
    return "stale" if is_stale(run, data) else "ok"


def _costs(planned: Iterable[Planned]) -> tuple[str, str]:
    """FLOPs and time of what runs, as people read them; `?` where something is not known."""
    from nas_bench.text import human, spoken

    found = [trial.estimate for trial in planned if trial.estimate]
    flops, seconds = total(e.flops for e in found), total(e.seconds for e in found)
    return (
        "–" if not found else "?" if flops is None else human(flops),
        "–" if not found else "?" if seconds is None else spoken(seconds),
    )


def _cost_lines(plan: Plan) -> Iterator[str]:
    from nas_bench.text import one_line, spoken

    running = plan.running
    yield f"{counted(len(plan.planned), 'trial')}, {len(running)} to run"
    if not running:
        return
    known = [
        t for t in running if t.estimate and None not in (t.estimate.flops, t.estimate.seconds)
    ]
    if known:
        flops, spent = _costs(known)
        seconds = total(trial.estimate.seconds for trial in known if trial.estimate) or 0.0
        wall = f"{spoken(_wall(known, seconds, plan.at_a_time))} with {plan.at_a_time} at a time"
        but = "" if len(known) == len(running) else f", {len(running) - len(known)} not known"
        yield f"{flops} FLOPs, {spent} of trials{but}: about {wall}"
    bases = Counter(one_line(trial.estimate.basis) for trial in running if trial.estimate)
    yield from (f"{count} of {len(running)}: {basis}" for basis, count in bases.items())


def _wall(running: Iterable[Planned], seconds: float, at_a_time: int) -> float:
    """At least the longest trial; start-up is left out."""
    longest = max(trial.estimate.seconds or 0.0 for trial in running if trial.estimate)
    return max(longest, seconds / at_a_time)


def _values(trial: Planned) -> dict[str, Any]:
    return {
        "id": trial.config.id,
        "task": trial.config.task,
        "method": trial.config.label,
        "seed": trial.config.seed,
        "state": trial.state,
        "estimate": asdict(trial.estimate) if trial.estimate else None,
    }
