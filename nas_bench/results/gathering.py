"""Several ledgers read as one: folders and packs, each trial once, and whether they agree."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from nas_bench.results import files
from nas_bench.results.agreement import disagreement
from nas_bench.results.archive import SIZE, Archive, archive_of
from nas_bench.results.layout import PACK, Stray
from nas_bench.results.ledger import Contents, Ledger
from nas_bench.results.reading import Run, read_run
from nas_bench.results.sources import Packed, Source
from nas_bench.specs import InputError, parse
from nas_bench.text import counted

REFERENCES = ("fixed", "random_growth")
"""Methods whose trials show whether a machine or version reproduces a ledger."""
_PARTS = 100
"""Protocols and tasks in one pack, at most."""


@dataclass(frozen=True)
class ReferenceCheck:
    """Whether a ledger reproduces the first one, by the trials of `REFERENCES` that both have.

    Attributes:
        ledger, first: their names.
        compared: how many trials both have with a result, without copies, which show nothing.
        differing: those beyond the tolerance of `verify`, with what differs, one line each.
    """

    ledger: str
    first: str
    compared: int
    differing: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Whether there is something to compare, and all of it agrees."""
        return bool(self.compared) and not self.differing

    @property
    def sentence(self) -> str:
        """What came of it."""
        names = " and ".join(REFERENCES)
        if not self.compared:
            return (
                f"Nothing shows whether {self.ledger} reproduces {self.first}: "
                f"they share no result of {names} that was trained twice."
            )
        trials = counted(self.compared, "trial")
        if not self.differing:
            return (
                f"{self.ledger} reproduces {self.first}: {trials} of {names} that both have agree "
                "within the tolerance of verify."
            )
        return (
            f"{self.ledger} does NOT reproduce {self.first}, so that its rows may differ for "
            f"other reasons than their methods: of {trials} of {names} that both have, "
            f"{len(self.differing)} differ beyond the tolerance of verify, such as "
            f"{self.differing[0]}."
        )


class Gathered(NamedTuple):
    """What several ledgers hold together.

    Attributes:
        name: of them all.
        runs: each trial once; those of the second ledger and later ones say which.
        damage, aside: as of `Contents`.
        checks: of the second ledger and later ones.
    """

    name: str
    runs: list[Run]
    damage: list[str]
    aside: list[str]
    checks: tuple[ReferenceCheck, ...] = ()


def gathered(ledgers: Sequence[Path], read: Callable[[Source], Run] = read_run) -> Gathered:
    """The trials of results folders and packs; one that several have counts once.

    That is the first one with a result, else the first one.

    Args:
        ledgers: at least one.
        read: what reads a trial, `read_run` or `glance`.

    Raises:
        InputError: if a file is no pack that can be read.
    """
    if len(ledgers) == 1:
        (found,) = (contents(path, read) for path in ledgers)
        return Gathered(ledger_name(ledgers[0]), found.runs, found.damage, found.aside)
    names = _names(ledgers)
    parts = [contents(path, read) for path in ledgers]
    first, named = parts[0], list(zip(names, parts, strict=True))
    kept = {_key(run, names[0]): run for run in first.runs}
    for name, part in named[1:]:
        for run in part.runs:
            earlier = kept.get(key := _key(run, name))
            if earlier is None or (run.status == "ok" and earlier.status != "ok"):
                kept[key] = replace(run, ledger=name)
    return Gathered(
        " + ".join(names),
        list(kept.values()),
        [f"{name}: {line}" for name, part in named for line in part.damage],
        [f"{name}: {line}" for name, part in named for line in part.aside],
        tuple(reference_check(first.runs, part.runs, names[0], name) for name, part in named[1:]),
    )


def reference_check(
    first: Sequence[Run], other: Sequence[Run], first_name: str, name: str
) -> ReferenceCheck:
    """Whether the trials of `REFERENCES` that two ledgers have agree.

    Args:
        first: trials of the first ledger, read whole.
        other: trials of the other one, read whole.
        first_name: of the first ledger.
        name: of the other one.
    """
    known = {run.id: run for run in first if _is_reference(run)}
    both = [(known[run.id], run) for run in other if _is_reference(run) and run.id in known]
    pairs = [(one, run) for one, run in both if not _is_copy(one, run)]
    found = ((run, disagreement(one, run)[1]) for one, run in pairs)
    differing = tuple(
        f"{run.protocol} {run.task} {run.label} seed {run.seed}: {reasons[0]}"
        for run, reasons in found
        if reasons
    )
    return ReferenceCheck(name, first_name, len(pairs), differing)


def contents(path: Path, read: Callable[[Source], Run] = read_run) -> Contents:
    """What a results folder or a pack holds.

    Args:
        path: of it.
        read: what reads a trial, `read_run` or `glance`.

    Raises:
        InputError: if it is a file, but no pack that can be read.
    """
    if not path.is_file():
        return Ledger(path).contents(read)
    root = path.with_suffix("")
    archives = list(_archives(path, root))
    sources = [Packed(root / place, archive) for archive in archives for place in archive.trials]
    lost = [
        Stray(root / name, f"it is refused: {problem}")
        for archive in archives
        for name, problem in archive.refused.items()
        if name.startswith(_start(archive))
    ]
    return Contents(root, [read(source) for source in sources], lost, [])


def ledger_name(path: Path) -> str:
    """What reports call a ledger."""
    return path.absolute().name.removesuffix(PACK)


def _archives(path: Path, root: Path) -> Iterator[Archive]:
    """A pack as one of each protocol and task in it."""
    try:
        content = files.read(path, SIZE)
        names = [name.split("/") for name in ZipFile(BytesIO(content)).namelist()]
        starts = dict.fromkeys(tuple(parts[:2]) for parts in names if len(parts) > 2)
        if len(starts) > _PARTS:
            raise ValueError(f"it holds more than {_PARTS} protocols and tasks")
        for protocol, task in starts:
            yield archive_of(content, root / protocol / f"{task}{PACK}", path.stat().st_mtime)
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path} is no pack that can be read: {error}") from None


def _start(archive: Archive) -> str:
    return f"{archive.path.parent.name}/{archive.path.name.removesuffix(PACK)}/"


def _names(ledgers: Sequence[Path]) -> list[str]:
    """Their last names, whole paths where these are alike."""
    short = [ledger_name(path) for path in ledgers]
    counts = Counter(short)
    return [
        name if counts[name] == 1 else str(path) for name, path in zip(short, ledgers, strict=True)
    ]


def _key(run: Run, ledger: str) -> str:
    """Two of a kind are one trial; what cannot be read is alone."""
    return run.id or f"{ledger}: {run.place}"


def _is_copy(one: Run, other: Run) -> bool:
    """Whether two trials are the same one: no two take the same seconds, to the last digit."""
    return (one.started, one.finished, one.costs) == (other.started, other.finished, other.costs)


def _is_reference(run: Run) -> bool:
    if run.config is None or run.status != "ok" or not run.config.reproducible or run.config.twin:
        return False
    try:
        return parse(run.method).name in REFERENCES
    except InputError:
        return False
