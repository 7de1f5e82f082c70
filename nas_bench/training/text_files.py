"""Texts that a language model learns character by character."""

import functools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_bench.text import counted
from nas_bench.training.file_task import Mark, mark, reading

EMBEDDED = "paradise_lost.txt"
"""In `texts/`: twelve books of Milton's poem, 1667 and 1674, in the public domain."""
MEBIBYTES, CHARACTERS = 16, 1000
"""Of a file, and different ones in it, at most."""
_EXPECTED = "a text file"


@dataclass(frozen=True)
class Text:
    """A text as numbers.

    Attributes:
        codes: of its characters, the place of each in `alphabet`, shape (n,), int64.
        alphabet: its different characters in the order of Unicode.
    """

    codes: Tensor
    alphabet: str


def text(path: Path | None) -> Text:
    """The characters of a file, or of the text that comes with the package.

    Args:
        path: of a file in UTF-8; None for the package's text.

    Raises:
        DataMissingError: if the file cannot be read, is too large, or is no such text.
    """
    if path is None:
        return _embedded()
    with reading(path):
        return _read(path, mark(path, _EXPECTED, MEBIBYTES))


@functools.cache
def _embedded() -> Text:
    return _coded((files("nas_bench.training") / "texts" / EMBEDDED).read_bytes())


@functools.lru_cache(maxsize=2)
def _read(path: Path, _mark: Mark) -> Text:
    return _coded(path.read_bytes())


def _coded(content: bytes) -> Text:
    try:
        points = np.frombuffer(content.decode("utf-8-sig").encode("utf-32-le"), np.uint32)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text ({error.reason}): save it as UTF-8") from error
    known, codes = np.unique(points, return_inverse=True)
    if not 2 <= len(known) <= CHARACTERS:
        raise ValueError(
            f"it has {counted(len(known), 'different character')}, expected 2 to {CHARACTERS}: "
            "give an alphabetic text"
        )
    return Text(torch.from_numpy(codes.astype(np.int64)), "".join(map(chr, known)))
