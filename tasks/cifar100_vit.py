"""CIFAR-100 with a small vision transformer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nas_bench.training.cifar import SHAPE, Cifar100Images
from nas_bench.training.task import Recipe
from nas_bench.training.vit import VisionTransformer


@dataclass(frozen=True)
class Cifar100Vit(Cifar100Images):
    """Six blocks whose MLPs start with a quarter of their neurons; attention keeps its size.

    References:
        An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, Dosovitskiy et
        al., 2021, https://arxiv.org/abs/2010.11929.
    """

    name: ClassVar[str] = "cifar100_vit"
    summary: ClassVar[str] = "CIFAR-100, 50 000 colour images, small vision transformer"
    version: ClassVar[int] = 2
    gpu_share: ClassVar[float] = 0.5
    recipe: ClassVar[Recipe] = Recipe(
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        batch_size=128,
        decay="cosine",
        augmentation="crop_flip",
    )

    seed_widths: tuple[int, ...] = (128,) * 6
    target_widths: tuple[int, ...] = (512,) * 6

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return VisionTransformer(SHAPE, widths, self.files.classes)
