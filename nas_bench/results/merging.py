"""Bringing ledgers from several machines together, without losing a result."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas_bench.results import files
from nas_bench.results.agreement import differences, origin
from nas_bench.results.files import LedgerError
from nas_bench.results.layout import CURVE, GROWTH, RUN, VERIFIED
from nas_bench.results.ledger import Ledger
from nas_bench.results.quarantine import make_way, set_aside
from nas_bench.results.reading import Run, read_run
from nas_bench.text import counted

Prefer = Literal["newest", "oldest", "source", "existing"]
Action = Literal["copied", "replaced", "kept", "conflict", "damaged", "unreadable"]


@dataclass(frozen=True)
class Decision:
    """What becomes of one trial of a source.

    Attributes:
        action: "copied" where there was none; "replaced" what was worth less, which is set
            aside; "kept" what was there; "conflict" keeps what was there, too, and is an error;
            "damaged" and "unreadable" cannot be copied.
        place: of the trial, or of a pack that cannot be read.
        source: the same with the source's folder.
        reason: why, in one sentence; of a conflict with both origins.
    """

    action: Action
    place: str
    source: Path
    reason: str


def merge(
    sources: Sequence[Path], target: Path, prefer: Prefer | None = None, *, dry: bool = False
) -> Iterator[Decision]:
    """Bring what other results folders have into one; the caller holds its lock.

    Of a source nothing is copied if any of it would go into a pack of the target, or to where
    something lies that cannot be read and may be whole.

    A result beats a failure, a failure beats what has not ended, more records beat fewer
    among those; two results that differ are a conflict.

    Args:
        sources: results folders; only read.
        target: results folder.
        prefer: which of two conflicting trials wins; None: the existing one, as a conflict.
        dry: only say what would be done.

    Raises:
        LedgerError: if the target cannot be written, is packed, or is not to be read.
    """
    known: dict[str, Run] = {}
    ledger = Ledger(target)
    for source in sources:
        found = Ledger(source).contents()
        runs = found.runs
        ledger.refuse_unreadable(run.config for run in runs if run.config)
        decisions = [_decision(run, _existing(run, ledger, known), prefer) for run in runs]
        pairs = list(zip(runs, decisions, strict=True))
        wanted = [run for run, decision in pairs if decision.action in ("copied", "replaced")]
        ledger.refuse_packed(run.config for run in wanted if run.config)
        known |= {run.id: run for run in wanted}
        for run, decision in pairs:
            if decision.action in ("copied", "replaced") and not dry:
                copy(run, target)
            yield decision
        for path, reason in found.lost:
            yield Decision("damaged", found.place(path), path, reason)


def copy(run: Run, target: Path) -> None:
    """Copy a trial into another results folder; what is in its place is set aside.

    Its files are checked again after they were copied, and appear at once, or `run.json` last.

    Raises:
        LedgerError: if it cannot be written, or the source changes meanwhile.
    """
    if run.config is None:
        raise LedgerError(f"{run.folder} cannot be copied: {run.reason}")
    with files.workshop(target) as workshop, files.writing(target):
        files.keep_line_ends(target)
        built = Ledger(workshop).trial_folder(run.config)
        _build(run, built)
        _install(built, Ledger(target).trial_folder(run.config), target)


def _build(run: Run, built: Path) -> None:
    built.mkdir(parents=True)
    for name in (CURVE, GROWTH, VERIFIED, RUN):
        try:
            content = run.source.read(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LedgerError(f"cannot read {run.folder / name}: {error.strerror}") from error
        files.replace(built / name, content)
    found = read_run(built)
    if found.id != run.id or (found.problems and not found.only_cut):
        raise LedgerError(f"{run.folder} changed while it was copied: merge again")


def _install(built: Path, place: Path, target: Path) -> None:
    make_way(target, place)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        built.rename(place)
    else:
        if (place / "run.json").exists():
            set_aside(place)
        for name in (CURVE, GROWTH, VERIFIED, RUN):
            if (built / name).exists():
                (built / name).rename(place / name)
    files.synchronise(place.parent)


def _existing(run: Run, target: Ledger, known: dict[str, Run]) -> Run | None:
    if run.config is None:
        return None
    return known.get(run.id) or target.run(run.config)


def _decision(run: Run, existing: Run | None, prefer: Prefer | None) -> Decision:
    if _worth(run) == 0:
        action = "unreadable" if run.status == "unreadable" else "damaged"
        return _said(action, run, "; ".join(run.problems))
    if existing is None:
        return _said("copied", run, "it was not there")
    mine, theirs = _worth(existing), _worth(run)
    if mine == 0:
        return _said("replaced", run, f"what was there is damaged: {existing.reason}")
    if mine != theirs:
        better, worse = (run, existing) if theirs > mine else (existing, run)
        action = "replaced" if theirs > mine else "kept"
        return _said(action, run, f"{_called(better)} beats {_called(worse)}")
    if theirs == _UNFINISHED:
        return _longer(run, existing)
    if not (found := differences(existing, run)):
        return _said("kept", run, "both are the same")
    return _settled(run, existing, found, prefer)


def _settled(run: Run, existing: Run, found: Iterable[str], prefer: Prefer | None) -> Decision:
    """Two that have ended and differ."""
    said = f"{'; '.join(found)} (existing: {origin(existing)}; source: {origin(run)})"
    if prefer is None:
        return _said("conflict", run, said)
    newer = (run.finished or "") > (existing.finished or "")
    wins = {"source": True, "existing": False, "newest": newer, "oldest": not newer}[prefer]
    return _said("replaced" if wins else "kept", run, f"--prefer {prefer}: {said}")


def _longer(run: Run, existing: Run) -> Decision:
    """The one of two unfinished trials that has more records."""
    mine, theirs = len(existing.curve), len(run.curve)
    action = "replaced" if theirs > mine else "kept"
    return _said(action, run, f"neither has ended; {counted(theirs, 'record')}, here {mine}")


def _said(action: Action, run: Run, reason: str) -> Decision:
    return Decision(action, run.place, run.folder, reason)


_UNFINISHED = 1


def _worth(run: Run) -> int:
    """0: damaged, 1: unfinished, 2: ended without a result, 3: ok."""
    unknown = run.config is None or run.status in ("damaged", "unreadable")
    if unknown or (run.problems and not run.only_cut):
        return 0
    if run.unfinished:
        return _UNFINISHED
    return 3 if run.status == "ok" else 2


def _called(run: Run) -> str:
    words = {"ok": "a result", "running": "an unfinished trial", "preempted": "a cut trial"}
    return words.get(run.status, f"a trial that ended as {run.status}")
