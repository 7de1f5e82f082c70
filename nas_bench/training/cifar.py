"""Tasks on CIFAR-10 and CIFAR-100: colour images of 32 × 32 in torchvision's layout."""

import codecs
import pickle
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_bench.training.downloads import Download, damaged
from nas_bench.training.pixels import channel_moments, normalised
from nas_bench.training.task import Samples, Task

SHAPE = (3, 32, 32)
"""Of an image: channels, height, width."""
_PIXELS = 3 * 32 * 32
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_HARMLESS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): codecs.encode,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # NumPy 2
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
}
"""All that the pickles of arrays need; data folders are shared, and pickles can run anything."""


@dataclass(frozen=True)
class CifarFiles:
    """The files of one of the two data sets.

    Attributes:
        dataset: name of the torchvision class.
        place: folder inside the data folder.
        archive: that torchvision downloads.
        train: names of the files of the training set.
        test: name of the file of the test set.
        labels: key of the labels in each file.
        classes: how many there are.
    """

    dataset: str
    place: str
    archive: str
    train: tuple[str, ...]
    test: str
    labels: bytes
    classes: int

    @property
    def download(self) -> Download:
        """Where they are, and how they get there."""
        files = tuple(f"{self.place}/{file}" for file in (*self.train, self.test))
        return Download(self.dataset, files, (self.archive,))

    def arrays(self, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images (n, 3, 32, 32) and labels (n,) of training and test set, uint8 and int64.

        Raises:
            DataMissingError: if the files are damaged.
        """
        place = folder / self.place
        try:
            return self._joined(place, self.train), self._joined(place, (self.test,))
        except Exception as error:  # damaged pickles raise anything
            raise damaged(self.dataset, place, error) from error

    def _joined(self, place: Path, files: Iterable[str]) -> tuple[Tensor, Tensor]:
        parts = [self._read(place / file) for file in files]
        images = np.concatenate([images for images, _ in parts]).reshape(-1, *SHAPE)
        labels = np.concatenate([labels for _, labels in parts])
        return torch.from_numpy(images), torch.from_numpy(labels)

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        with path.open("rb") as file:
            held = _ArrayUnpickler(file, encoding="bytes").load()
        images, labels = held[b"data"], np.asarray(held[self.labels], dtype=np.int64)
        if images.dtype != np.uint8 or images.shape != (len(labels), _PIXELS):
            raise ValueError(
                f"{path.name} has {images.dtype} images of shape {images.shape} for {len(labels)} "
                f"labels, expected uint8 of shape ({len(labels)}, {_PIXELS})"
            )
        if not ((labels >= 0) & (labels < self.classes)).all():
            raise ValueError(f"{path.name} has labels outside 0…{self.classes - 1}")
        return images, labels


CIFAR10 = CifarFiles(
    dataset="CIFAR10",
    place="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train=tuple(f"data_batch_{part}" for part in range(1, 6)),
    test="test_batch",
    labels=b"labels",
    classes=10,
)
CIFAR100 = CifarFiles(
    dataset="CIFAR100",
    place="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train=("train",),
    test="test",
    labels=b"fine_labels",
    classes=100,
)
CIFAR100_COARSE = replace(CIFAR100, labels=b"coarse_labels", classes=20)


@dataclass(frozen=True)
class Cifar(Task):
    """Classes of colour images; each channel is normalised by the training set."""

    @property
    @abstractmethod
    def files(self) -> CifarFiles:
        """Those that it reads."""

    def fetch(self, folder: Path) -> None:
        """Download what is missing in the folder, showing progress."""
        self.files.download.fetch(folder)

    def present(self, folder: Path) -> bool:
        """Whether nothing is missing."""
        return self.files.download.present(folder)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        self.fetch(folder)
        (images, labels), (test_images, test_labels) = self.files.arrays(folder)
        moments = channel_moments(images)
        return (
            Samples(normalised(images, moments), labels),
            Samples(normalised(test_images, moments), test_labels),
        )

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain values, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """See the base class."""
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return _HARMLESS[module, name]
