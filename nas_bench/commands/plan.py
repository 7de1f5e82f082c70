"""`nas-bench plan`: what `run` would do, and what it would cost."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.announcement import announced
from nas_bench.commands.parameters import (
    NOTHING,
    OK,
    counted,
    examples,
    json_option,
    load_plugins,
    print_json,
    results_folder,
    verbose_option,
)
from nas_bench.commands.selection import Selection, selection_options

if TYPE_CHECKING:
    from nas_bench.execution.estimate import Estimate
    from nas_bench.trials.config import TrialConfig

_STATES = ("ok", "to run", "not applicable", "failed", "stale", "unreadable")
_NOT_APPLICABLE = "not applicable"
_EPILOG = examples(
    "nas-bench plan --methods tiny,gradmax",
    "nas-bench plan --protocol mlp --methods all --tasks mnist --seeds 0-9",
    "nas-bench plan --rerun failed --json",
)


@dataclass(frozen=True)
class _Planned:
    """A trial of the plan, and what it will cost if it runs."""

    config: "TrialConfig"
    state: str
    estimate: "Estimate | None"


@click.command(epilog=_EPILOG)
@selection_options
@json_option()
@verbose_option()
def plan(as_json: bool, **values: Any) -> int:
    """List the trials that `run` with the same options would run, and estimate their cost.

    Nothing runs, and nothing is downloaded or written. Estimates come from finished seeds of the
    same settings, else from the FLOPs of the networks and the speed of finished trials of
    the task on this kind of machine, else from a few training steps measured now.
    """
    selection = Selection(**values)
    paths = load_plugins(selection.plugin_paths)
    planned, remarks = _planned(selection, paths)
    at_a_time = max(
        1, (os.cpu_count() or 1) // max((p.config.threads for p in planned), default=1)
    )
    if as_json:
        print_json(_values(planned, at_a_time) | {"remarks": remarks})
    else:
        click.echo("\n".join(announced([trial.config for trial in planned], selection.seeds)))
        _print(planned, at_a_time, remarks)
    return OK if planned else NOTHING


def _planned(selection: Selection, plugins: Sequence[Path]) -> tuple[list[_Planned], list[str]]:
    """The trials of a plan, and what `run` would say of those it leaves as they are."""
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
        _Planned(c, _NOT_APPLICABLE, None)
        if c.id in refused
        else _Planned(c, "to run", estimator.estimate(c))
        if c.id in wanted
        else _Planned(c, _state(ledger, c, data), None)
        for c in configs
    ]
    said = dict.fromkeys(
        f"{c.method} is not applicable to {c.task}: {refused[c.id]}"
        for c in chosen
        if c.id in refused
    )
    return planned, [*said, *remarks(configs, chosen, ledger, plugins, data)]


def _state(ledger: Any, config: "TrialConfig", data: Mapping[str, str]) -> str:
    from nas_bench.results.staleness import is_stale

    run = ledger.glance(config)
    if run.status != "ok":
        return run.status if run.status in ("unreadable", _NOT_APPLICABLE) else "failed"
    return "stale" if is_stale(run, data) else "ok"


def _print(planned: Sequence[_Planned], at_a_time: int, remarks: Sequence[str]) -> None:
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nas_bench.specs import short_names

    states = [s for s in _STATES if s == "to run" or any(p.state == s for p in planned)]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("task", overflow="fold")
    table.add_column("method", overflow="fold")
    for name in (*states, "FLOPs", "time"):
        table.add_column(name, justify="right")
    names = short_names(trial.config.task for trial in planned)
    for (task, label), group in _grouped(planned):
        counts = Counter(trial.state for trial in group)
        cells = [str(counts[state] or "–") for state in states]
        table.add_row(*map(Text, (names[task], label, *cells, *_costs(group))))
    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    console = Console(width=width, highlight=False)
    if planned:
        console.print(table)
    for line in (*_remarks(planned, at_a_time), *remarks):
        console.print(Text(line))


def _costs(planned: Iterable[_Planned]) -> tuple[str, str]:
    """FLOPs and time of what runs, as people read them; `?` where something is not known."""
    from nas_bench.text import human, spoken

    found = [trial.estimate for trial in planned if trial.estimate]
    flops, seconds = _total(e.flops for e in found), _total(e.seconds for e in found)
    return (
        "–" if not found else "?" if flops is None else human(flops),
        "–" if not found else "?" if seconds is None else spoken(seconds),
    )


def _remarks(planned: Sequence[_Planned], at_a_time: int) -> Iterator[str]:
    from nas_bench.text import one_line, spoken

    running = [trial for trial in planned if trial.state == "to run"]
    yield f"{counted(len(planned), 'trial')}, {len(running)} to run"
    if not running:
        return
    known = [
        t for t in running if t.estimate and None not in (t.estimate.flops, t.estimate.seconds)
    ]
    if known:
        flops, spent = _costs(known)
        seconds = _total(trial.estimate.seconds for trial in known if trial.estimate) or 0.0
        wall = spoken(_wall(known, seconds, at_a_time))
        but = "" if len(known) == len(running) else f", {len(running) - len(known)} not known"
        yield f"{flops} FLOPs, {spent} of trials{but}: about {wall} with {at_a_time} at a time"
    bases = Counter(one_line(trial.estimate.basis) for trial in running if trial.estimate)
    yield from (f"{count} of {len(running)}: {basis}" for basis, count in bases.items())


def _wall(running: Sequence[_Planned], seconds: float, at_a_time: int) -> float:
    """At least the longest trial; start-up is left out."""
    longest = max(trial.estimate.seconds or 0.0 for trial in running if trial.estimate)
    return max(longest, seconds / at_a_time)


def _values(planned: Sequence[_Planned], at_a_time: int) -> dict[str, Any]:
    from nas_bench.report.statistics import TESTABLE

    running = [trial for trial in planned if trial.state == "to run"]
    estimates = [trial.estimate for trial in running if trial.estimate]
    seconds = _total(e.seconds for e in estimates)
    return {
        "trials": [
            {
                "id": trial.config.id,
                "task": trial.config.task,
                "method": trial.config.label,
                "seed": trial.config.seed,
                "state": trial.state,
                "estimate": asdict(trial.estimate) if trial.estimate else None,
            }
            for trial in planned
        ],
        "to_run": len(running),
        "seeds": sorted({trial.config.seed for trial in planned}),
        "testable_from": TESTABLE,
        "flops": _total(e.flops for e in estimates),
        "seconds": seconds,
        "at_a_time": at_a_time,
        "wall_seconds": _wall(running, seconds, at_a_time) if running and seconds else None,
    }


def _grouped(
    planned: Iterable[_Planned],
) -> Iterable[tuple[tuple[str, str], list[_Planned]]]:
    groups: dict[tuple[str, str], list[_Planned]] = {}
    for trial in planned:
        groups.setdefault((trial.config.task, trial.config.label), []).append(trial)
    return groups.items()


def _total(values: Iterable[float | None]) -> float | None:
    """The sum, None if one of them is not known."""
    found = list(values)
    return None if any(value is None for value in found) else sum(v or 0.0 for v in found)
