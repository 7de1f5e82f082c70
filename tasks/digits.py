"""Digits: scikit-learn's embedded handwritten digits, 8 × 8; works offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Generator, nn

from nas_bench.training.data import split
from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import Recipe, Samples, Task

_TEST_FRACTION, _TEST_SEED = 0.2, 20240529


@dataclass(frozen=True)
class Digits(Task):
    """1797 images in ten classes; 359 of them, always the same, are the test set.

    Pixels are divided by 16, then normalised with mean and deviation of the training set.

    Attributes:
        activation: of the hidden layers.

    References:
        Optical Recognition of Handwritten Digits, Alpaydin, Kaynak, 1998,
        https://doi.org/10.24432/C50P49.
    """

    name: ClassVar[str] = "digits"
    summary: ClassVar[str] = "handwritten digits, 1 797 images of 8 × 8, embedded, MLP"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=3e-3, batch_size=32)

    target_widths: tuple[int, ...] = (32, 16)
    activation: Activation = "relu"

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        inputs, targets = torch.tensor(images) / 16, torch.tensor(labels)
        generator = Generator().manual_seed(_TEST_SEED)
        train, test = split(targets, _TEST_FRACTION, generator)
        mean, deviation = inputs[train].mean(), inputs[train].std()
        inputs = ((inputs - mean) / deviation).float()
        return Samples(inputs[train], targets[train]), Samples(inputs[test], targets[test])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(64, widths, 10, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()
