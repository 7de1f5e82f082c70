"""CIFAR-10: small colour images of ten classes, and a plain convolutional network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nas_bench.training.cifar import CIFAR10, SHAPE, Cifar, CifarFiles
from nas_bench.training.convnet import convnet
from nas_bench.training.task import Recipe


@dataclass(frozen=True)
class Cifar10(Cifar):
    """The network of Growing Tiny Networks, E.2: two blocks of two convolutions, SELU.

    The paper gives no widths. The target has 49 610 parameters, half of the 2n + d = 103 072 with
    which a network can learn any labels by heart: the size the paper reports.

    References:
        Learning Multiple Layers of Features from Tiny Images, Krizhevsky, 2009,
        https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name: ClassVar[str] = "cifar10"
    summary: ClassVar[str] = "CIFAR-10, 50 000 colour images of 32 × 32, four convolutions"
    gpu_share: ClassVar[float] = 0.25
    recipe: ClassVar[Recipe] = Recipe(
        optimizer="adam", learning_rate=1e-3, batch_size=500, batch_growth=True
    )

    seed_widths: tuple[int, ...] = (1, 1, 1, 1, 1)
    target_widths: tuple[int, ...] = (16, 16, 32, 32, 16)

    @property
    def files(self) -> CifarFiles:
        """See the base class."""
        return CIFAR10

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return convnet(SHAPE, widths, self.files.classes)
