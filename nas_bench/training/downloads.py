"""Data sets that torchvision downloads, brought into a folder once and whole."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from nas_bench.specs import said
from nas_bench.training.task import DataMissingError

_TIMEOUT = 60.0  # seconds without an answer from a download server


@dataclass(frozen=True)
class Download:
    """A data set of torchvision, in torchvision's layout.

    Attributes:
        dataset: name of the torchvision class.
        files: without which it is not there; paths inside the data folder.
        archives: that hold them; paths inside the data folder, where people may put them.
    """

    dataset: str
    files: tuple[str, ...]
    archives: tuple[str, ...]

    def present(self, folder: Path) -> bool:
        """Whether all files are in the folder."""
        return all((folder / file).is_file() for file in self.files)

    def fetch(self, folder: Path) -> None:
        """Download unless the files are there; safe in several processes at once.

        Raises:
            DataMissingError: if it cannot be downloaded.
        """
        if self.present(folder):
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{self.dataset}.lock"):
                if not self.present(folder):
                    self._download(folder)
        except (OSError, RuntimeError) as error:
            raise DataMissingError(self._missing(folder, error)) from error

    def _download(self, folder: Path) -> None:
        """Download beside, then move: a file under its own name is always complete."""
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as name:
            staging = Path(name)
            for archive in self.archives:
                if (folder / archive).is_file():
                    (staging / archive).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(folder / archive, staging / archive)
            with _socket_timeout(_TIMEOUT):
                torchvision_class(self.dataset)(staging, download=True)
            for path in [path for path in staging.rglob("*") if path.is_file()]:
                file = path.relative_to(staging)
                if file.as_posix() not in self.archives:
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    path.replace(folder / file)

    def _missing(self, folder: Path, error: Exception) -> str:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        archives = [PurePosixPath(archive) for archive in self.archives]
        return (
            f"{self.dataset} is not in {folder} and could not be downloaded ({reason}): give the "
            "folder that has it with --data or NAS_BENCH_DATA, or put "
            f"{', '.join(archive.name for archive in archives)}, packed or unpacked, into "
            f"{folder / archives[0].parent}"
        )


def damaged(dataset: str, place: Path, error: Exception) -> DataMissingError:
    """The error that says that downloaded files cannot be read, with the cure."""
    why = said(error) if str(error) else "they are not in their format"
    return DataMissingError(
        f"the files of {dataset} in {place} are damaged ({why}): "
        "delete that folder and run again to download them anew"
    )


def torchvision_class(dataset: str) -> Any:
    """The class of torchvision.datasets with this name, imported only now."""
    import torchvision

    return getattr(torchvision.datasets, dataset)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
