"""Where checkpoints lie: a folder, shared or not, or a bucket."""

import errno
import platform
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas_bench.execution.job import ExecutionError
from nas_bench.results import files
from nas_bench.results.files import LedgerError
from nas_bench.text import text_of


class StorageError(RuntimeError):
    """A worker does not see the storage that the driver sees."""


_LARGEST = 2**35
"""Bytes of a file that are read at most."""
_NO_FOLDER = "a link or a file lies where a folder belongs"
_OF_A_SWEEP = re.compile(r"(?:sweep|stop)-[0-9a-f]{16}")
_OBJECT_STORES = ("s3", "gcs", "abfs")
"""Where a file appears only once it is closed, and there are no folders to be made."""


class Storage(ABC):
    """Small files by name, each whole or not there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a file, None if it is not there."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put a file there, in one piece.

        Raises:
            OSError: if it cannot be written.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file or folder, if it is there."""


class Folder(Storage):
    """A folder of this machine's file system; links in it are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """See the base class."""
        try:
            return files.read(self.path / name, _LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """See the base class."""
        path = self.path / name
        try:
            files.own_folder(self.path, *Path(name).parts[:-1])
            files.replace(path, content)
        except LedgerError as error:
            raise error.__cause__ or NotADirectoryError(errno.ENOTDIR, _NO_FOLDER) from error

    def remove(self, name: str) -> None:
        """See the base class."""
        import shutil

        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class Bucket(Storage):
    """An object store or other remote file system, such as s3://bucket/folder, by pyarrow."""

    def __init__(self, address: str) -> None:
        from pyarrow import fs

        self.system, self.path = fs.FileSystem.from_uri(address)

    def read(self, name: str) -> bytes | None:
        """See the base class."""
        try:
            with self.system.open_input_stream(f"{self.path}/{name}") as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """See the base class."""
        place = f"{self.path}/{name}"
        whole = self.system.type_name in _OBJECT_STORES
        if not whole:
            self.system.create_dir(place.rpartition("/")[0], recursive=True)
        target = place if whole else f"{place}.{secrets.token_hex(4)}"
        try:
            with self.system.open_output_stream(target) as stream:
                stream.write(content)
            if not whole:
                self.system.move(target, place)
        except OSError:
            if not whole:
                with suppress(OSError):
                    self.system.delete_file(target)
            raise

    def remove(self, name: str) -> None:
        """See the base class."""
        from pyarrow import fs

        place = f"{self.path}/{name}"
        kind: Any = self.system.get_file_info(place).type
        if kind == fs.FileType.Directory:
            self.system.delete_dir(place)
        elif kind == fs.FileType.File:
            self.system.delete_file(place)


def storage(address: str) -> Storage:
    """The storage of an address: a path, or something with ://."""
    return Bucket(address) if "://" in address else Folder(Path(address))


def forget_sweeps(folder: Path) -> None:
    """Remove the marks of earlier sweeps from a folder that only one sweep at a time uses."""
    for path in folder.iterdir():
        if _OF_A_SWEEP.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def marked(address: str, lease: str) -> Iterator[Storage]:
    """The storage of an address, tried out, and marked inside as that of a sweep.

    Raises:
        ExecutionError: if files cannot be written, read and removed there.
    """
    name, content = _mark(lease), lease.encode()
    try:
        kept = storage(address)
        kept.write(name, content)
        found = kept.read(name)
        kept.remove(name)
        kept.write(name, content)
    except Exception as error:
        raise ExecutionError(_unusable(address, _first_line(error))) from error
    if found != content:
        raise ExecutionError(_unusable(address, "what was written is not what is read"))
    try:
        yield kept
    finally:
        with suppress(OSError):
            kept.remove(name)


def require_mark(kept: Storage, lease: str) -> None:
    """Refuse a storage that is not the one that the sweep's driver marked.

    Raises:
        StorageError: if it is another one.
    """
    name = _mark(lease)
    if kept.read(name) != lease.encode():
        raise StorageError(
            f"this machine ({platform.node()}) does not see the driver's checkpoints: give "
            "--storage a folder or address that all machines of the cluster share"
        )


def _mark(lease: str) -> str:
    return f"sweep-{lease}"


def _unusable(address: str, reason: str) -> str:
    return (
        f"checkpoints cannot be kept in {address} ({reason}): give --storage a folder or "
        "address where files can be written, read and removed"
    )


def _first_line(error: Exception) -> str:
    return text_of(error).splitlines()[0]
