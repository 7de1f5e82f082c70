"""Images and labels that people bring in an .npz file."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from nas_bench.training.convnet import SMALLEST
from nas_bench.training.task import DataMissingError

NAMES = ("x_train", "y_train", "x_test", "y_test")
_UNREADABLE = (
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What the networks for images depend on.

    Attributes:
        shape: of an image: channels, height, width.
        classes: how many there are.
    """

    shape: tuple[int, int, int]
    classes: int


def header(path: Path) -> Header:
    """Size of the images and number of classes; no image is read.

    Raises:
        DataMissingError: if the file cannot be read, or its arrays do not fit together.
    """
    with _opened(path) as archive:
        shapes = [_image_shape(archive, part) for part in ("train", "test")]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"images of x_train are {_spelled(shapes[0])} and those of x_test "
                f"{_spelled(shapes[1])}: make them equal"
            )
        return Header(shapes[0], _classes(*(_labels(archive, part) for part in ("train", "test"))))


def arrays(path: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images (n, c, h, w), uint8 or float32, and labels (n,), int64, of training and test set.

    Raises:
        DataMissingError: if the file cannot be read, or its arrays do not fit together.
    """
    header(path)
    with _opened(path) as archive:
        train, test = (
            (_images(archive, part), torch.from_numpy(_labels(archive, part)))
            for part in ("train", "test")
        )
        if train[0].dtype != test[0].dtype:
            raise ValueError("one of x_train and x_test is uint8, the other not: convert one")
    return train, test


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The file, which is a zip of .npy files; what is wrong with it is said with its path."""
    if path.exists() and not path.is_file():
        raise DataMissingError(f"{path} is no regular file: give an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if missing := [name for name in NAMES if name not in names]:
                raise ValueError(
                    f"it lacks {', '.join(missing)} and has {', '.join(sorted(names)) or 'none'}: "
                    "write it with numpy.savez(path, x_train=…, y_train=…, x_test=…, y_test=…)"
                )
            yield archive
    except FileNotFoundError:
        raise DataMissingError(f"there is no file {path}: give an .npz file that exists") from None
    except zipfile.BadZipFile as error:
        raise DataMissingError(
            f"{path} is damaged or no .npz file ({error}): write it with numpy.savez"
        ) from error
    except MemoryError as error:
        raise DataMissingError(f"{path} does not fit into memory: {error}") from error
    except _UNREADABLE as error:
        raise DataMissingError(f"{path}: {error}") from error


def _image_shape(archive: zipfile.ZipFile, part: str) -> tuple[int, int, int]:
    """Channels, height and width, from the header alone."""
    name = f"x_{part}"
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _npy_header(file)
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"{name} is {dtype}, expected uint8 or floats: use {name}.astype")
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(
            f"{name} has shape {shape}, expected (n, h, w), (n, h, w, c) or (n, c, h, w)"
        )
    _, channels, height, width = _channels_first(shape)
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"images of {name} are {_spelled((channels, height, width))}, expected at least "
            f"{SMALLEST} × {SMALLEST} pixels: pad them with zeros"
        )
    return channels, height, width


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels are the smaller of the second and the last dimension, of equal ones the last."""
    if len(shape) == 3:
        return shape[0], 1, *shape[1:]
    return (shape[0], shape[3], *shape[1:3]) if _channels_last(shape) else shape


def _channels_last(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[3] <= shape[1]


def _images(archive: zipfile.ZipFile, part: str) -> Tensor:
    values = _array(archive, f"x_{part}")
    if values.dtype != np.uint8:
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(
                f"x_{part} has values that are no finite float32: use numpy.nan_to_num"
            )
    shape = values.shape
    if _channels_last(shape):
        values = values.transpose(0, 3, 1, 2)
    return torch.from_numpy(values.reshape(_channels_first(shape)))


def _labels(archive: zipfile.ZipFile, part: str) -> np.ndarray:
    """Labels as int64, as many as images."""
    name = f"y_{part}"
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _npy_header(file)
    with archive.open(f"x_{part}.npy") as file:
        images = _npy_header(file)[0][0]
    if dtype.kind not in "iu" or shape != (images,):
        raise ValueError(
            f"{name} is {dtype} of shape {shape}, expected whole numbers of shape ({images},), a "
            f"label for every image: {_label_cure(name, shape, dtype, images)}"
        )
    return _array(archive, name).astype(np.int64)


def _label_cure(name: str, shape: tuple[int, ...], dtype: np.dtype, images: int) -> str:
    """How to make labels of what is none."""
    if shape[:1] != (images,):
        return "leave out the images without a label, or the labels without an image"
    if len(shape) == 2 and shape[1] > 1:
        return f"if a row has a 1 for its class, use {name}.argmax(1)"
    if dtype.kind not in "iufb":
        return f"number the classes with numpy.unique({name}, return_inverse=True)[1]"
    return f"use {name}.astype(int).ravel()"


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _npy_header(file)
    promised, held = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size
    if promised > held:
        raise ValueError(f"{name} promises {promised} bytes and has {held}: write it again")
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _classes(train: np.ndarray, test: np.ndarray) -> int:
    """How many classes there are: labels of the training set run from 0 without gaps."""
    classes = np.unique(train)
    if len(classes) < 2 or not np.array_equal(classes, np.arange(len(classes))):
        raise ValueError(
            f"y_train has {len(classes)} different labels from {classes[0]} to {classes[-1]}, "
            "expected at least 2, from 0 without gaps: number the classes with "
            "numpy.unique(y, return_inverse=True)"
        )
    unknown = np.setdiff1d(test, classes)
    if len(unknown):
        raise ValueError(
            f"y_test has the label {unknown[0]}, y_train only 0 to {classes[-1]}: "
            "give every class to the training set"
        )
    return len(classes)


def _spelled(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{height} × {width} with {channels} channel{'s' if channels > 1 else ''}"
