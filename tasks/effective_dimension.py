"""Effective dimension: inputs of which only some are independent, so the right width is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Generator, nn

from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import Recipe, Samples, Task

TEST_SHARE = 0.2
SIGNAL = 0.9


@dataclass(frozen=True)
class EffectiveDimension(Task):
    """NORTH's simulated task: `features` Gaussian inputs that are mixtures of `dimension` of them.

    The first `dimension` features are independent and standard normal, the others are random
    mixtures of these with unit variance. The class says whether 0.9 Σ z/√dimension + 0.1 ε of the
    independent features z and of noise ε is above 0. However many inputs there are, no more than
    `dimension` linear directions of them can tell anything.

    Attributes:
        features: of a sample.
        dimension: of them that are independent.
        samples: of which a fifth is the test set.
        draw: seed of the data, the same for every seed of a trial.
        activation: of the hidden layer.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022,
        https://arxiv.org/abs/2202.08539.
    """

    name: ClassVar[str] = "effective_dimension"
    summary: ClassVar[str] = "64 Gaussian inputs of which 16 are independent, two classes, MLP"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=3e-3, batch_size=128)

    seed_widths: tuple[int, ...] = (4,)
    target_widths: tuple[int, ...] = (64,)
    features: int = 64
    dimension: int = 16
    samples: int = 5000
    draw: int = 0
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.dimension <= self.features:
            raise ValueError(
                f"dimension is {self.dimension}, expected a number from 1 to features, "
                f"{self.features}"
            )
        if not 1 <= self.features <= 10**4:
            raise ValueError(f"features is {self.features}, expected a number from 1 to 10^4")
        if not 50 <= self.samples <= 10**6:
            raise ValueError(f"samples is {self.samples}, expected a number from 50 to 10^6")
        if not 0 <= self.draw < 10**9:
            raise ValueError(f"draw is {self.draw}, expected a number from 0 to less than 10^9")

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        generator = Generator().manual_seed(self.draw)
        shape = (self.dimension, self.features - self.dimension)
        mixtures = torch.randn(shape, generator=generator)
        mixtures = mixtures / mixtures.norm(dim=0)
        z = torch.randn(self.samples, self.dimension, generator=generator)
        noise = torch.randn(self.samples, generator=generator)
        score = SIGNAL * z.sum(1) / self.dimension**0.5 + (1 - SIGNAL) * noise
        inputs, labels = torch.cat((z, z @ mixtures), 1), (score > 0).long()
        test = round(TEST_SHARE * self.samples)
        return Samples(inputs[test:], labels[test:]), Samples(inputs[:test], labels[:test])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(self.features, widths, 2, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()
