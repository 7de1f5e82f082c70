"""Student and teacher: regression of a random network by a smaller one that grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Generator, nn

from nas_bench.training.task import Recipe, Samples, Task

INPUTS, HIDDEN, OUTPUTS = 10, 10, 10
TEST_SAMPLES = 1000


@dataclass(frozen=True)
class StudentTeacher(Task):
    """GradMax, section 4.1: what a teacher of ten ReLUs says of Gaussian inputs, no biases.

    Teacher and samples are drawn once and are the same for every seed, as in the authors'
    notebook; another draw is another task. Of 1111 samples a validation split of 10 % leaves
    1000 for training, and a batch is all of them. Students start with Glorot uniform weights, as
    layers of Keras do.

    The loss is the mean over samples and outputs.

    Attributes:
        draw: seed of the teacher and of all samples.
        samples: before the validation split.

    References:
        GradMax: Growing Neural Networks using Gradient Information, Evci, van Merriënboer,
        Unterthiner, Vladymyrov, Pedregosa, 2022. https://arxiv.org/abs/2201.05125
    """

    name: ClassVar[str] = "student_teacher"
    summary: ClassVar[str] = "regression of a random network with ten hidden neurons, no biases"
    metric: ClassVar[Literal["accuracy", "loss"]] = "loss"
    recipe: ClassVar[Recipe] = Recipe(optimizer="sgd", learning_rate=0.1, batch_size=1000)

    seed_widths: tuple[int, ...] = (5,)
    target_widths: tuple[int, ...] = (HIDDEN,)
    draw: int = 0
    samples: int = 1111

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.draw < 10**9:
            raise ValueError(f"draw is {self.draw}, expected a whole number from 0 to below 10^9")
        if not 10 <= self.samples <= 10**7:
            raise ValueError(f"samples is {self.samples}, expected a number from 10 to 10^7")

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        generator = Generator().manual_seed(self.draw)
        first = 2 * torch.rand(INPUTS, HIDDEN, generator=generator) - 1
        second = 2 * torch.rand(HIDDEN, OUTPUTS, generator=generator) - 1
        inputs = torch.randn(self.samples + TEST_SAMPLES, INPUTS, generator=generator)
        drawn = Samples(inputs, (inputs @ first).relu() @ second)
        test = Samples(drawn.inputs[self.samples :], drawn.targets[self.samples :])
        return drawn.first(self.samples), test

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        first = nn.Linear(INPUTS, widths[0], bias=False)
        second = nn.Linear(widths[0], OUTPUTS, bias=False)
        for layer in (first, second):
            nn.init.xavier_uniform_(layer.weight)
        return nn.Sequential(first, nn.ReLU(), second)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.MSELoss()
