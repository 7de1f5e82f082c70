"""Packs written: the trials of one protocol and task in one file, and back in folders."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from nas_bench.results import files
from nas_bench.results.archive import MEMBER, Archive, archive_of, open_archive, stray_name
from nas_bench.results.files import LedgerError
from nas_bench.results.layout import PACK, hindrances, path_part, place_of, places
from nas_bench.results.ledger import Ledger
from nas_bench.results.quarantine import renamed
from nas_bench.results.reading import Run, glance, read_run
from nas_bench.results.sources import Packed, Source

_LEVEL = 6
_START = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip file can tell; the same trials give the same bytes."""


@dataclass(frozen=True)
class Outcome:
    """What became of the trials of one protocol and task.

    Attributes:
        action: "refused" leaves everything as it was.
        place: of their folder, inside the results folder.
        trials: how many there are.
        bytes: of the pack.
        problems: why not, or what was left out, one sentence each.
    """

    action: Literal["packed", "unpacked", "refused"]
    place: str
    trials: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()


class _RefusedError(Exception):
    """Why a protocol and task stays as it is."""


def pack(
    results: Path, protocols: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Pack what has ended, protocol by protocol and task by task; the caller holds the lock.

    A folder is removed after its pack was written and read back. An earlier pack of the same
    protocol and task gets what the folder has more. What is no part of the ledger stays.

    Args:
        results: the results folder.
        protocols: only these; empty: all.
        tasks: only these; empty: all.

    Raises:
        LedgerError: if the results folder cannot be written.
    """
    trials: dict[Path, list[Path]] = defaultdict(list)
    for run in Ledger(results).contents(glance).runs:
        if run.pack is None:
            trials[run.folder.parents[2]].append(run.folder)
    for folder in _chosen(sorted(trials), protocols, tasks):
        yield _outcome(folder, partial(_packed, trials[folder]))


def unpack(
    results: Path, protocols: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Turn packs into folders again, byte by byte; the caller holds the lock.

    What cannot be read is left out and named, and its pack set aside as `<name>.damaged-<n>`;
    else the pack is removed.

    Args:
        results: the results folder.
        protocols: only these; empty: all.
        tasks: only these; empty: all.

    Raises:
        LedgerError: if the results folder cannot be written.
    """
    folders = [path.with_suffix("") for path in places(results).packs]
    for folder in _chosen(folders, protocols, tasks):
        yield _outcome(folder, _unpacked)


def store(source: Source, name: str, content: bytes) -> None:
    """Write a file of a trial; the pack of a packed one is replaced by one with this file.

    Raises:
        LedgerError: if it cannot be written, or the pack is damaged.
    """
    if not isinstance(source, Packed):
        files.replace(source.path / name, content)
        return
    path = source.archive.path
    try:
        earlier = _readable(open_archive(path))  # now: others may have been stored since
        _write(path, earlier | {f"{place_of(source.path)}/{name}": content})
    except (ValueError, _RefusedError) as error:
        raise LedgerError(f"cannot write {name} into {path}: {error}") from error


def _chosen(folders: Sequence[Path], protocols: Sequence[str], tasks: Sequence[str]) -> list[Path]:
    """The folders of these protocols and tasks, named as by people or as their folders."""

    def is_asked(folder: Path, names: Sequence[str]) -> bool:
        return not names or any(folder.name in (name, path_part(name)) for name in names)

    return [f for f in folders if is_asked(f.parent, protocols) and is_asked(f, tasks)]


def _outcome(folder: Path, change: Callable[[Path], Outcome]) -> Outcome:
    try:
        with files.writing(folder):
            return change(folder)
    except _RefusedError as error:
        return Outcome("refused", _place(folder), problems=(str(error),))


def _place(folder: Path) -> str:
    return "/".join(folder.parts[-2:])


def _packed(trials: Sequence[Path], folder: Path) -> Outcome:
    path = folder.with_name(f"{folder.name}{PACK}")
    _refuse_unended([read_run(trial) for trial in trials])
    content = _content(folder)
    _write(path, _earlier(path, content) | content)
    _refuse_changes(open_archive(path), folder)
    with files.workshop(folder.parents[1]) as aside:
        folder.rename(aside / folder.name)  # at once: half a trial would count, not the packed one
        files.synchronise(folder.parent)
    files.keep_line_ends(folder.parents[1])
    return Outcome("packed", _place(folder), len(trials), path.stat().st_size)


def _refuse_unended(runs: Sequence[Run]) -> None:
    unreadable = [run for run in runs if run.status == "unreadable"]
    if unreadable:
        first = unreadable[0]
        raise _RefusedError(f"{first.place} cannot be read: {first.reason}")
    damaged = [run for run in runs if run.problems and not run.only_cut]
    unended = [run for run in runs if not _has_ended(run, runs) and run not in damaged]
    for found, state in ((damaged, "damaged"), (unended, "unfinished")):
        if found:
            count = "1 trial is" if len(found) == 1 else f"{len(found)} trials are"
            raise _RefusedError(f"{count} {state}, such as {found[0].place}: run them first")


def _has_ended(run: Run, runs: Sequence[Run]) -> bool:
    """Whether another run of the sweep would not try the trial again, or only to the same end.

    A twin has ended without a result where its original has.
    """
    original = run.config.twin.of if run.config and run.config.twin else None
    if run.error and run.error.get("error") == "OriginalError":
        return any(r.id == original and r.status != "ok" and not r.unfinished for r in runs)
    return not run.unfinished


def _content(folder: Path) -> dict[str, bytes]:
    """The files of a protocol and task by their names in its pack; anything else is refused."""
    content: dict[str, bytes] = {}
    for parent, folders, names in os.walk(folder, onerror=_raise):
        links = (name for name in folders if Path(parent, name).is_symlink())
        for path in (Path(parent, name) for name in (*names, *links)):
            name = path.relative_to(folder.parents[1]).as_posix()
            if files.is_temporary(path):  # of a process that was killed
                continue
            if problem := stray_name(name, folder.with_name(f"{folder.name}{PACK}")):
                raise _RefusedError(f"{name!r} does not belong there ({problem}): move it away")
            try:
                content[name] = files.read(path, MEMBER)
            except OSError as error:
                problem = error.strerror or error
                raise _RefusedError(f"{name!r} cannot be packed: {problem}") from error
    return content


def _raise(error: OSError) -> None:
    raise _RefusedError(f"{error.filename} cannot be read: {error.strerror}") from error


def _earlier(path: Path, content: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a pack holds already, which may not contradict the folders."""
    if not path.exists():
        return {}
    try:
        archive = open_archive(path)
    except ValueError as error:
        raise _RefusedError(f"its pack {path.name} is damaged: {error}") from error
    earlier = _readable(archive)
    here = _by_trial(content)
    for place, files_there in _by_trial(earlier).items():
        if here.get(place, files_there) != files_there:
            raise _RefusedError(f"{place} is in {path.name} too, and differs: keep one of them")
    return earlier


def _by_trial(content: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    trials: dict[str, dict[str, bytes]] = defaultdict(dict)
    for name, value in content.items():
        trials["/".join(name.split("/", 5)[:5])][name] = value
    return trials


def _readable(archive: Archive) -> dict[str, bytes]:
    """All members; a pack of which any cannot be read is refused."""
    for name, problem in archive.refused.items():
        raise _RefusedError(f"{archive.path.name} is damaged: {name!r}: {problem}")
    try:
        return {name: archive.read(name) for name in archive.members}
    except OSError as error:
        problem = f"{error.filename!r}: {error.strerror}"
        raise _RefusedError(f"{archive.path.name} is damaged: {problem}") from error


def _write(path: Path, content: Mapping[str, bytes]) -> None:
    """Replace a pack at once, after it was on the disk and read back as equal.

    Raises:
        LedgerError: if the system refuses.
    """

    def check(written: bytes) -> None:
        if _readable(archive_of(written, path)) != content:
            raise LedgerError(f"{path} reads back otherwise than it was written")

    try:
        files.replace(path, packed_bytes(content), check)
    except ValueError as error:
        raise _RefusedError(f"it cannot be packed: {error}") from error


def packed_bytes(content: Mapping[str, bytes]) -> bytes:
    """A zip file of these files; the same ones give the same bytes."""
    made = BytesIO()
    with ZipFile(made, "w") as archive:
        for name in sorted(content):
            member = ZipInfo(name, _START)
            member.create_system = 3
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, content[name], ZIP_DEFLATED, _LEVEL)
    return made.getvalue()


def _refuse_changes(archive: Archive, folder: Path) -> None:
    """Refuse to remove a folder of which anything is not in its pack, byte by byte."""
    for name, value in _content(folder).items():
        if archive.read(name) != value:
            raise _RefusedError(f"{name} changed while it was packed: pack again")


def _unpacked(folder: Path) -> Outcome:
    path = folder.with_name(f"{folder.name}{PACK}")
    try:
        archive = open_archive(path)
    except ValueError as error:
        raise _RefusedError(f"{error}; restore {path.name} from a copy, or move it away") from None
    results = folder.parents[1]
    with files.workshop(results) as workshop:
        problems = (*_problems(archive), *_extract(archive, workshop))
        built = [path for path in map(workshop.joinpath, archive.trials) if path.is_dir()]
        if not built:
            raise _RefusedError(
                f"none of it can be read: {'; '.join(problems)[:500] or 'it holds no trial'}"
            )
        _install(built, folder)
        os.sync()  # once for all files: the pack is removed next
    files.keep_line_ends(results)
    size = path.stat().st_size
    if problems:
        renamed(path)
    else:
        path.unlink()
    files.synchronise(path.parent)
    return Outcome("unpacked", _place(folder), len(built), size, problems)


def _problems(archive: Archive) -> Iterator[str]:
    for name, problem in archive.refused.items():
        yield f"{name!r} is refused: {problem}"


def _extract(archive: Archive, workshop: Path) -> Iterator[str]:
    """Write the members into a new folder; those that cannot be read are named."""
    for name in archive.members:
        try:
            content = archive.read(name)
        except OSError as error:
            yield f"{name!r} is left out: {error.strerror}"
            continue
        try:
            (workshop / name).parent.mkdir(parents=True, exist_ok=True)
            (workshop / name).write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            yield f"{name!r} is left out: it is both a file and a folder"


def _install(built: Sequence[Path], folder: Path) -> None:
    """Move trials to their places; those that lie there already must be the same."""
    results = folder.parents[1]
    for place in hindrances(results, folder):
        raise _RefusedError(f"{place} is a link or a file where a folder belongs: move it away")
    places_of = {trial: results / place_of(trial) for trial in built}
    there = {trial for trial, place in places_of.items() if os.path.lexists(place)}
    for trial in there:
        if _files_of(trial) != _files_of(places_of[trial]):
            raise _RefusedError(f"{place_of(trial)} is there already, and differs: keep one")
    for parent, trials in groupby(places_of, lambda trial: places_of[trial].parent):
        parent.mkdir(parents=True, exist_ok=True)
        for trial in trials:
            if trial not in there:
                trial.rename(places_of[trial])


def _files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix(): files.read(path, MEMBER) for path in found}
