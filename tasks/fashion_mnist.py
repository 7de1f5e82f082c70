"""Fashion-MNIST: articles of clothing, 28 × 28."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.training.torchvision_data import GreyImages


@dataclass(frozen=True)
class FashionMnist(GreyImages):
    """Harder than MNIST in the same format, with the same networks.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, Xiao,
        Rasul, Vollgraf, 2017, https://arxiv.org/abs/1708.07747.
    """

    name: ClassVar[str] = "fashion_mnist"
    summary: ClassVar[str] = "articles of clothing, 60 000 images of 28 × 28, MLP or convnet"
    dataset: ClassVar[str] = "FashionMNIST"
