"""Sine: the smallest expressivity bottleneck, y = 2 sin x + x."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import Recipe, Samples, Task


@dataclass(frozen=True)
class Sine(Task):
    """Growing Tiny Networks, A.4: no update of a x + b helps everywhere, one neuron can.

    Inputs are uniform on [0, 2π] in the training set and a regular grid in the test set.

    Attributes:
        activation: of the hidden layer.
        samples: in the training set.

    References:
        Growing Tiny Networks: Spotting Expressivity Bottlenecks and Fixing Them Optimally,
        Verbockhaven, Rudkiewicz, Chevallier, Charpiat, 2024, https://arxiv.org/abs/2405.19816.
    """

    name: ClassVar[str] = "sine"
    summary: ClassVar[str] = "regression of 2 sin x + x, one hidden layer"
    metric: ClassVar[Literal["accuracy", "loss"]] = "loss"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=3e-2, batch_size=50)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (16,)
    activation: Activation = "tanh"
    samples: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 10 <= self.samples <= 10**7:
            raise ValueError(f"samples is {self.samples}, expected a number from 10 to 10^7")

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        drawn = torch.rand(self.samples, 1, generator=Generator().manual_seed(0))
        grid = torch.linspace(0, 1, 501).unsqueeze(1)
        return _samples(2 * math.pi * drawn), _samples(2 * math.pi * grid)

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(1, widths, 1, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.MSELoss()


def _samples(inputs: Tensor) -> Samples:
    return Samples(inputs, 2 * inputs.sin() + inputs)
