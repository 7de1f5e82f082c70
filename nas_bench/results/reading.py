"""A trial as the ledger knows it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

from nas_bench.results.files import DamagedFileError
from nas_bench.results.layout import CURVE, GROWTH, VERIFIED, place_of
from nas_bench.results.limits import parser, sentence
from nas_bench.results.sources import Folder, Packed, Source
from nas_bench.results.summary import (
    SCHEMA,
    MisplacedError,
    Status,
    Summary,
    UnreadableError,
    read_summary,
    summary_bytes,
)
from nas_bench.trials.messages import GrowthRecord, Record, raised_at

__all__ = [
    "CURVE",
    "GROWTH",
    "SCHEMA",
    "VERIFIED",
    "Run",
    "Status",
    "Summary",
    "glance",
    "read_run",
    "read_summary",
    "summary_bytes",
]

_TORN = "the last line is torn and left out"
T = TypeVar("T", Record, GrowthRecord)


@dataclass(frozen=True, kw_only=True)
class Run(Summary):
    """One trial read back, as far as its files can be read.

    Attributes:
        source: what its files are read from.
        curve: its records, in order.
        growth: its growth events, in order.
        problems: what is wrong with its files, one sentence each.
        elsewhere: the place of the trial whose files these are, where that is another one.
        ledger: what marks its row where several ledgers are read and it is not of the first.
    """

    source: Source
    curve: tuple[Record, ...] = ()
    growth: tuple[GrowthRecord, ...] = ()
    problems: tuple[str, ...] = ()
    elsewhere: str = ""
    ledger: str = ""

    @property
    def folder(self) -> Path:
        """Where its files lie; of a packed trial the folder that unpacking makes."""
        return self.source.path

    @property
    def pack(self) -> Path | None:
        """The file that its files are packed in, None if they are not."""
        return self.source.archive.path if isinstance(self.source, Packed) else None

    @property
    def place(self) -> str:
        """Its folder, without the results folder."""
        return place_of(self.folder)

    @property
    def damage(self) -> list[str]:
        """What is wrong with its files and where they lie, one line each."""
        return [f"{self.place}: {problem}" for problem in self.problems]

    @property
    def state(self) -> str:
        """The status in words that are also true when no driver holds the trial any more."""
        return "unfinished" if self.status == "running" else self.status

    @property
    def reason(self) -> str:
        """Why there is no result, in one line; empty if there is one."""
        if self.status in ("damaged", "unreadable"):
            return self.problems[0]
        if self.error is None:
            return ""
        lines = self.error.get("message", "").strip().splitlines() or [""]
        place = raised_at(self.error.get("traceback", ""))
        return f"{self.error.get('error', 'error')}: {lines[0]}{place and f' ({place})'}"

    @property
    def only_cut(self) -> bool:
        """Whether the trial has not ended and nothing is wrong but a last line cut in writing."""
        torn = all(problem.endswith(_TORN) for problem in self.problems)
        return torn and self.status in ("running", "preempted")


class _Lines(NamedTuple, Generic[T]):
    values: list[T]
    problems: list[str]
    state: Literal["intact", "changed", "unknown", "unreadable"]


_RECORD = parser(Record)
_GROWTH = parser(GrowthRecord)


def read_run(place: Source | Path) -> Run:
    """A trial's files, or those in a folder; damage becomes `problems`, never an exception.

    A trial that was ok but whose files are damaged is damaged: it has to run again. One that is
    whole in another place than its own, or that cannot be read here, is unreadable.
    """
    return _read(_source(place), everything=True)


def glance(place: Source | Path) -> Run:
    """The same, but of a trial that ended undamaged only the last record is read.

    Its growth events are not there, nor are the other records of its curve.
    """
    return _read(_source(place), everything=False)


def checksum(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _source(place: Source | Path) -> Source:
    return Folder(place) if isinstance(place, Path) else place


def _read(source: Source, *, everything: bool) -> Run:
    summary, problems, elsewhere = _summary(source)
    said = len(problems)
    sums = summary.checksums
    curve = _lines(source, CURVE, _RECORD, sums.get(CURVE), everything=everything)
    growth = _lines(source, GROWTH, _GROWTH, sums.get(GROWTH), everything=everything)
    if summary.result and not curve.problems and not _is_last(summary.result, curve.values):
        problems.append(f"{CURVE} does not end with the result in run.json")
    problems += curve.problems + growth.problems
    for name, lines in ((CURVE, curve), (GROWTH, growth)):
        if lines.state == "changed" and not any(name in problem for problem in problems):
            problems.append(f"{name} is not as it was when the trial ended")
    if elsewhere:
        names = place_of(source.path).split("/")
        summary = _unknown(names, "unreadable" if len(problems) == said else "damaged")
    elif "unreadable" in (curve.state, growth.state) and summary.status != "damaged":
        summary = replace(summary, status="unreadable", result=None)
    elif problems and summary.status == "ok":
        summary = replace(summary, status="damaged", result=None)
        problems = [f"{problems[0]}; {_again(source)}", *problems[1:]]
    return Run(
        **vars(summary),
        source=source,
        curve=() if elsewhere else tuple(curve.values),
        growth=() if elsewhere else tuple(growth.values),
        problems=tuple(problems),
        elsewhere=elsewhere,
    )


def _is_last(result: Record, records: Sequence[Record]) -> bool:
    """Whether records end with the result; by their texts where a NaN differs from itself."""
    return records[-1:] == [result] or repr(records[-1:]) == repr([result])


def _again(source: Source) -> str:
    """How a damaged trial runs again."""
    first = "once it is unpacked, " if isinstance(source, Packed) else ""
    return f"{first}the same command runs this trial again"


def _summary(source: Source) -> tuple[Summary, list[str], str]:
    """What `run.json` says, what is wrong with it, and where it belongs if that is elsewhere."""
    names = place_of(source.path).split("/")
    try:
        return read_summary(source), [], ""
    except MisplacedError as error:
        return error.summary, [f"{error}: move it there, or away"], error.place
    except UnreadableError as error:
        return _unknown(names, "unreadable"), [str(error)], ""
    except ValueError as error:
        return _unknown(names, "damaged"), [str(error)], ""


def _unknown(names: Sequence[str], status: Status) -> Summary:
    """What the five names of its folders tell about a trial whose `run.json` does not."""
    protocol, task, method, settings_id, seed = names
    return Summary(
        method=method,
        task=task,
        protocol=protocol,
        seed=int(seed[1:]) if seed[1:].isdecimal() else -1,
        status=status,
        id="",
        settings_id=settings_id,
        label=method,
        kind="",
    )


def _lines(
    source: Source,
    name: str,
    parse: Callable[[bytes], T],
    checksum: str | None,
    *,
    everything: bool,
) -> _Lines[T]:
    """The lines of a file that can be read, and a sentence for each that cannot."""
    try:
        content = source.read(name)
    except FileNotFoundError:
        return _Lines([], [f"{name} is missing"], "changed")
    except OSError as error:
        problem = f"{name} cannot be read: {error.strerror or error}"
        damaged = isinstance(error, DamagedFileError)
        return _Lines([], [problem], "changed" if damaged else "unreadable")
    state = _state(content, checksum)
    if state == "intact" and not everything:
        content = content[content.rfind(b"\n", 0, -1) + 1 :] if name == CURVE else b""
    return _Lines(*_parsed(content, name, parse), state)


def _state(content: bytes, checksum: str | None) -> Literal["intact", "changed", "unknown"]:
    if checksum is None:
        return "unknown"
    return "intact" if checksum == hashlib.sha256(content).hexdigest() else "changed"


def _parsed(content: bytes, name: str, parse: Callable[[bytes], T]) -> tuple[list[T], list[str]]:
    *lines, last = content.split(b"\n")
    values, problems = [], []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(parse(line))
        except (ValueError, RecursionError) as error:
            problems.append(f"{name}: line {number} is damaged: {sentence(error)}")
    if last:
        problems.append(f"{name}: {_TORN}")
    return values, problems
