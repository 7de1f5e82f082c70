"""One writer for a results folder at a time."""

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas_bench.results import files
from nas_bench.results.files import LedgerError

_NAME = ".lock"
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
    """What the lock's file says of its last holder, None without one; nothing is locked."""
    try:
        return files.read(folder / _NAME)[:200].decode(errors="replace") or None
    except OSError:
        return None


def _acquired(path: Path) -> int:
    """The descriptor of the locked file, which names its holder."""
    while True:
        with files.writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, path)
            if _is(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"pid {os.getpid()} on {platform.node()}".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode(errors="replace") or "starting now"
        raise LedgerError(
            f"another nas-bench ({holder}) writes to {path.parent}: "
            "wait for it, or use another --results"
        ) from None
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise LedgerError(f"cannot lock {path}: {error.strerror}") from error


def _is(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at the path: its last holder removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
