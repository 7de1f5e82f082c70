"""Image arrays: the user's own images and labels in an .npz file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from nas_bench.training.array_files import arrays, header
from nas_bench.training.convnet import convnet
from nas_bench.training.file_task import FileTask
from nas_bench.training.pixels import channel_moments, normalised
from nas_bench.training.task import DataMissingError, Recipe, Samples


@dataclass(frozen=True)
class ImageArrays(FileTask):
    """Images of any size and number of classes, and a network with four convolutions.

    The file has x_train and x_test, bytes or floats of shape (n, h, w), (n, h, w, c) or
    (n, c, h, w), and y_train and y_test, classes from 0, of shape (n,). Of four dimensions the
    smaller of the second and the last is the channels (the last, if they are equal). Each channel
    is normalised by the training set.
    """

    name: ClassVar[str] = "image_arrays"
    summary: ClassVar[str] = "your own images, image_arrays[path=FILE.npz], four convolutions"
    gpu_share: ClassVar[float] = 0.25
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    seed_widths: tuple[int, ...] = (1, 1, 1, 1, 1)
    target_widths: tuple[int, ...] = (16, 16, 32, 32, 16)

    def check_file(self) -> None:
        """See the base class; no image is read."""
        header(self._file())

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        (images, labels), (test_images, test_labels) = arrays(self._file())
        moments = channel_moments(images)
        return (
            Samples(normalised(images, moments), labels),
            Samples(normalised(test_images, moments), test_labels),
        )

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class; inputs and outputs have the size of the arrays."""
        found = header(self._file())
        return convnet(found.shape, widths, found.classes)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()

    def _file(self) -> Path:
        if not self.path:
            raise DataMissingError(
                "image_arrays has no file: name one, image_arrays[path=FILE.npz], with the arrays "
                "x_train, y_train, x_test and y_test"
            )
        return Path(self.path)
