"""What networks cost is counted once in a process, and never another network's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from nas_bench.training.mlp import mlp
from nas_bench.training.task import Samples, Task
from nas_bench.trials import architecture
from nas_bench.trials.architecture import Architectures, Costs


@dataclass(frozen=True)
class Wide(Task):
    """A hidden layer, so many times."""

    name: ClassVar[str] = "wide"
    made: ClassVar[list[Sequence[int]]] = []
    layers: int = 1
    options: Any = ()
    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (9,)

    def network(self, widths: Sequence[int]) -> nn.Module:
        self.made.append(widths)
        return mlp(3, tuple(widths) * self.layers, 2)[1:]  # samples may be sequences

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        raise NotImplementedError

    @property
    def loss(self) -> nn.Module:
        return nn.CrossEntropyLoss()


def costs(task: Task, width: int) -> Costs:
    return Architectures(task, torch.zeros(2, 3)).costs((width,))


@pytest.fixture(autouse=True)
def nothing_counted():
    architecture.forget()
    Wide.made.clear()


def test_the_same_network_of_a_later_trial_is_not_built_again():
    first, second = costs(Wide(), 4), costs(Wide(), 4)
    assert first == second == Costs(3 * 4 + 4 + 4 * 2 + 2, 3 * 4 + 4 * 2, 2 * 12 + 3 * 8)
    assert len(Wide.made) == 1


def test_other_widths_options_and_samples_are_counted_by_themselves():
    assert costs(Wide(), 4).flops == 20
    assert costs(Wide(), 5).flops == 25
    assert costs(Wide(layers=2), 4).flops == 36
    pixels = Architectures(Wide(), torch.zeros(2, 7, 3))
    assert pixels.costs((4,)).flops == 7 * 20


def test_a_task_that_cannot_be_hashed_is_counted_anew():
    task = Wide(options=[])
    assert costs(task, 4) == costs(task, 4)
    assert len(Wide.made) == 2
