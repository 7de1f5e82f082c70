"""A trial as the ledger knows it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from nas_bench.results.files import as_json
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import GrowthRecord, Record

Status = Literal["running", "ok", "failed", "oom", "timeout", "diverged", "preempted", "damaged"]
SCHEMA = 1
MACHINE_FAULTS = ("DataMissingError", "OtherCopyError", "OriginalError")
"""Errors that say nothing about the method: what they ended is unfinished, not failed."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `run.json` holds; the first five fields stay as they are in every version.

    Attributes:
        method: canonical spec of the method, a twin's original's.
        label: what tables call the method; it tells twins apart.
        status: "damaged" is never written, only read.
        result: the record at the end of the budget, only of a trial that is ok.
        sizes: parameters, FLOPs and widths of the last record.
        costs: train and growth FLOPs and the clocks of the last record.
        error: error, message and traceback of a trial without a result.
        attempts: how often the trial was begun.
    """

    method: str
    task: str
    protocol: str
    seed: int
    status: Status
    id: str
    settings_id: str
    label: str
    kind: str
    schema: int = SCHEMA
    attempts: int = 1
    started: str | None = None
    finished: str | None = None
    result: Record | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    config: TrialConfig | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the trial was cut off or could not be tried: the same command runs it again."""
        faulty = self.error is not None and self.error.get("error") in MACHINE_FAULTS
        return faulty or self.status in ("running", "preempted", "damaged")


@dataclass(frozen=True, kw_only=True)
class Run(Summary):
    """One trial read back, as far as its files can be read.

    Attributes:
        folder: where its files lie.
        curve: its records, in order.
        growth: its growth events, in order.
        problems: what is wrong with its files, one sentence each.
    """

    folder: Path
    curve: tuple[Record, ...] = ()
    growth: tuple[GrowthRecord, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The status in words that are also true when no driver holds the trial any more."""
        return "unfinished" if self.status == "running" else self.status

    @property
    def reason(self) -> str:
        """Why there is no result, in one line; empty if there is one."""
        if self.status == "damaged":
            return self.problems[0]
        if self.error is None:
            return ""
        lines = self.error.get("message", "").strip().splitlines() or [""]
        return f"{self.error.get('error', 'error')}: {lines[0]}"


_SUMMARY = TypeAdapter(Summary)
_RECORD = TypeAdapter(Record)
_GROWTH = TypeAdapter(GrowthRecord)


def summary_bytes(summary: Summary) -> bytes:
    """The content of `run.json`."""
    return as_json(_SUMMARY.dump_python(summary, mode="json"), indent=1)


def read_summary(folder: Path) -> Summary:
    """The trial's `run.json`.

    Raises:
        ValueError: if it is missing or damaged; the message is one sentence.
    """
    try:
        summary = _SUMMARY.validate_json((folder / "run.json").read_bytes())
    except FileNotFoundError:
        raise ValueError("run.json is missing") from None
    except OSError as error:
        raise ValueError(f"run.json cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ValueError(f"run.json is damaged: {_first(error)}") from None
    if summary.schema != SCHEMA:
        raise ValueError(
            f"run.json has schema {summary.schema}, but this nas-bench reads {SCHEMA}: update it"
        )
    return summary


def read_run(folder: Path) -> Run:
    """A trial's folder; damage becomes `problems`, never an exception.

    A trial that was ok but whose files are damaged is damaged: it has to run again.
    """
    curve, curve_problems = _lines(folder / "curve.jsonl", _RECORD.validate_json)
    growth, growth_problems = _lines(folder / "growth.jsonl", _GROWTH.validate_json)
    problems = curve_problems + growth_problems
    try:
        summary = read_summary(folder)
    except ValueError as error:
        summary, problems = _unreadable(folder), [str(error), *problems]
    if summary.result and not problems and (not curve or curve[-1].step != summary.result.step):
        problems.append("curve.jsonl does not end with the result in run.json")
    if problems and summary.status == "ok":
        summary = replace(summary, status="damaged", result=None)
        problems = [f"{problems[0]}; the same command runs this trial again"]
    return Run(
        **vars(summary),
        folder=folder,
        curve=tuple(curve),
        growth=tuple(growth),
        problems=tuple(problems),
    )


def _unreadable(folder: Path) -> Summary:
    """What the folder's names tell about a trial whose `run.json` does not."""
    protocol, task, method, settings_id, seed = folder.parts[-5:]
    return Summary(
        method=method,
        task=task,
        protocol=protocol,
        seed=int(seed[1:]),
        status="damaged",
        id="",
        settings_id=settings_id,
        label=method,
        kind="",
    )


def _lines(path: Path, parse: Callable[[bytes], T]) -> tuple[list[T], list[str]]:
    """The lines of a file that can be read, and a sentence for each that cannot."""
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], [f"{path.name} is missing"]
    except OSError as error:
        return [], [f"{path.name} cannot be read: {error.strerror}"]
    values, problems = [], []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(parse(line))
        except ValidationError as error:
            problems.append(f"{path.name}: line {number} is damaged: {_first(error)}")
    if last:
        problems.append(f"{path.name}: the last line is torn and left out")
    return values, problems


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {detail['msg']}" if place else detail["msg"]
