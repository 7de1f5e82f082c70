"""`nas-bench verify`: whether a results folder holds together, and can be reproduced."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.api.places import load_plugins
from nas_bench.commands.parameters import (
    BROKEN,
    GATE,
    MANY,
    OK,
    CannotRunError,
    counted,
    data_option,
    device_option,
    examples,
    folder_given,
    folder_options,
    json_option,
    plugin_option,
    print_json,
    say_nothing,
    say_strays,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.execution import Settings
    from nas_bench.results.checks import Finding
    from nas_bench.results.ledger import Ledger
    from nas_bench.results.reading import Run
    from nas_bench.results.verified import Verified

_EPILOG = examples(
    "nas-bench verify",
    "nas-bench verify results/published --json",
    "nas-bench verify --rerun 3 --seed 1",
)


@dataclass(frozen=True)
class _Again:
    """A trial that was run a second time, or could not be."""

    place: str
    outcome: "Verified | None"
    problem: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is not None and self.outcome.reproduced


@click.command(epilog=_EPILOG)
@folder_options
@click.option(
    "--rerun",
    type=click.IntRange(0, MANY),
    default=0,
    metavar="K",
    help="Run K random trials with a result again, and compare.",
)
@click.option(
    "--seed", type=click.IntRange(0, MANY), default=0, show_default=True, help="Of the choice."
)
@device_option("auto takes each trial's own, if there is one like it here.")
@plugin_option()
@data_option()
@json_option()
@verbose_option()
def verify(
    folder: Path | None,
    results: Path | None,
    rerun: int,
    seed: int,
    device: str,
    plugin_paths: tuple[Path, ...],
    data: Path | None,
    as_json: bool,
) -> int:
    """Check the trials in FOLDER, and run some of them again.

    Checked are schema, hashes, completeness, clocks, sizes and growth events. A trial that
    comes out the same again gets a verified.json; every bit is compared where instruction set,
    threads, torch, device, data and code are the same, else the final test score: accuracies
    may be 0.03 apart, losses 25 %. Stale results (of another behaviour version, or of other data)
    are counted, not refused.
    """
    from nas_bench.results.checks import all_findings
    from nas_bench.results.ledger import Ledger
    from nas_bench.results.staleness import is_stale, newest_data

    ledger = Ledger(folder_given(folder, results))
    plugins = load_plugins(plugin_paths) if plugin_paths else ()
    contents = ledger.contents()
    runs, found = contents.runs, all_findings(contents)
    say_strays(contents.aside)
    if not runs and not found:
        return say_nothing("verify", ledger.folder)
    today = newest_data(runs)
    stale = sum(is_stale(run, today) for run in runs)
    again: list[_Again] = []
    if rerun:
        from nas_bench.execution import Settings
        from nas_bench.execution.reproduction import chosen

        settings = Settings(data=data, plugins=plugins, device=device)
        again = _rerun(ledger, chosen(runs, rerun, seed), settings)
    if as_json:
        print_json({**_values(ledger.folder, runs, found, stale, again), "strays": contents.aside})
    else:
        for line in _lines(runs, found, stale, again):
            click.echo(line)
    if found or any(trial.outcome and not trial.outcome.reproduced for trial in again):
        return GATE
    return OK if all(trial.ok for trial in again) else BROKEN


def _rerun(ledger: "Ledger", runs: "Sequence[Run]", settings: "Settings") -> list[_Again]:
    from nas_bench.results.ledger import LedgerError
    from nas_bench.results.lock import locked

    try:
        with locked(ledger.folder):
            return [_again(run, ledger, settings) for run in runs]
    except LedgerError as error:
        raise CannotRunError(str(error)) from error


def _again(run: "Run", ledger: "Ledger", settings: "Settings") -> _Again:
    from nas_bench.execution import ExecutionError
    from nas_bench.execution.reproduction import verified
    from nas_bench.results.verified import write_verified
    from nas_bench.specs import InputError
    from nas_bench.streams import clean_stdout
    from nas_bench.training.task import DataMissingError

    click.echo(f"running again: {run.place}", err=True)
    try:
        with clean_stdout():
            outcome = verified(run, ledger, settings)
    except (ValueError, InputError, DataMissingError, ExecutionError) as error:
        return _Again(run.place, None, str(error))
    write_verified(run, outcome)
    return _Again(run.place, outcome)


def _lines(
    runs: "Sequence[Run]", found: "Sequence[Finding]", stale: int, again: Sequence[_Again]
) -> Iterator[str]:
    from nas_bench.text import one_line

    for finding in found:
        yield one_line(f"{finding.check}: {finding.place}: {finding.message}")
    for trial in again:
        yield one_line(f"{_verdict(trial)}: {trial.place}{_because(trial)}")
    yield f"{counted(len(runs), 'trial')}, {counted(len(found), 'finding')}"
    if stale:
        yield f"{stale} stale: of other behaviour or data than today's"
    if again:
        yield f"{sum(trial.ok for trial in again)} of {len(again)} reproduced"


def _verdict(trial: _Again) -> str:
    if trial.outcome is None:
        return "not run again"
    if not trial.ok:
        return "not reproduced"
    return "reproduced bit by bit" if trial.outcome.compared == "bits" else "reproduced"


def _because(trial: _Again) -> str:
    if trial.outcome is None:
        return f": {trial.problem}"
    parts = list(trial.outcome.differences)
    if trial.outcome.because:
        parts.append(f"within the tolerance, as {', '.join(trial.outcome.because)} differ")
    return f": {'; '.join(parts)}" if parts else ""


def _values(
    folder: Path,
    runs: "Sequence[Run]",
    found: "Sequence[Finding]",
    stale: int,
    again: Sequence[_Again],
) -> dict[str, Any]:
    return {
        "results": str(folder),
        "trials": len(runs),
        "stale": stale,
        "findings": [asdict(finding) for finding in found],
        "rerun": [{**asdict(trial), "ok": trial.ok} for trial in again],
    }
