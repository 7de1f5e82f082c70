"""Image arrays: the user's own images and labels in an .npz file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from nas_bench.specs import InputError
from nas_bench.training.array_files import arrays, header
from nas_bench.training.convnet import convnet
from nas_bench.training.pixels import channel_moments, normalised
from nas_bench.training.task import DataMissingError, Recipe, Samples, Task


@dataclass(frozen=True)
class ImageArrays(Task):
    """Images of any size and number of classes, and a network with four convolutions.

    The file has x_train and x_test, bytes or floats of shape (n, h, w), (n, h, w, c) or
    (n, c, h, w), and y_train and y_test, classes from 0, of shape (n,). Of four dimensions the
    smaller of the second and the last is the channels (the last, if they are equal). Each channel
    is normalised by the training set.

    Attributes:
        path: of the file; a relative one starts from the working directory, and the trial is
            named by the absolute path.
    """

    name: ClassVar[str] = "image_arrays"
    summary: ClassVar[str] = "your own images, image_arrays[path=FILE.npz], four convolutions"
    gpu_share: ClassVar[float] = 0.25
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    seed_widths: tuple[int, ...] = (1, 1, 1, 1, 1)
    target_widths: tuple[int, ...] = (16, 16, 32, 32, 16)
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

    def fetch(self, folder: Path) -> None:
        """Refuse arrays that cannot be used before any trial runs; there is no download.

        Raises:
            InputError: if the file is not named, not there, or does not fit.
        """
        try:
            header(self._file())
        except DataMissingError as error:
            raise InputError(str(error)) from error

    def present(self, folder: Path) -> bool:
        """Whether a file is named: nothing could be downloaded in its place."""
        return bool(self.path)

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
