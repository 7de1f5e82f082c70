"""Random images in the format of CIFAR-100, for measurements that do not look at accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from nas_bench import plugins
from nas_bench.training.mlp import mlp
from nas_bench.training.task import Samples, Task

CLASSES = 100
NETWORKS = {
    "mlp": "",
    "cifar10": "cifar10",
    "thin_resnet": "cifar100",
    "resnet18": "cifar100[architecture=resnet18]",
    "vit": "cifar100[architecture=vit]",
}
"""The MLP of figure 5, else tasks whose network and recipe they are."""


@dataclass(frozen=True)
class RandomImages(Task):
    """Random images with random labels.

    Attributes:
        like: which network, of NETWORKS.
        samples: in the training set.
    """

    name: ClassVar[str] = "random_images"
    summary: ClassVar[str] = "random images with random labels"

    like: str = "mlp"
    samples: int = 5000

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(self.samples, 3, 32, 32, generator=generator)
        targets = torch.randint(CLASSES, (self.samples,), generator=generator)
        return Samples(inputs, targets), Samples(inputs[:100], targets[:100])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        if self.like == "mlp":
            return nn.Sequential(nn.Flatten(), mlp(3 * 32 * 32, widths, CLASSES))
        return plugins.task(NETWORKS[self.like]).network(widths)

    def grows(self, layer: str) -> bool:
        """See the base class."""
        return self.like == "mlp" or plugins.task(NETWORKS[self.like]).grows(layer)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def images(like: str, samples: int) -> RandomImages:
    """The task with the widths and the recipe of the network's own task."""
    if like == "mlp":
        return RandomImages(like=like, samples=samples)
    own = plugins.task(NETWORKS[like])
    task = RandomImages(own.seed_widths, own.target_widths, like, samples)
    object.__setattr__(task, "recipe", own.recipe)
    return task
