"""Tasks on torchvision's sets of 28 × 28 grey images: MNIST and those in its format."""

import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from filelock import FileLock
from torch import Tensor, nn

from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import DataMissingError, Recipe, Samples, Task

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
"""The files of a data set, in `<folder>/<data set>/raw/`."""
_TIMEOUT = 60.0  # seconds without an answer from a download server


@dataclass(frozen=True)
class GreyImages(Task):
    """Ten classes of grey images and an MLP; pixels are normalised by the training set.

    Attributes:
        activation: of the hidden layers.
    """

    dataset: ClassVar[str]
    """Name of the torchvision class."""
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    activation: Activation = "relu"

    def fetch(self, folder: Path) -> None:
        """Download what is missing in the folder, showing progress."""
        fetch(self.dataset, folder)

    def present(self, folder: Path) -> bool:
        """Whether nothing is missing."""
        return present(self.dataset, folder)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        self.fetch(folder)
        (images, labels), (test_images, test_labels) = arrays(self.dataset, folder)
        mean, deviation = moments(images)
        return (
            Samples(_normalised(images, mean, deviation), labels.long()),
            Samples(_normalised(test_images, mean, deviation), test_labels.long()),
        )

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(28 * 28, widths, 10, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def fetch(dataset: str, folder: Path) -> None:
    """Download a data set unless its files are there; safe in several processes at once.

    Raises:
        DataMissingError: if it cannot be downloaded.
    """
    if present(dataset, folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{dataset}.lock"):
            if not present(dataset, folder):
                _download(dataset, folder)
    except (OSError, RuntimeError) as error:
        raise DataMissingError(_missing(dataset, folder, error)) from error


def arrays(dataset: str, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images (n, 28, 28) and labels (n,) of training and test set, uint8 and int64.

    Raises:
        DataMissingError: if the files are damaged.
    """
    try:
        train, test = (_torchvision(dataset)(folder, train=part) for part in (True, False))
    except (AssertionError, OSError, RuntimeError, ValueError) as error:
        raise DataMissingError(
            f"the files of {dataset} in {folder / dataset / 'raw'} are damaged ({error}): "
            f"delete that folder and run again to download them anew"
        ) from error
    return (train.data, train.targets), (test.data, test.targets)


def moments(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels / 255, the same to the bit everywhere."""
    counts = torch.bincount(images.flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum()
    mean = float(weights @ values)
    return mean, float((weights @ (values - mean) ** 2).sqrt())


def _normalised(images: Tensor, mean: float, deviation: float) -> Tensor:
    return images.unsqueeze(1).float().div_(255).sub_(mean).div_(deviation)


def present(dataset: str, folder: Path) -> bool:
    """Whether the files of a data set are in the folder."""
    return all((folder / dataset / "raw" / file).is_file() for file in FILES)


def _download(dataset: str, folder: Path) -> None:
    """Download beside, then move: a file under its own name is always complete."""
    raw = folder / dataset / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as staging:
        staged = Path(staging) / dataset / "raw"
        staged.mkdir(parents=True)
        for archive in raw.glob("*.gz"):
            shutil.copy(archive, staged)
        with _socket_timeout(_TIMEOUT):
            _torchvision(dataset)(staging, download=True)
        for file in FILES:
            (staged / file).replace(raw / file)


def _torchvision(dataset: str) -> "type[MNIST]":
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


def _missing(dataset: str, folder: Path, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return (
        f"{dataset} is not in {folder} and could not be downloaded ({reason}): give the folder "
        f"that has it with --data or NAS_BENCH_DATA, or put {', '.join(FILES)} (or their .gz) "
        f"into {folder / dataset / 'raw'}"
    )
