"""One writer for a results folder at a time."""

import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas_bench.results import files
from nas_bench.results.files import LedgerError

_NAME = ".lock"
_TEXT = 200
"""Bytes that say who holds the lock."""
_LOOKS = 10
"""How often a lock is tried: for a moment, `holder` may have it."""
_UNKNOWN = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # network disks that cannot lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one that writes into this folder; the kernel lets go when a process dies.

    Raises:
        LedgerError: if another process writes there, or the folder cannot be written.
    """
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    descriptor = _acquired(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def holder(folder: Path) -> str | None:
    """Who writes into a folder, in words; None if nobody does, whatever a file there says.

    The kernel knows, also of other machines where they share a disk that can lock; elsewhere
    what the lock's file says has to do.
    """
    try:
        descriptor = files.opened(folder / _NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        free = not isinstance(error, BlockingIOError) and error.errno not in _UNKNOWN
        return None if free else _said(descriptor)
    finally:
        os.close(descriptor)
    return None


def _acquired(path: Path) -> int:
    """The descriptor of the locked file, which names its holder."""
    while True:
        with files.writing(path):
            descriptor = _opened(path)
        try:
            _lock(descriptor, path)
            if os.fstat(descriptor).st_nlink > 1:  # it is another file, too: not ours to write
                path.unlink(missing_ok=True)
            elif _is(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"pid {os.getpid()} on {platform.node()}".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    """The descriptor of a file that may be written, in the place of one that somebody else left.

    Raises:
        LedgerError: if the other one still holds it.
        OSError: if it cannot be opened or removed.
    """
    flags = os.O_RDWR | os.O_CREAT
    try:
        return files.opened(path, flags)
    except PermissionError:
        left = files.opened(path, os.O_RDONLY)
    try:
        _lock(left, path)
        path.unlink()
    finally:
        os.close(left)
    return files.opened(path, flags)


def _lock(descriptor: int, path: Path) -> None:
    for look in range(_LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.01 * (look < _LOOKS - 1))
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise LedgerError(f"cannot lock {path}: {error.strerror}") from error
            return
    raise LedgerError(
        f"another nas-bench ({_said(descriptor)}) writes to {path.parent}: "
        "wait for it, or use another --results"
    )


def _said(descriptor: int) -> str:
    """What the lock's file says of its holder."""
    return os.read(descriptor, _TEXT).decode(errors="replace") or "starting now"


def _is(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at the path: its last holder removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    return False
