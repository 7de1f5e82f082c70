"""MNIST: handwritten digits, 28 × 28."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.training.torchvision_data import GreyImages


@dataclass(frozen=True)
class Mnist(GreyImages):
    """The MLP of Growing Tiny Networks, E.1: [1, 1] towards [110, 51].

    References:
        Gradient-Based Learning Applied to Document Recognition, LeCun, Bottou, Bengio, Haffner,
        1998, https://doi.org/10.1109/5.726791.
    """

    name: ClassVar[str] = "mnist"
    summary: ClassVar[str] = "handwritten digits, 60 000 images of 28 × 28, MLP or convnet"
    dataset: ClassVar[str] = "MNIST"
