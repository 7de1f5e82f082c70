"""Image folder: the user's own images in folders, which need not fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import nn

from nas_bench.training.convnet import convnet
from nas_bench.training.file_task import FileTask
from nas_bench.training.image_files import Crops, ImageFiles, classes, parts
from nas_bench.training.resnet import MIDDLES, resnet18
from nas_bench.training.task import DataMissingError, Recipe


@dataclass(frozen=True)
class ImageFolder(FileTask):
    """Images in a folder for every class, read as they are needed.

    The layout is that of torchvision's ImageFolder: `train/CLASS/…` and `val/CLASS/…`. The latter
    is the test set; the validation split is taken from the former.

    Attributes:
        size: of the squares that networks see, in pixels.
        crops: what training steps see of an image: "random", a part of it, mirrored or not; or
            "center", what everything else sees.
        architecture: "convnet", the network of Growing Tiny Networks, E.2, or "resnet", ResNet-18
            with batch norm, with widths of its own.
    """

    name: ClassVar[str] = "image_folder"
    summary: ClassVar[str] = "your own folder of images, image_folder[path=FOLDER], streamed"
    gpu_share: ClassVar[float] = 1.0
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    seed_widths: tuple[int, ...] = ()
    target_widths: tuple[int, ...] = ()
    size: int = 64
    crops: Crops = "random"
    architecture: Literal["convnet", "resnet"] = "convnet"

    def __post_init__(self) -> None:
        """Take the widths of the architecture where none were asked for.

        Raises:
            ValueError: if the size is out of its range, or widths do not fit.
        """
        if not 8 <= self.size <= 1024:
            raise ValueError(f"size is {self.size}, expected a whole number from 8 to 1024")
        if self.architecture == "resnet":
            self.set_widths(tuple(width // 4 for width in MIDDLES), MIDDLES)
        self.set_widths((1, 1, 1, 1, 1), (16, 16, 32, 32, 16))
        super().__post_init__()

    def check_file(self) -> None:
        """See the base class; names of files are read, no image."""
        parts(self._folder())

    def load(self, folder: Path) -> tuple[ImageFiles, ImageFiles]:
        """See the base class; nothing is read from the folder."""
        train, test = (ImageFiles(part, self.size, self.crops) for part in parts(self._folder()))
        return train, test

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class; there is an output for every class."""
        count = len(classes(self._folder() / "train"))
        if self.architecture == "resnet":
            return resnet18(widths, count)
        return convnet((3, self.size, self.size), widths, count)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()

    def _folder(self) -> Path:
        if not self.path:
            raise DataMissingError(
                "image_folder has no folder: name one, image_folder[path=FOLDER], with train/ and "
                "val/, in each a folder of images for every class"
            )
        return Path(self.path)
