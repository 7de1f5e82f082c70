"""Folders of small JPEGs, in the layout of torchvision's ImageFolder."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def folder(root: Path, train: int, val: int = 4, side: int = 20, seed: int = 0) -> Path:
    """So many images of each class, whose mean colour tells it."""
    draw = np.random.default_rng(seed)
    for part, count in (("train", train), ("val", val)):
        for label, name in enumerate(CLASSES):
            place = root / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 128, (side, side + number % 5, 3), dtype=np.uint8)
                pixels[..., label] += 100
                Image.fromarray(pixels).save(place / f"{number:05}.jpg")
    return root
