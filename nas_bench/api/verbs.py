"""`nas_bench.run`, `plan`, `report` and `compare`: what the commands of these names do."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas_bench.api.places import ledgers_of, load_plugins, report_folder
from nas_bench.api.planning import Plan, plan_of
from nas_bench.api.results import Results
from nas_bench.api.running import (
    Request,
    asked,
    carry_out,
    summarise,
    sweep_of,
    trial_values,
)
from nas_bench.api.selection import (
    Named,
    Selection,
    listed,
    paths,
    seeds_text,
    settings_texts,
)
from nas_bench.specs import CannotRunError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from nas_bench.execution.resume import Rerun
    from nas_bench.report import Report

Place = str | Path


def run(
    methods: Named | Iterable[Named] | None = None,
    tasks: Named | Iterable[Named] | None = None,
    *,
    protocol: Place | None = None,
    seeds: str | Iterable[int] | None = None,
    budget: str | None = None,
    changes: Mapping[str, Any] | None = None,
    baselines: bool = True,
    config: Place | None = None,
    plugins: Place | Iterable[Place] = (),
    results: Place | None = None,
    data: Place | None = None,
    rerun: "Rerun" = "none",
    executor: Literal["ray", "inline"] = "ray",
    figures: Sequence[str] | None = None,
    **how: Any,
) -> Results:
    """Run the trials of a protocol, report on them, and hand out the results.

    The same call again continues: what has finished is not run twice. What is None is the
    study's, else the protocol's own. A trial that fails is a row of the results and no
    exception; `ok` of the results says whether there was one.

    Args:
        methods: specs such as `tiny[update=false]`, classes or instances of GrowthMethod, one or
            several. A class of a notebook or script runs under Ray, too.
        tasks: the same of Task.
        protocol: its name or a YAML file; smoke if the study names none.
        seeds: `range(10)`, a list, or text such as `0-9`.
        budget: such as `10 epochs` or `1e9 flops`.
        changes: settings of the protocol by name, such as `{"schedule": {"growths": 4}}`.
        baselines: whether the protocol's fixed networks are added.
        config: YAML file of a study.
        plugins: Python files with methods or tasks.
        results: folder; None: $NAS_BENCH_RESULTS, else ./results/local.
        data: folder of data sets; None: $NAS_BENCH_DATA, else the user's cache.
        rerun: what runs again of what has ended: none, failed, stale or all.
        executor: Ray Tune, or one trial after the other in this process.
        figures: formats of the report's figures, of png, svg and pdf; None: those that take
            seconds.
        **how: every other field of `nas_bench.api.running.Request`, such as `max_concurrent=2`,
            `gpus_per_trial=0.5`, `address="auto"`, `timeout=600` or `quiet=True`.

    Raises:
        InputError: if something that was given cannot be used, as the command line says it.
        CannotRunError: if no trial can run, or results cannot be written.
    """
    selected = _selected(
        methods, tasks, protocol, seeds, budget, changes, baselines, config, plugins, results,
        data, rerun,
    )  # fmt: skip
    known = Request.__dataclass_fields__.keys() - Selection.__dataclass_fields__.keys()
    unknown_words = how.keys() - known
    if unknown_words:
        raise InputError(f"run has no argument {min(unknown_words)}")
    formats = _formats(figures)
    sweep = sweep_of(Request(**selected, executor=executor, **how))
    from nas_bench.signals import terminable

    with terminable() as stop:
        log = carry_out(sweep, stop)
        written = _written(sweep.ledger.folder, formats, (sweep.ledger.folder,))
    if log and written and sweep.configs:
        summarise(log, sweep.request, sweep.configs, written)
    return Results(
        (sweep.ledger.folder,),
        tuple(trial_values(sweep.configs, sweep.ledger)),
        written.paths if written else (),
        asked(sweep.configs),
    )


def plan(
    methods: Named | Iterable[Named] | None = None,
    tasks: Named | Iterable[Named] | None = None,
    *,
    protocol: Place | None = None,
    seeds: str | Iterable[int] | None = None,
    budget: str | None = None,
    changes: Mapping[str, Any] | None = None,
    baselines: bool = True,
    config: Place | None = None,
    plugins: Place | Iterable[Place] = (),
    results: Place | None = None,
    data: Place | None = None,
    rerun: "Rerun" = "none",
) -> Plan:
    """The trials that `run` with the same arguments would run, and what they would cost.

    Nothing runs, and nothing is downloaded or written. The arguments are those of `run`.

    Raises:
        InputError: if something that was given cannot be used, as the command line says it.
    """
    selected = _selected(
        methods, tasks, protocol, seeds, budget, changes, baselines, config, plugins, results,
        data, rerun,
    )  # fmt: skip
    return plan_of(Selection(**selected))


def report(
    ledgers: Place | Iterable[Place] = (),
    *,
    figures: Sequence[str] | None = None,
    into: Place | None = None,
    plugins: Place | Iterable[Place] = (),
) -> Results:
    """Write leaderboards, figures and a page of ledgers, and hand out the results.

    Args:
        ledgers: results folders and packs; rows of the second one and later ones are marked.
            None given: $NAS_BENCH_RESULTS, else ./results/local.
        figures: their formats, of png, svg and pdf; None: those that take seconds.
        into: folder that gets the `report/`; None: the last ledger that is a folder.
        plugins: Python files with methods or tasks.

    Raises:
        InputError: if something that was given cannot be used, or there are no results.
        CannotRunError: if the report cannot be written.
    """
    load_plugins(paths(plugins))
    read = ledgers_of(paths(ledgers))
    written = _written(report_folder(read, _path(into)), _formats(figures), read)
    if written is None:
        raise InputError(f"nothing to report: there are no results in {_named(read)}")
    return Results(read, paths=written.paths)


def compare(
    first: str,
    second: str,
    *,
    results: Place | Iterable[Place] = (),
    task: str | None = None,
    protocol: str | None = None,
) -> "pd.DataFrame":
    """Two rows of ledgers, seed by seed: a row for each comparison that holds both.

    Args:
        first: named as in tables, such as `tiny[update=false]` or `tiny twin (flops)`.
        second: likewise.
        results: results folders and packs; none: $NAS_BENCH_RESULTS, else ./results/local.
        task: only this one; None: all.
        protocol: only this one; None: all.

    Raises:
        InputError: if there is no such row, or nothing to compare.
    """
    from nas_bench.api.comparing import compared

    read = ledgers_of(paths(results))
    found = compared(read, first, second, task, protocol)
    if found.nothing:
        raise InputError(f"nothing to compare: there are no {found.nothing} in {_named(read)}")
    return found.frame


def _selected(
    methods: Any, tasks: Any, protocol: Place | None, seeds: Any, budget: str | None,
    changes: Mapping[str, Any] | None, baselines: bool, config: Place | None, plugins: Any,
    results: Place | None, data: Place | None, rerun: str,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a Selection."""
    reruns = ("none", "failed", "stale", "all")
    if rerun not in reruns:
        raise InputError(f"rerun {rerun!r} is none of {', '.join(reruns)}")
    return {
        "protocol": None if protocol is None else str(protocol),
        "methods": listed(methods, "method"),
        "tasks": listed(tasks, "task"),
        "seeds": seeds_text(seeds),
        "budget": budget,
        "config": _path(config),
        "changes": settings_texts(changes),
        "no_baselines": not baselines,
        "plugin_paths": paths(plugins),
        "results": _path(results),
        "data": _path(data),
        "rerun": rerun,
    }


def _path(given: Place | None) -> Path | None:
    """One path or None."""
    return next(iter(paths(given)), None)


def _formats(figures: Sequence[str] | None) -> tuple[str, ...] | None:
    """Formats of figures, as the report takes them.

    Raises:
        InputError: if one is unknown.
    """
    from nas_bench.report.figures import FORMATS

    if figures is None:
        return None
    formats = (figures,) if isinstance(figures, str) else figures
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"figures {name!r} is none of {', '.join(FORMATS)}")
    return tuple(formats)


def _written(
    folder: Path, figures: Sequence[str] | None, ledgers: Sequence[Path]
) -> "Report | None":
    """The report; None if there are no results."""
    from nas_bench.report import NothingToReportError, UnwrittenError, write

    try:
        return write(folder, figures, ledgers)
    except UnwrittenError as error:
        raise CannotRunError(str(error)) from error
    except NothingToReportError:
        return None


def _named(ledgers: Sequence[Path]) -> str:
    return ", ".join(map(str, ledgers))
