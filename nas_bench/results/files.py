"""Files that are whole or not there, whatever happens while they are written."""

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CURES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota is used up; free some space",
    errno.EFBIG: "the file would be larger than allowed; raise the limit on file sizes",
    errno.EROFS: "it is on a read-only disk; choose another folder with --results",
    errno.EACCES: "you may not write there; choose another folder with --results",
    errno.EPERM: "you may not write there; choose another folder with --results",
}


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


def read(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file, or its first bytes up to a limit; links are not followed.

    Raises:
        OSError: if it cannot be read, or is a link, a folder or a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "it is a link, which is not followed"
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        return file.read() if limit is None else file.read(min(limit, found.st_size))


def replace(path: Path, content: bytes) -> None:
    """Writes the file so that readers see the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        try:
            temporary.write_bytes(content)
            synchronise(temporary)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        synchronise(path.parent)


def append(path: Path, content: bytes) -> None:
    """Appends all of the content, or nothing of it."""
    with writing(path), path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            written = 0
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            file.truncate(size)
            raise


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
