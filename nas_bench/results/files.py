"""Files that are whole or not there, whatever happens while they are written.

Nothing that lies in a results folder is trusted: links are never followed, names of temporary
files cannot be guessed, our own folders must be folders, and no more is read than is allowed.
"""

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_CURES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota is used up; free some space",
    errno.EFBIG: "the file would be larger than allowed; raise the limit on file sizes",
    errno.EROFS: "it is on a read-only disk; choose another folder with --results",
    errno.EACCES: "you may not write there; choose another folder with --results",
    errno.EPERM: "you may not write there; choose another folder with --results",
    errno.EEXIST: "a file, or a link that leads nowhere, has this name; choose another one",
    errno.ENOTDIR: "a file lies where a folder belongs; choose another place",
}


_WORKSHOP = ".workshop"
_ATTRIBUTES = ".gitattributes"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_ABANDONED = 3600.0
"""Seconds after which nobody is still writing a temporary file."""


class LedgerError(RuntimeError):
    """A results folder that cannot be written or read; the message is one clear sentence."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns errors of the operating system into one sentence with the cure.

    Raises:
        LedgerError: if the system refuses.
    """
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, error.strerror or str(error))
        raise LedgerError(f"cannot write {path}: {cure}") from error


class DamagedFileError(OSError):
    """What lies in the place of a file is none that was written there."""


def read(path: Path, limit: int) -> bytes:
    """The content of a regular file; links are not followed.

    Args:
        path: of the file.
        limit: of its size, in bytes; a hole on the disk may say to be any size.

    Raises:
        DamagedFileError: if it is a link, a folder, a pipe or the like, or too large.
        OSError: if it is not there, or the system refuses.
    """
    _refuse_other_kinds(path, os.lstat(path))  # before it is opened: a device may heed that
    with os.fdopen(opened(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise DamagedFileError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
        return file.read(size)


def replace(path: Path, content: bytes, check: Callable[[bytes], None] | None = None) -> None:
    """Writes the file so that readers see the old or the new content, never a part.

    Several may write the same file at once: each has a temporary file of its own.

    Args:
        path: of the file.
        content: of the file.
        check: sees what is on the disk before it takes the place of the file, and raises what
            speaks against that.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    with writing(path):
        _remove_abandoned(path)
        try:
            _write_new(temporary, content)
            if check:
                check(read(temporary, len(content)))
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        synchronise(path.parent)


def is_temporary(path: Path) -> bool:
    """Whether it has the name of a file that was to take the place of another one."""
    return _TEMPORARY.fullmatch(path.name) is not None


def append(path: Path, content: bytes) -> None:
    """Appends all of the content, or nothing of it."""
    with writing(path):
        descriptor = opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            size = file.tell()
            try:
                written = 0
                while written < len(content):
                    written += file.write(content[written:])
            except OSError:
                file.truncate(size)
                raise


def own_folder(folder: Path, *names: str) -> Path:
    """A folder of ours inside another one, made where it is not there; never through a link.

    Args:
        folder: whose place somebody chose, so that it may be a link.
        names: from there on.

    Raises:
        LedgerError: if a link or a file is in its place, or it cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            folder = folder / name
            with suppress(FileExistsError):
                folder.mkdir()
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise LedgerError(
                    f"cannot write into {folder}: it is a link or a file where a folder belongs; "
                    "move it away"
                )
    return folder


@contextmanager
def workshop(results: Path) -> Iterator[Path]:
    """A new folder beside the trials for what is being made; the caller holds the lock.

    What lies there already was left by a process that is gone, and goes.
    """
    own = own_folder(results, _WORKSHOP)
    with writing(own):
        for left in own.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(dir=own))
    try:
        yield made
    finally:
        shutil.rmtree(own, ignore_errors=True)


def keep_line_ends(results: Path) -> None:
    """Tell git to leave the files of a results folder as they are, byte by byte."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with writing(results), suppress(FileExistsError):
        descriptor = os.open(results / _ATTRIBUTES, flags, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"* -text\n")


def opened(path: Path, flags: int) -> int:
    """The descriptor of a regular file; links are not followed.

    Raises:
        DamagedFileError: if it is a link, a folder, a pipe or the like.
        OSError: if the system refuses.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_a_link(path) from None
        raise
    try:
        _refuse_other_kinds(path, os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other_kinds(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _is_a_link(path)
    if not stat.S_ISREG(found.st_mode):
        raise DamagedFileError(errno.EINVAL, "it is not a file", str(path))


def _is_a_link(path: Path) -> DamagedFileError:
    return DamagedFileError(errno.ELOOP, "it is a link, which is not followed", str(path))


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, and wait until it is on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed had begun to write for this file."""
    with suppress(OSError):
        for left in path.parent.iterdir():
            for_this = left.name.startswith(f".{path.name[:200]}.") and is_temporary(left)
            if for_this and time.time() - os.lstat(left).st_mtime > _ABANDONED:
                left.unlink()


def synchronise(path: Path) -> None:
    """Waits until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_json(value: Any, indent: int | None = None) -> bytes:
    """Strict JSON and a newline; NaN and ±Infinity become strings, which JSON lacks."""
    return (json.dumps(_finite(value), indent=indent, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
