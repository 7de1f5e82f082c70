"""Spirals: two intertwined spirals, the classic of cascade correlation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import Recipe, Samples, Task

POINTS = 97
"""Of each spiral: three turns and a bit, 16 points half a turn."""


@dataclass(frozen=True)
class Spirals(Task):
    """194 points on two spirals of three turns; the test set lies half way between them.

    Point i of a spiral has the angle π i/16 and the radius (104 − i)/104, in units of the largest
    one; the other spiral is its mirror image at the origin.

    Attributes:
        activation: of the hidden layers.

    References:
        Learning to tell two spirals apart, Lang, Witbrock, 1988; The cascade-correlation learning
        architecture, Fahlman, Lebiere, 1990.
    """

    name: ClassVar[str] = "spirals"
    summary: ClassVar[str] = "two intertwined spirals, 194 points of the plane, MLP"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-2, batch_size=32)

    target_widths: tuple[int, ...] = (32, 32)
    activation: Activation = "tanh"

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        places = torch.arange(POINTS, dtype=torch.float64)
        return _spirals(places), _spirals(places[:-1] + 0.5)

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(2, widths, 2, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def _spirals(places: torch.Tensor) -> Samples:
    angle, radius = places * math.pi / 16, (104 - places) / 104
    one = torch.stack((radius * angle.sin(), radius * angle.cos()), 1)
    labels = torch.arange(2).repeat_interleave(len(places))
    return Samples(torch.cat((one, -one)).float(), labels)
