"""What the files of a trial are read from: its folder, or the pack that holds it."""

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from nas_bench.results import files
from nas_bench.results.archive import Archive, open_archive
from nas_bench.results.layout import (
    CURVE,
    GROWTH,
    RUN,
    SIZES,
    Stray,
    hindrances,
    holds_trial,
    pack_of,
    place_of,
    places,
)

_NAMED = 20
"""Members of a pack that are named when they are refused."""


class Source(Protocol):
    """Where a trial lies, and its files by name."""

    @property
    def path(self) -> Path:
        """Its folder; of a packed trial the one that unpacking makes."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file, with the line ends that it was written with.

        Raises:
            FileNotFoundError: if it is not there.
            DamagedFileError: if what is there is none that was written there.
            OSError: if the system refuses.
        """
        ...

    def modified(self, name: str) -> float | None:
        """When a file was last written, in seconds since the epoch; None if never."""
        ...


@dataclass(frozen=True)
class Folder:
    """A trial in a folder of its own."""

    path: Path

    def read(self, name: str) -> bytes:
        """See the base class."""
        return _as_written(files.read(self.path / name, SIZES[name]))

    def modified(self, name: str) -> float | None:
        """See the base class."""
        try:
            return os.lstat(self.path / name).st_mtime
        except OSError:
            return None


@dataclass(frozen=True)
class Packed:
    """A trial in a pack."""

    path: Path
    archive: Archive = field(compare=False)

    def read(self, name: str) -> bytes:
        """See the base class."""
        return _as_written(self.archive.read(f"{place_of(self.path)}/{name}"))

    def modified(self, name: str) -> float | None:
        """See the base class."""
        there = f"{place_of(self.path)}/{name}" in self.archive.members
        return self.archive.modified if there else None


class Sources(NamedTuple):
    """What is in a results folder.

    Attributes:
        trials: each once, sorted by path.
        lost: packs and folders that cannot be read, with the reason.
        strays: what is no part of the ledger.
    """

    trials: list[Source]
    lost: list[Stray]
    strays: list[Stray]


class Packs:
    """The packs of a results folder; each is opened once, and again when its file changes."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._known: dict[Path, tuple[tuple[int, ...], Archive | ValueError]] = {}

    def sources(self) -> Sources:
        """Every trial of the folder, packed or not; a folder counts where both have it."""
        found = places(self._results)
        folders = filter(holds_trial, found.trials)
        trials: dict[Path, Source] = {path: Folder(path) for path in folders}
        lost, strays = list(found.closed), list(found.strays)
        for pack in found.packs:
            try:
                archive = self._opened(pack)
            except ValueError as error:
                lost.append(Stray(pack, str(error)))
                continue
            packed = self._packed(archive)
            if not packed:
                strays.append(Stray(pack, "no file in it is one of a trial whose place is there"))
                continue
            twice = [source.path for source in packed if source.path in trials]
            trials |= {s.path: s for s in packed if s.path not in trials}
            lost += (Stray(pack, problem) for problem in _problems(archive, twice))
        ordered = sorted(trials) if found.packs else trials
        return Sources([trials[path] for path in ordered], lost, strays)

    def source(self, folder: Path) -> Source | None:
        """Where the trial of a place in the results folder lies; None if there is none."""
        if not any(hindrances(self._results, folder)) and holds_trial(folder):
            return Folder(folder)
        archive = self._of(folder)
        there = archive is not None and place_of(folder) in archive.trials
        return Packed(folder, archive) if archive and there else None

    def seeds(self, row: Path) -> Iterator[Source]:
        """Where the trials of one folder of seeds lie."""
        folders = {path: Folder(path) for path in self._below(row) if holds_trial(path)}
        yield from folders.values()
        archive = self._of(row / "s0")
        for source in self._packed(archive) if archive else ():
            if source.path.parent == row and source.path not in folders:
                yield source

    def _below(self, row: Path) -> list[Path]:
        """What lies in a folder of seeds, as far as we may look."""
        if any(hindrances(self._results, row)):
            return []
        try:
            return sorted(row.iterdir())
        except OSError:
            return []

    def _of(self, folder: Path) -> Archive | None:
        """The pack that a trial of this folder would be in, None without one or if damaged."""
        pack = pack_of(folder)
        if any(hindrances(self._results, pack.parent)):
            return None
        try:
            return self._opened(pack)
        except ValueError:
            return None

    def _packed(self, archive: Archive) -> list[Packed]:
        return [Packed(self._results / place, archive) for place in archive.trials]

    def _opened(self, pack: Path) -> Archive:
        """A pack; raises a ValueError if it is not there or damaged."""
        try:
            found = os.lstat(pack)
        except OSError as error:
            raise ValueError(error.strerror) from error
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._known.get(pack, ((),))[0] != stamp:
            try:
                self._known[pack] = stamp, open_archive(pack)
            except ValueError as error:
                self._known[pack] = stamp, error
        archive = self._known[pack][1]
        if isinstance(archive, ValueError):
            raise archive
        return archive


def _as_written(content: bytes) -> bytes:
    """The content without what git makes of line ends, and editors put first, on some systems."""
    return content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")


def _problems(archive: Archive, twice: list[Path]) -> Iterator[str]:
    """What is wrong with a pack, but for what its trials tell themselves."""
    told = {f"{place}/{name}" for place in archive.trials for name in (RUN, CURVE, GROWTH)}
    refused = [name for name in archive.refused if name not in told]
    for name in refused[:_NAMED]:
        yield f"{name!r} is refused: {archive.refused[name]}"
    if len(refused) > _NAMED:
        yield f"and {len(refused) - _NAMED} more are refused"
    if twice:
        yield (
            f"{len(twice)} of its trials lie in folders, too, and those count, such as "
            f"{place_of(twice[0])}: `nas-bench pack` removes what is the same"
        )
