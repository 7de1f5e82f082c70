"""Loss and accuracy of a network on a split."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_bench.growth.sites import evaluating
from nas_bench.training.task import Samples

CHUNK = 500
"""Samples of a forward pass: the activations of convolutions fit in memory."""
TRAINING_SAMPLES = 10_000
"""Of the training split that a record looks at: its first ones."""


@dataclass(frozen=True)
class Score:
    """Mean loss, and the share of right classes in [0, 1] (None for regression)."""

    loss: float
    accuracy: float | None


def score(model: nn.Module, samples: Samples, loss: nn.Module) -> Score:
    """Loss and accuracy in eval mode; the model is left as it is."""
    total, right = 0.0, 0
    with evaluating(model), torch.no_grad():
        for inputs, targets in chunks(samples):
            outputs = model(inputs)
            total += float(loss(outputs, targets).double()) * len(inputs)
            if _classes(targets):
                right += int((outputs.argmax(-1) == targets).sum())
    shares = right / samples.targets.numel() if _classes(samples.targets) else None
    return Score(total / len(samples), shares)


def chunks(samples: Samples) -> list[tuple[Tensor, Tensor]]:
    """The samples in order, in batches that fit in memory."""
    parts = samples.inputs.split(CHUNK), samples.targets.split(CHUNK)
    return list(zip(*parts, strict=True))


def _classes(targets: Tensor) -> bool:
    return not targets.is_floating_point()
