"""Tasks of a few hundred samples and a few dozen weights, in float64 or float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import nn

from nas_bench.training.task import Recipe, Samples, Task

CLASSES, TRAINING, TEST = 3, 120, 40


@dataclass(frozen=True)
class Micro(Task):
    """Noisy labels of a random teacher, and a network with sites of some kinds.

    Attributes:
        network_kind: mlp (rows), tokens (several rows a sample), convnet (batch norm, pooling and
            flatten between convolutions and linear layers), depthwise (in the path).
        precision: of data and weights.
    """

    name: ClassVar[str] = "micro"
    summary: ClassVar[str] = "a network of a few dozen weights"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-2, batch_size=20)

    seed_widths: tuple[int, ...] = (2, 2)
    target_widths: tuple[int, ...] = (5, 4)
    network_kind: Literal["mlp", "tokens", "convnet", "depthwise"] = "mlp"
    precision: Literal["float64", "float32"] = "float64"

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        generator = torch.Generator().manual_seed(7)
        shape = {"mlp": (6,), "tokens": (3, 5)}.get(self.network_kind, (2, 6, 6))
        x = torch.randn(TRAINING + TEST, *shape, generator=generator, dtype=torch.float64)
        x = x.cumsum(-1) / 2  # neighbours are alike, as pixels are
        rows = x.flatten(1)
        first = torch.randn(rows.shape[1], 4, generator=generator, dtype=torch.float64)
        second = torch.randn(4, CLASSES, generator=generator, dtype=torch.float64)
        y = ((rows @ first / len(first) ** 0.5).tanh() @ second).argmax(1)
        x = x.to(self._dtype)
        return Samples(x[:TRAINING], y[:TRAINING]), Samples(x[TRAINING:], y[TRAINING:])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        usual = torch.get_default_dtype()
        torch.set_default_dtype(self._dtype)  # float32 draws differ in a last bit with FMA
        try:
            return _NETWORKS[self.network_kind](*widths)
        finally:
            torch.set_default_dtype(usual)

    def grows(self, layer: str) -> bool:
        """See the base class."""
        return layer != "2" or self.network_kind != "tokens"

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "float64" else torch.float32


def _mlp(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, a), nn.ReLU(), nn.Linear(a, b), nn.Tanh(), nn.Linear(b, CLASSES)
    )


def _tokens(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, a), nn.GELU(), nn.Linear(a, 4), nn.Tanh(), nn.Linear(4, b), nn.ReLU(),
        nn.Linear(b, 4), nn.Flatten(), nn.Linear(12, CLASSES),
    )  # fmt: skip


def _convnet(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, a, 3, padding=1), nn.BatchNorm2d(a), nn.ReLU(),
        nn.Conv2d(a, b, 3, stride=2, bias=False), nn.SELU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(b, CLASSES),
    )  # fmt: skip


def _depthwise(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, a, 2), nn.ReLU(), nn.Conv2d(a, a, 3, padding=1, groups=a),
        nn.Conv2d(a, b, 1), nn.Hardtanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * b, CLASSES),
    )  # fmt: skip


_NETWORKS = {"mlp": _mlp, "tokens": _tokens, "convnet": _convnet, "depthwise": _depthwise}
