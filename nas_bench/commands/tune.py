"""`nas-bench tune`: equal tuning of every method, then the trials of a protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from nas_bench.api.places import results_folder
from nas_bench.api.running import Request, asked, execution_settings, run_trials, trial_values
from nas_bench.commands.parameters import (
    FAILED,
    OK,
    examples,
    print_json,
    typed,
)
from nas_bench.commands.report import print_report, report_values, write_report
from nas_bench.commands.run import execution_options, say_tracebacks
from nas_bench.commands.selection import selection_options
from nas_bench.signals import Stop, terminable
from nas_bench.specs import InputError

if TYPE_CHECKING:
    from nas_bench.execution.asha import EarlyStopping
    from nas_bench.execution.estimate import Estimator
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.config import TrialConfig
    from nas_bench.trials.protocol import Protocol
    from nas_bench.tuning.choice import Chosen

_EPILOG = examples(
    "nas-bench tune --methods tiny,gradmax --budget '2e8 flops'",
    "nas-bench tune --protocol mlp --tasks fashion_mnist --budget '5e10 flops' --seeds 0-9",
    "nas-bench tune --methods tiny --budget '2e8 flops' --configurations 32 --search random",
    "nas-bench tune --methods tiny --budget '2e9 flops' --configurations 64 --search asha",
)


@dataclass(frozen=True, kw_only=True)
class _Request(Request):
    """What was asked for on the command line."""

    configurations: int
    search: Literal["sobol", "random", "asha"]
    search_seeds: str
    explain: bool
    as_json: bool
    verbose: bool


@click.command(epilog=_EPILOG)
@selection_options
@click.option(
    "--configurations",
    type=click.IntRange(1, 10_000),
    default=16,
    show_default=True,
    help="Of each method on each task; the protocol's own settings are the first.",
)
@click.option(
    "--search",
    type=click.Choice(["sobol", "random", "asha"]),
    default="sobol",
    show_default=True,
    help="How configurations are drawn, the same ones each time; asha draws those of sobol, and "
    "stops early what lags behind.",
)
@click.option(
    "--search-seeds",
    default="1000000",
    show_default=True,
    help="Of the search trials; none of the protocol's.",
)
@execution_options
def tune(**values: Any) -> int:
    """Tune every method equally, then run the protocol with the settings found, and report.

    Each method gets as many configurations as the others on each task, and each configuration
    the budget of the protocol, which must be in FLOPs. What is best on validation data then
    runs with the protocol's own seeds. The same command again continues. With --search asha a
    configuration has at most that budget: see docs/tuning.md for what that does to equality.
    """
    with terminable() as stop:
        return _tune(_Request(**values).prepared(), stop)


def _tune(request: _Request, stop: "Stop") -> int:
    from nas_bench.results.ledger import Ledger
    from nas_bench.trials.planning import plan
    from nas_bench.tuning.choice import choose
    from nas_bench.tuning.search import searches, tuned

    protocol = request.changed_protocol()
    seeds = _search_seeds(request, protocol)
    planned = plan(protocol, baselines=not request.no_baselines)
    ledger = Ledger(results_folder(request.results), typed())
    _require_flops(protocol, planned, request, ledger)
    sampling = "sobol" if request.search == "asha" else request.search
    found = searches(planned, sampling, request.configurations, seeds)
    settings = execution_settings(request, ledger, protocol)
    trials = [trial for search in found for trial in search.trials]
    stopping = _early_stopping(request, trials, ledger)
    if stopping:
        _require_records(protocol)
    run_trials(request, trials, ledger, stop, replace(settings, early_stopping=stopping))
    chosen = [choose(search, ledger) for search in found]
    final = tuned(planned, {(c.search.task, c.search.method): c.candidate.change for c in chosen})
    run_trials(request, final, ledger, stop, settings)
    return _conclude(request, chosen, final, ledger)


def _search_seeds(request: _Request, protocol: "Protocol") -> tuple[int, ...]:
    from nas_bench.trials.inputs import seeds

    found = seeds(request.search_seeds)
    shared = sorted({*found} & {*protocol.seeds})
    if shared:
        raise InputError(
            f"search seed {shared[0]} is also a seed of the final trials: "
            "give others with --search-seeds or --seeds"
        )
    return found


def _early_stopping(
    request: _Request, trials: Sequence["TrialConfig"], ledger: "Ledger"
) -> "EarlyStopping | None":
    """What ASHA knows when it begins, None without it."""
    from nas_bench.execution.asha import EarlyStopping
    from nas_bench.execution.resume import missing

    if request.search != "asha":
        return None
    if request.executor != "ray":
        raise InputError(
            f"--search asha stops trials under Ray Tune, but --executor is {request.executor}: "
            "leave it out, or use --search sobol"
        )
    if len({trial.seed for trial in trials}) > 1:
        raise InputError(
            f"--search asha compares single trials, but --search-seeds is "
            f"{request.search_seeds}: give one seed, or use --search sobol"
        )
    again = {trial.id for trial in missing(trials, ledger, request.rerun, stopping=True)}
    runs = ((trial, ledger.run(trial)) for trial in trials if trial.id not in again)
    return EarlyStopping(tuple((trial, run.curve) for trial, run in runs if run))


def _require_records(protocol: "Protocol") -> None:
    """Refuse records that are further apart than the first rung of ASHA."""
    from nas_bench.execution.asha import REDUCTION, RUNGS

    least = REDUCTION**RUNGS
    if protocol.evaluations < least:
        raise InputError(
            f"--search asha compares at a {least}th of the budget first, but evaluations is "
            f"{protocol.evaluations}: add --set evaluations={least} or more"
        )


def _estimator(request: _Request, ledger: "Ledger") -> "Estimator":
    """What knows the costs of trials; it reads the ledger."""
    from nas_bench.execution.estimate import Estimator
    from nas_bench.training.data import data_folder

    return Estimator(ledger.glances(), data_folder(request.data))


def _require_flops(
    protocol: "Protocol",
    planned: Sequence["TrialConfig"],
    request: _Request,
    ledger: "Ledger",
) -> None:
    """Refuse any other budget, and propose what `fixed` spends in it at target size."""
    if protocol.budget.flops is not None:
        return
    firsts = {c.task: c.model_copy(update={"method": "fixed", "twin": None}) for c in planned}
    estimator = _estimator(request, ledger)
    costs = {task: estimator.estimate(config).flops for task, config in firsts.items()}
    known = [f"--budget '{cost:.2g} flops' on {task}" for task, cost in costs.items() if cost]
    proposed = f", such as {', '.join(known)}: what fixed spends now" if known else ""
    raise InputError(
        f"the budget is {protocol.budget}, but equal tuning needs one in FLOPs: give --budget"
        f" in flops{proposed}"
    )


def _conclude(
    request: _Request,
    chosen: Sequence["Chosen"],
    final: Sequence["TrialConfig"],
    ledger: "Ledger",
) -> int:
    """Show what was chosen and the report; by the exit code how the final trials ended."""
    from nas_bench.results.summary import ENDED_WELL

    trials = trial_values(final, ledger)
    values = [_values(found) for found in chosen]
    if not request.as_json:
        _print(values)
    written = write_report(ledger.folder, request.as_json)
    if written is not None and request.as_json:
        beside = {"results": str(ledger.folder), "tuning": values, "trials": trials}
        print_json({**beside, **report_values(written)})
    elif written is not None:
        print_report(written, explain=request.explain, asked=asked(final))
    if request.verbose:
        say_tracebacks(final, ledger)
    return OK if all(trial["status"] in ENDED_WELL for trial in trials) else FAILED


def _values(found: "Chosen") -> dict[str, Any]:
    from nas_bench.tuning.history import settings

    search, trial = found.search, found.candidate.trials[0]
    return {
        "task": search.task,
        "method": search.method,
        "settings": settings(trial),
        "changed": _changed(found),
        "validation_score": found.score,
        "validation_score_of_default": found.scores[0],
        "configurations": len(search.candidates),
        "failed": found.failed,
        "stopped": found.stopped,
        "not_applicable": found.applies_nowhere,
        "flops": found.flops,
        "search": trial.protocol,
    }


def _changed(found: "Chosen") -> dict[str, object]:
    """The settings chosen that are not the protocol's."""
    from nas_bench.tuning.history import settings

    before = settings(found.search.candidates[0].trials[0])
    after = settings(found.candidate.trials[0])
    return {name: value for name, value in after.items() if value != before.get(name)}


def _print(values: Sequence[dict[str, Any]]) -> None:
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nas_bench.text import human, one_line

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("task", "method", "settings chosen on validation data"):
        table.add_column(name, overflow="fold")
    for name in ("default", "chosen", "tried", "stopped", "failed", "FLOPs"):
        table.add_column(name, justify="right")
    for row in values:
        scores = (_score(row[f"validation_score{of}"]) for of in ("_of_default", ""))
        counts = (str(row[name]) for name in ("configurations", "stopped", "failed"))
        cells = (row["task"], row["method"], _spelled(row), *scores, *counts, human(row["flops"]))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    width = max(shutil.get_terminal_size((120, 24)).columns, 100)
    Console(width=width, highlight=False).print(table)


def _spelled(row: dict[str, Any]) -> str:
    if row["not_applicable"]:
        return "not applicable"
    if row["validation_score"] == float("-inf"):
        return "the protocol's own: no configuration has a result"
    changed = (f"{name} {value}" for name, value in row["changed"].items())
    return ", ".join(changed) or "the protocol's own"


def _score(value: float) -> str:
    return "–" if value == float("-inf") else f"{value:.4g}"
