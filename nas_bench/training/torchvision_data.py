"""Tasks on torchvision's sets of 28 × 28 grey images: MNIST and those in its format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor, nn

from nas_bench.training.convnet import convnet
from nas_bench.training.downloads import Download, damaged, torchvision_class
from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.pixels import channel_moments, normalised
from nas_bench.training.task import Recipe, Samples, Task

SHAPE = (1, 28, 28)
"""Of an image: channels, height, width."""
FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
"""The files of a data set, in `<folder>/<data set>/raw/`."""


@dataclass(frozen=True)
class GreyImages(Task):
    """Ten classes of grey images, by an MLP or a small convolutional network.

    Pixels are normalised by the training set.

    Attributes:
        activation: of the hidden layers of the MLP.
        architecture: "mlp", or "convnet", the network of Growing Tiny Networks, E.2, with widths
            of its own.
    """

    dataset: ClassVar[str]
    """Name of the torchvision class."""
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    seed_widths: tuple[int, ...] = ()
    target_widths: tuple[int, ...] = ()
    activation: Activation = "relu"
    architecture: Literal["mlp", "convnet"] = "mlp"

    def __post_init__(self) -> None:
        """Take the widths of the architecture where none were asked for.

        Raises:
            ValueError: if an option belongs to the other architecture, or widths do not fit.
        """
        if self.architecture == "convnet":
            if self.activation != "relu":
                raise ValueError(f"activation is {self.activation}, but a convnet has SELU")
            self.set_widths((1, 1, 1, 1, 1), (8, 8, 16, 16, 16))
        self.set_widths((1, 1), (110, 51))
        super().__post_init__()

    def fetch(self, folder: Path) -> None:
        """Download what is missing in the folder, showing progress."""
        download(self.dataset).fetch(folder)

    def present(self, folder: Path) -> bool:
        """Whether nothing is missing."""
        return download(self.dataset).present(folder)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        self.fetch(folder)
        (images, labels), (test_images, test_labels) = arrays(self.dataset, folder)
        moments = channel_moments(images)
        return (
            Samples(normalised(images, moments), labels.long()),
            Samples(normalised(test_images, moments), test_labels.long()),
        )

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        if self.architecture == "convnet":
            return convnet(SHAPE, widths, 10)
        return mlp(28 * 28, widths, 10, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def download(dataset: str) -> Download:
    """Where the files of a data set in MNIST's format are, and how they get there."""
    files = tuple(f"{dataset}/raw/{file}" for file in FILES)
    return Download(dataset, files, tuple(f"{file}.gz" for file in files))


def arrays(dataset: str, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images (n, 1, 28, 28) and labels (n,) of training and test set, uint8 and int64.

    Raises:
        DataMissingError: if the files are damaged.
    """
    read = torchvision_class(dataset)
    try:
        train, test = (read(folder, train=part) for part in (True, False))
    except Exception as error:  # damaged files raise anything
        raise damaged(dataset, folder / dataset / "raw", error) from error
    return (train.data.unsqueeze(1), train.targets), (test.data.unsqueeze(1), test.targets)
