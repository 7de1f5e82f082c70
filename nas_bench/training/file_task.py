"""Tasks on a file that people bring."""

import stat
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nas_bench.specs import InputError, said
from nas_bench.training.task import DataMissingError, Task


@dataclass(frozen=True)
class FileTask(Task):
    """A task whose data is one file; nothing is downloaded.

    Attributes:
        path: of the file; a relative one starts from the working directory, and the trial is
            named by the absolute path.
    """

    path: str = ""

    def __post_init__(self) -> None:
        """Make the path absolute: workers have a working directory of their own.

        Raises:
            ValueError: if it begins with the home folder of nobody.
        """
        super().__post_init__()
        try:
            path = Path(self.path).expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(f"path {self.path} begins with no user's home folder") from error
        if self.path:
            object.__setattr__(self, "path", str(path))

    @abstractmethod
    def check_file(self) -> None:
        """Look at the file as far as networks depend on it.

        Raises:
            DataMissingError: if it is not named, not there, or does not fit.
        """

    def fetch(self, folder: Path) -> None:
        """Refuse a file that cannot be used before any trial runs; there is no download.

        Raises:
            InputError: if it is not named, not there, or does not fit.
        """
        try:
            self.check_file()
        except DataMissingError as error:
            raise InputError(str(error)) from error

    def present(self, folder: Path) -> bool:
        """Whether a file is named: nothing could be downloaded in its place."""
        return bool(self.path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong inside, as one sentence about the file.

    Raises:
        DataMissingError: for a ValueError (which says what is wrong with the content), and where
            the file cannot be read or held.
    """
    try:
        yield
    except MemoryError as error:
        raise DataMissingError(f"{path} does not fit into memory: {error}") from error
    except OSError as error:
        raise DataMissingError(f"{path} cannot be read ({said(error)})") from error
    except ValueError as error:
        raise DataMissingError(f"{path}: {error}") from error


Mark = tuple[int, ...]
"""What changes when a file is written anew: size, time of change and where it lies."""


def mark(path: Path, expected: str, limit: int) -> Mark:
    """The mark of a regular file, which is not opened.

    Args:
        path: of the file.
        expected: what it is to be, such as `a .csv file`.
        limit: of its size, in MiB.

    Raises:
        DataMissingError: if it is not there, no regular file, or larger.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise DataMissingError(f"there is no file {path}: give {expected} that exists") from None
    except (OSError, ValueError) as error:  # a name that no file can have, a locked folder
        raise DataMissingError(f"{path} cannot be read ({said(error)}): give {expected}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataMissingError(f"{path} is no regular file: give {expected}")
    if found.st_size > limit << 20:
        raise DataMissingError(
            f"{path} has {found.st_size >> 20} MiB, more than {limit}: give a part of it"
        )
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev
