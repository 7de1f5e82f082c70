"""Loss and accuracy of a network on a split."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_bench.growth.sites import evaluating
from nas_bench.training.task import Split

CHUNK = 500
"""Samples of a batch of statistics: the activations of convolutions fit in memory."""
CPU_ENTRIES, ENTRIES = 1 << 17, 1 << 21
"""Numbers that go into a forward pass of an evaluation, on a CPU and elsewhere: convolutions are
1.6 times as fast while activations fit into a CPU's caches (42 images of CIFAR, 167 of MNIST)."""


@dataclass(frozen=True)
class Score:
    """Mean loss, and the share of right classes in [0, 1] (None where they are not counted)."""

    loss: float
    accuracy: float | None


def score(model: nn.Module, samples: Split, loss: nn.Module, *, counted: bool = True) -> Score:
    """Loss and accuracy in eval mode; the model is left as it is, the host waits at the end.

    Args:
        model: with a column of outputs for each class.
        samples: that are scored.
        loss: the mean over samples.
        counted: whether the right ones are, where targets are classes.
    """
    classes = counted and not samples.targets.is_floating_point()
    entries = CPU_ENTRIES if torch.device(samples.device).type == "cpu" else ENTRIES
    size = max(1, entries // max(1, samples.entries))
    means: list[Tensor] = []
    right: list[Tensor] = []
    counts: list[int] = []
    with evaluating(model), torch.no_grad():  # in inference mode, what a loss keeps is spoiled
        for inputs, targets in samples.batches(size):
            counts.append(len(inputs))
            outputs = model(inputs)
            means.append(loss(outputs, targets))
            if classes:
                right.append((outputs.argmax(-1) == targets).sum())
    sizes = torch.tensor(counts, dtype=torch.float64)
    total = float(torch.stack(means).cpu().double() @ sizes)
    share = int(torch.stack(right).sum()) / samples.targets.numel() if classes else None
    return Score(total / len(samples), share)
