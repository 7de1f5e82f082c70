"""CIFAR-100 with a full ResNet-18, batch norm and augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nas_bench.training.cifar import Cifar100Images
from nas_bench.training.resnet import resnet18
from nas_bench.training.task import Recipe


@dataclass(frozen=True)
class Cifar100Resnet(Cifar100Images):
    """ResNet-18 whose blocks start with a quarter of the channels in their middles.

    Attributes:
        start: another way to write seed_widths: this fraction of the target widths, such as
            0.015625 = 1/64, rounded and at least 1. It is None once they are set.

    References:
        Deep Residual Learning for Image Recognition, He, Zhang, Ren, Sun, 2016,
        https://arxiv.org/abs/1512.03385.
    """

    name: ClassVar[str] = "cifar100_resnet"
    summary: ClassVar[str] = "CIFAR-100, 50 000 colour images, ResNet-18 with batch norm"
    version: ClassVar[int] = 2
    gpu_share: ClassVar[float] = 1.0
    recipe: ClassVar[Recipe] = Recipe(
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        batch_size=128,
        decay="cosine",
        augmentation="crop_flip",
    )

    seed_widths: tuple[int, ...] = (16, 16, 32, 32, 64, 64, 128, 128)
    target_widths: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 512, 512)
    start: float | None = None

    def __post_init__(self) -> None:
        """Spell out start as seed_widths, so that a trial has one name.

        Raises:
            ValueError: if start is not in (0, 1].
        """
        if self.start is not None:
            if not 0 < self.start <= 1:
                raise ValueError(f"start is {self.start}, expected a fraction above 0, up to 1")
            widths = tuple(max(1, round(self.start * width)) for width in self.target_widths)
            object.__setattr__(self, "seed_widths", widths)
            object.__setattr__(self, "start", None)
        super().__post_init__()

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return resnet18(widths, self.files.classes)
