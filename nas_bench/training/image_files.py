"""Images in folders that people bring, in the layout of torchvision's ImageFolder."""

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from nas_bench.specs import said
from nas_bench.text import counted
from nas_bench.training.task import DataMissingError

if TYPE_CHECKING:  # torchvision takes two seconds: it is imported where images are read
    from torchvision.transforms import v2

Crops = Literal["random", "center"]
MOMENTS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of the colours of ImageNet, by which any images are normalised: those of the
folder would have to be read first."""
MARGIN = 8 / 7
"""Shorter side of an image, relative to the square that is cut out of it: 256 to 224."""
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Of images, as torchvision's ImageFolder has them."""
CHECKED = 20_000
"""Images at whose ends `nas-bench check` looks."""
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}
"""Of whole files, by format."""
LOOKED_AT = 1000
"""Files whose content goes into a digest; of all others it is names and sizes."""


@dataclass(frozen=True)
class Part:
    """The images of `train` or `val`.

    Attributes:
        root: of the folder; its subfolders are the classes.
        files: paths of the images from the root, shape (n,), as bytes; 100 bytes an image and no
            objects, so that a million of them is a matter of 100 MB that workers share.
        sizes: of the files in bytes, shape (n,).
        labels: number of the class of each, shape (n,).
    """

    root: Path
    files: np.ndarray
    sizes: np.ndarray
    labels: Tensor

    @classmethod
    def of(cls, root: Path, classes: list[str]) -> "Part":
        """The images of the classes, in the order of their names.

        Raises:
            DataMissingError: if a folder or a file cannot be read.
        """
        files: list[bytes] = []
        sizes: list[int] = []
        counts: list[int] = []
        for name in classes:
            before = len(files)
            for path, size in _images(root / name):
                files.append(os.fsencode(path.relative_to(root)))
                sizes.append(size)
            counts.append(len(files) - before)
        labels = torch.repeat_interleave(torch.arange(len(classes)), torch.tensor(counts))
        return cls(root, np.array(files, dtype=bytes), np.array(sizes), labels)


@dataclass(frozen=True)
class ImageFiles(Dataset[tuple[Tensor, int]]):
    """A map-style dataset of images as tensors, shape (3, size, size).

    Images are scaled to a shorter side of 8/7 of the size, and the square in the middle is taken;
    a training step sees a random part of them instead where crops are random.

    Attributes:
        part: which images.
        size: of the squares.
        crops: of training steps.

    References:
        Going Deeper with Convolutions, Szegedy et al., 2015, https://arxiv.org/abs/1409.4842,
        section 6 (random crops).
    """

    part: Part
    size: int
    crops: Crops

    def __post_init__(self) -> None:
        """Import torchvision here, not in every process that is forked to read images."""
        _ = self._still, self._drawn

    def __len__(self) -> int:
        return len(self.part.files)

    @property
    def targets(self) -> Tensor:
        """Classes of all images."""
        return self.part.labels

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._read(index, self._still)

    def augmented(self, index: int) -> tuple[Tensor, int]:
        """What a training step sees, drawn from torch's global generator."""
        return self._read(index, self._still if self.crops == "center" else self._drawn)

    def digest(self) -> str:
        """SHA-256 of names, sizes and classes of all files and the content of 1 000 of them."""
        part, digest = self.part, hashlib.sha256()
        for values in (part.files, part.sizes, part.labels.numpy()):
            digest.update(values.tobytes())
        n = len(self)
        for i in sorted({n * j // LOOKED_AT for j in range(LOOKED_AT)}):
            digest.update(self._path(i).read_bytes())
        return digest.hexdigest()

    def check(self) -> None:
        """Look at both ends of all images, or of 20 000 of them, without decoding what is sound.

        Raises:
            DataMissingError: if some are damaged; the first of them is named.
        """
        n = len(self)
        looked_at = [self._path(i) for i in sorted({n * j // CHECKED for j in range(CHECKED)})]
        broken = [(path, reason) for path in looked_at if (reason := damage(path))]
        if broken:
            path, reason = broken[0]
            more = f", and {counted(len(broken) - 1, 'other')}" if broken[1:] else ""
            raise DataMissingError(
                f"{path} is no image that can be read ({reason}){more}: replace what is damaged "
                "or take it out"
            )

    def _read(self, index: int, change: "v2.Transform") -> tuple[Tensor, int]:
        from torchvision.datasets.folder import pil_loader

        path = self._path(index)
        try:
            image = pil_loader(path)
        except Exception as error:  # damaged images raise anything
            raise DataMissingError(
                f"{path} is no image that can be read ({said(error)}): replace it or take it out"
            ) from error
        return change(image).as_subclass(Tensor), int(self.part.labels[index])

    def _path(self, index: int) -> Path:
        return self.part.root / os.fsdecode(self.part.files[index])

    @cached_property
    def _still(self) -> "v2.Compose":
        from torchvision.transforms import v2

        shorter = round(self.size * MARGIN)
        return v2.Compose([v2.Resize(shorter), v2.CenterCrop(self.size), *_as_tensor()])

    @cached_property
    def _drawn(self) -> "v2.Compose":
        from torchvision.transforms import v2

        cut = v2.RandomResizedCrop(self.size)
        return v2.Compose([cut, v2.RandomHorizontalFlip(), *_as_tensor()])


def damage(path: Path) -> str | None:
    """What is wrong with an image, by its head; a JPEG or PNG without its end is decoded."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            end = ENDS.get(image.format or "", b"")
            file.seek(max(0, path.stat().st_size - len(end)))
            if end and file.read() != end:
                image.load()
    except Exception as error:  # damaged images raise anything
        return said(error)
    return None


def classes(root: Path) -> list[str]:
    """Names of the classes of a folder, in order, hidden folders apart; no image is looked at.

    Raises:
        DataMissingError: if the folder cannot be read, or has fewer than two.
    """
    try:
        found = sorted(
            entry.name for entry in os.scandir(root) if _seen(entry.name) and entry.is_dir()
        )
    except (FileNotFoundError, NotADirectoryError):
        raise DataMissingError(
            f"there is no folder {root}: give a folder with train/ and val/, in each a folder of "
            "images for every class"
        ) from None
    except OSError as error:
        raise DataMissingError(f"{root} cannot be read ({said(error)})") from None
    if len(found) < 2:
        there = counted(len(found), "folder")
        raise DataMissingError(f"{root} has {there}, expected one for each of at least 2 classes")
    return found


def parts(folder: Path) -> tuple[Part, Part]:
    """The images of `train` and of `val`.

    Raises:
        DataMissingError: if a folder cannot be read, a class of `train` has no images, or `val`
            has a class of its own.
    """
    known, tested = classes(folder / "train"), classes(folder / "val")
    if unknown := sorted(set(tested) - set(known)):
        raise DataMissingError(
            f"{folder / 'val'} has the class {unknown[0]}, which {folder / 'train'} lacks: give "
            "every class to the training set"
        )
    train, test = (Part.of(folder / name, known) for name in ("train", "val"))
    for part, needed in ((train, True), (test, False)):
        lacking = set(range(len(known))) - set(part.labels.tolist())
        if lacking and (needed or not len(part.files)):
            where = part.root / known[min(lacking)] if needed else part.root
            raise DataMissingError(
                f"{where} has no images ({', '.join(sorted(EXTENSIONS))}): put some there, "
                "or take the folder out"
            )
    return train, test


def _images(folder: Path) -> list[tuple[Path, int]]:
    """All images in a folder and below, with their sizes, in the order of their names.

    What is hidden is left out, and links are followed, but for those to a folder they lie in.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise DataMissingError(f"{folder} cannot be read ({said(error)})") from None

    found: list[tuple[Path, int]] = []
    walked = []
    for place, below, names in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(place).resolve()
        below[:] = (n for n in below if _seen(n) and not here.is_relative_to((here / n).resolve()))
        walked.append((place, sorted(filter(_seen, names))))
    for place, names in sorted(walked):
        for name in names:
            if name.lower().endswith(EXTENSIONS):
                path = Path(place, name)
                try:
                    seen = path.stat()
                except OSError as error:
                    raise DataMissingError(f"{path} cannot be read ({said(error)})") from None
                if stat.S_ISREG(seen.st_mode):  # who opens a named pipe waits forever
                    found.append((path, seen.st_size))
    return found


def _as_tensor() -> "list[v2.Transform]":
    from torchvision.transforms import v2

    mean, deviation = MOMENTS
    return [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(mean), list(deviation)),
    ]


def _seen(name: str) -> bool:
    """Whether a name is not hidden, as what notebooks and other systems leave behind is."""
    return not name.startswith(".")
