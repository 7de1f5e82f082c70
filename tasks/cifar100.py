"""CIFAR-100: small colour images of a hundred classes, and four networks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from torch import nn

from nas_bench.training.cifar import CIFAR100, CIFAR100_COARSE, SHAPE, Cifar, CifarFiles
from nas_bench.training.convnet import convnet
from nas_bench.training.resnet import MIDDLES, resnet18, thin_resnet
from nas_bench.training.task import Recipe
from nas_bench.training.vit import VisionTransformer


class _Architecture(NamedTuple):
    seed_widths: tuple[int, ...]
    target_widths: tuple[int, ...]
    recipe: Recipe
    gpu_share: float


_TINY = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=100)
_RESNET = Recipe(
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    batch_size=128,
    decay="cosine",
    augmentation="crop_flip",
)
_VIT = Recipe(
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
    batch_size=128,
    decay="cosine",
    augmentation="crop_flip",
)
_ARCHITECTURES = {
    "thin_resnet": _Architecture((1,) * 8, (91, 76, 41, 11, 6, 3, 1, 1), _TINY, 0.25),
    "convnet": _Architecture((1,) * 5, (16, 16, 32, 32, 16), _TINY, 0.25),
    "resnet18": _Architecture(tuple(w // 4 for w in MIDDLES), MIDDLES, _RESNET, 1.0),
    "vit": _Architecture((128,) * 6, (512,) * 6, _VIT, 0.5),
}


@dataclass(frozen=True)
class Cifar100(Cifar):
    """Each network has widths and a recipe of its own.

    Attributes:
        labels: "fine", a hundred classes, or "coarse", their twenty superclasses.
        architecture: "thin_resnet", that of Growing Tiny Networks, E.3, of which only the middles
            of residual blocks grow, from one channel to those at the end of figure 16, with
            117 410 parameters; "convnet", that of E.2, of which all five hidden widths grow;
            "resnet18", with batch norm, whose blocks start with a quarter of the channels in
            their middles; or "vit", a vision transformer of six blocks whose MLPs start with a
            quarter of their neurons.
        start: another way to write seed_widths: this fraction of the target widths, such as
            0.015625 = 1/64, rounded and at least 1. It is None once they are set.

    References:
        Learning Multiple Layers of Features from Tiny Images, Krizhevsky, 2009,
        https://www.cs.toronto.edu/~kriz/cifar.html.
        Deep Residual Learning for Image Recognition, He, Zhang, Ren, Sun, 2016,
        https://arxiv.org/abs/1512.03385.
        An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, Dosovitskiy et
        al., 2021, https://arxiv.org/abs/2010.11929.
    """

    name: ClassVar[str] = "cifar100"
    summary: ClassVar[str] = "CIFAR-100, 50 000 colour images of 32 × 32, ResNets, convnet or ViT"
    gpu_share: ClassVar[float] = 0.25
    recipe: ClassVar[Recipe] = _TINY

    seed_widths: tuple[int, ...] = ()
    target_widths: tuple[int, ...] = ()
    labels: Literal["fine", "coarse"] = "fine"
    architecture: Literal["thin_resnet", "convnet", "resnet18", "vit"] = "thin_resnet"
    start: float | None = None

    def __post_init__(self) -> None:
        """Take what the architecture brings along, and spell out start as seed_widths.

        A trial has one name so.

        Raises:
            ValueError: if start is not in (0, 1], or widths do not fit.
        """
        own = _ARCHITECTURES[self.architecture]
        self.set_widths(own.seed_widths, own.target_widths)
        object.__setattr__(self, "recipe", own.recipe)
        object.__setattr__(self, "gpu_share", own.gpu_share)
        if self.start is not None:
            if not 0 < self.start <= 1:
                raise ValueError(f"start is {self.start}, expected a fraction above 0, up to 1")
            widths = tuple(max(1, round(self.start * width)) for width in self.target_widths)
            object.__setattr__(self, "seed_widths", widths)
            object.__setattr__(self, "start", None)
        super().__post_init__()

    @property
    def files(self) -> CifarFiles:
        """See the base class."""
        return CIFAR100 if self.labels == "fine" else CIFAR100_COARSE

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        classes = self.files.classes
        match self.architecture:
            case "thin_resnet":
                return thin_resnet(widths, classes)
            case "convnet":
                return convnet(SHAPE, widths, classes)
            case "resnet18":
                return resnet18(widths, classes)
            case "vit":
                return VisionTransformer(SHAPE, widths, classes)

    def grows(self, layer: str) -> bool:
        """See the base class; the linear layers of the thin ResNet keep their 100 neurons."""
        return self.architecture != "thin_resnet" or not layer.startswith("head.")
