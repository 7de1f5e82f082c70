"""What the networks of a task cost at given widths."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_bench.training.data import kept
from nas_bench.training.flops import inference_flops, parameters, training_flops
from nas_bench.training.randomness import isolated
from nas_bench.training.task import Task


@dataclass(frozen=True)
class Costs:
    """Of one architecture: parameters, multiply-adds per sample at inference and in training."""

    parameters: int
    flops: float
    training: float


class Architectures:
    """Costs of a task's networks, each counted once in this process until `forget`."""

    def __init__(self, task: Task, example: Tensor) -> None:
        self.task, self.example = task, example.cpu()
        self.counted: dict[tuple[int, ...], Costs] = kept(
            _counted, task, example.shape, example.dtype
        )

    def costs(self, widths: tuple[int, ...]) -> Costs:
        """Of the network with these hidden widths."""
        if widths not in self.counted:
            with isolated(0):
                network = self.task.network(widths)
            self.counted[widths] = Costs(
                parameters(network),
                inference_flops(network, self.example),
                training_flops(network, self.example),
            )
        return self.counted[widths]


def forget() -> None:
    """Count anew: networks may read what has changed since."""
    _counted.cache_clear()


@functools.lru_cache(maxsize=8)
def _counted(task: Task, shape: torch.Size, dtype: torch.dtype) -> dict[tuple[int, ...], Costs]:
    """Where the costs of a task's networks on such samples are kept."""
    return {}
