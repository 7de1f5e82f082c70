"""CIFAR-100: small colour images of a hundred classes, and a thin ResNet-18."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from nas_bench.training.cifar import SHAPE, Cifar100Images
from nas_bench.training.convnet import convnet
from nas_bench.training.resnet import thin_resnet
from nas_bench.training.task import Recipe


@dataclass(frozen=True)
class Cifar100(Cifar100Images):
    """Growing Tiny Networks, E.3: only the middles of residual blocks grow, from one channel.

    The target is the network at the end of figure 16, with 117 410 parameters. Another network is
    that of E.2, five hidden widths of which all grow.

    Attributes:
        architecture: "resnet", the thin ResNet-18, or "convnet", four convolutions with SELU and
            widths of its own.

    References:
        Learning Multiple Layers of Features from Tiny Images, Krizhevsky, 2009,
        https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name: ClassVar[str] = "cifar100"
    summary: ClassVar[str] = "CIFAR-100, 50 000 colour images of 32 × 32, thin ResNet-18"
    gpu_share: ClassVar[float] = 0.25
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)

    seed_widths: tuple[int, ...] = (1,) * 8
    target_widths: tuple[int, ...] = (91, 76, 41, 11, 6, 3, 1, 1)
    architecture: Literal["resnet", "convnet"] = "resnet"

    def __post_init__(self) -> None:
        """Take the widths of the architecture where none were asked for.

        Raises:
            ValueError: if widths do not fit.
        """
        if self.architecture == "convnet":
            self.set_widths((1, 1, 1, 1, 1), (16, 16, 32, 32, 16))
        super().__post_init__()

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        if self.architecture == "convnet":
            return convnet(SHAPE, widths, self.files.classes)
        return thin_resnet(widths, self.files.classes)

    def grows(self, layer: str) -> bool:
        """See the base class; the fully-connected layers keep their 100 neurons."""
        return not layer.startswith("head.")
