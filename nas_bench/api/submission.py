"""Results of one's own for this project's board: what they are checked for, and their pack."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from nas_bench import plugins
from nas_bench.contract import check_plugin
from nas_bench.contract.finding import Check
from nas_bench.discovery import PluginKind, executed
from nas_bench.execution import ExecutionError, Settings
from nas_bench.execution.reproduction import chosen, verified
from nas_bench.report.comparison import Comparison, comparisons
from nas_bench.report.statistics import TESTABLE
from nas_bench.results import files
from nas_bench.results.checks import all_findings
from nas_bench.results.gathering import REFERENCES
from nas_bench.results.layout import CURVE, GROWTH, RUN, VERIFIED
from nas_bench.results.ledger import Contents, Ledger
from nas_bench.results.packing import packed_bytes
from nas_bench.results.reading import Run
from nas_bench.results.staleness import is_stale, newest_data
from nas_bench.results.summary import PluginFile
from nas_bench.specs import InputError, parse
from nas_bench.streams import clean_stdout
from nas_bench.text import counted, ranges
from nas_bench.training.data import data_folder
from nas_bench.training.task import DataMissingError
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

CHECKS = "submission.json"
"""The file in a pack that says what it was checked for."""
_KINDS: tuple[PluginKind, ...] = get_args(PluginKind)
_NAMED = 3


@dataclass(frozen=True)
class Submission:
    """A ledger that was checked.

    Attributes:
        ledger: that was checked.
        runs: its trials.
        aside: what else lies there.
        checks: what it must keep to, and whether it does.
    """

    ledger: Ledger
    runs: tuple[Run, ...]
    aside: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


def checked(ledger: Ledger, settings: Settings, reruns: int, seed: int = 0) -> Submission:
    """What reviewers check of results: that they hold together, are whole, and come out again.

    Args:
        ledger: read whole.
        settings: where and with what data trials run again.
        reruns: how many do, drawn at random.
        seed: of the draw.
    """
    contents = ledger.contents()
    runs = contents.runs
    compared = comparisons(runs)
    contracts = list(_contracts(runs, settings.data))  # what is recorded is known from here on
    again = chosen(runs, reruns, seed)
    checks = [
        _check("holds together, each trial within its budget", _findings(contents)),
        _check("has no trial that failed", _failures(runs)),
        _check("runs protocols as they come with this version", _changed(runs)),
        _check(f"has at least {TESTABLE} seeds of each row", _few_seeds(compared)),
        _check(f"has {' and '.join(REFERENCES)} beside its methods", _lacking(compared)),
        _check("is of today's behaviour", _stale(runs)),
        *contracts,
        _check(f"comes out again ({counted(len(again), 'trial')})",
               _not_again(again, reruns, ledger, settings)),
    ]  # fmt: skip
    return Submission(ledger, tuple(runs), tuple(contents.aside), tuple(checks))


def write_pack(submission: Submission, path: Path) -> None:
    """Write all trials, and what they were checked for, into one pack.

    Raises:
        LedgerError: if it cannot be written, or a file can no longer be read.
    """
    content = {CHECKS: json.dumps([asdict(c) for c in submission.checks], indent=1).encode()}
    with files.writing(path):
        for run in submission.runs:
            for name in (RUN, CURVE, GROWTH, VERIFIED):
                try:
                    content[f"{run.place}/{name}"] = run.source.read(name)
                except FileNotFoundError:
                    continue
        files.replace(path, packed_bytes(content))


def _check(name: str, problems: Iterable[str]) -> Check:
    """A check that holds where there is no problem; of many, the first ones are named."""
    found = list(problems)
    more = f" (and {len(found) - _NAMED} more)" if len(found) > _NAMED else ""
    return Check(name, ok=not found, message="; ".join(found[:_NAMED]) + more)


def _findings(contents: Contents) -> Iterator[str]:
    if not contents.runs:
        yield "there are no trials"
    for finding in all_findings(contents):
        yield f"{finding.check}: {finding.place}: {finding.message}"


def _failures(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        if run.status not in ("ok", "not applicable"):
            yield f"{run.place} is {run.state}"


def _changed(runs: Sequence[Run]) -> Iterator[str]:
    """Rows whose trials the protocol of this name does not ask for, as after `--set`."""
    seen = set()
    for run in runs:
        row = run.place.rpartition("/")[0]
        if run.config is None or row in seen:
            continue
        seen.add(row)
        changes = {"methods": [run.method], "tasks": [run.task], "seeds": [run.seed]}
        try:
            protocol = load_protocol(run.protocol, [changes])
            planned = plan(protocol)
        except InputError as error:
            yield f"{row}: {error}"
            continue
        if run.id not in {config.id for config in planned}:
            yield f"{row} is no trial of {run.protocol} version {protocol.version} as it comes"


def _few_seeds(compared: Sequence[Comparison]) -> Iterator[str]:
    for found in compared:
        for row in found.rows:
            if len(row.results) < TESTABLE:
                seeds = ranges(run.seed for run in row.runs if run.status == "ok")
                yield f"{found.title}: {row.name} has seeds {seeds}"


def _lacking(compared: Sequence[Comparison]) -> Iterator[str]:
    for found in compared:
        there = {parse(row.method).name for row in found.rows if row.config}
        yield from (f"{found.title}: no {name}" for name in REFERENCES if name not in there)


def _stale(runs: Sequence[Run]) -> Iterator[str]:
    data = newest_data(runs)
    yield from (f"{run.place} is stale" for run in runs if is_stale(run, data))


def _contracts(runs: Sequence[Run], data: Path | None) -> Iterator[Check]:
    """The contract of each plugin that does not come with the package, as recorded."""
    recorded: set[tuple[PluginKind, str, PluginFile]] = {
        (kind, parse(spec).name, run.plugins[kind])
        for run in runs
        if run.config
        for kind in _KINDS
        if kind in run.plugins
        for spec in [run.config.schedule.when if kind == "trigger" else getattr(run, kind)]
    }
    for kind, name, file in sorted(recorded, key=str):
        try:
            _make_known(kind, name, file)
            failed = [c for c in check_plugin(name, data_folder(data)) if not c.ok]
            yield _check(f"{kind} {name} keeps its contract",
                         (f"{check.name}: {check.message}" for check in failed))  # fmt: skip
        except InputError as error:
            yield Check(f"{kind} {name} keeps its contract", ok=False, message=str(error))


def _make_known(kind: PluginKind, name: str, file: PluginFile) -> None:
    """Have a plugin be what the record holds.

    Raises:
        InputError: if another one of this name is known, or what is recorded cannot be used.
    """
    import base64
    import hashlib

    known = plugins.plugins(kind).get(name)
    if known is None or known.cls is None:
        content = base64.b64decode(file.base64)
        plugins.load_path(Path(f"{kind}_{name}_{file.sha256[:8]}.py"), content)
    elif hashlib.sha256(executed(known.cls)).hexdigest() != file.sha256:
        raise InputError(f"what ran was another file than {known.origin}: give the one that ran")


def _not_again(
    runs: Sequence[Run], asked: int, ledger: Ledger, settings: Settings
) -> Iterator[str]:
    """The trials that were run again and do not come out the same."""
    if len(runs) < min(asked, 1):
        yield "there is no trial that could run again"
    for run in runs:
        print(f"running again: {run.place}", file=sys.stderr)
        try:
            with clean_stdout():
                outcome = verified(run, ledger, settings)
        except (ValueError, InputError, DataMissingError, ExecutionError) as error:
            yield f"{run.place}: {error}"
            continue
        yield from (f"{run.place}: {line}" for line in outcome.differences)
