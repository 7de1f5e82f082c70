"""What `nas-bench new` writes."""

METHOD = '''"""{Name}: new neurons that read at random and say nothing at first."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from nas_bench.growth import GrowthMethod, Need, NewNeurons, Site, SiteStatistics


@dataclass(frozen=True)
class {Name}(GrowthMethod):
    """One paragraph on the idea, then the options.

    Attributes:
        scale: of the fan-in weights, relative to Kaiming's.

    References:
        Authors, title, year, address.
    """

    name: ClassVar[str] = "{name}"
    summary: ClassVar[str] = "one line for tables and help"
    reference: ClassVar[str] = ""

    scale: float = 1.0

    @property
    def preserves_function(self) -> bool:
        """See the base class; the fan-out is zero."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class; nothing but widths and weights is read here."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        p = statistics.grown_weight.shape[1]
        fan_in = torch.randn(k, p, generator=generator, dtype=torch.float64)
        fan_in *= self.scale * (2 / p) ** 0.5
        taps, d = statistics.taps, statistics.outputs
        fan_out = torch.zeros(k, taps, d, dtype=torch.float64)
        return NewNeurons(fan_in, fan_out, gains=torch.zeros(k, dtype=torch.float64))
'''

TASK = '''"""{Name}: two rings of points in the plane."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Generator, nn

from nas_bench.training.task import Recipe, Samples, Task


@dataclass(frozen=True)
class {Name}(Task):
    """One paragraph on the data, then the options.

    Attributes:
        samples: in the training set.
    """

    name: ClassVar[str] = "{name}"
    summary: ClassVar[str] = "one line for tables and help"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-2, batch_size=50)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (16,)
    samples: int = 1000

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; data on disk would be in a folder of its own inside `folder`."""
        return _rings(self.samples, seed=0), _rings(500, seed=1)

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        (width,) = widths
        return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def _rings(samples: int, seed: int) -> Samples:
    generator = Generator().manual_seed(seed)
    angles = 2 * math.pi * torch.rand(samples, generator=generator)
    labels = torch.randint(2, (samples,), generator=generator)
    noise = 0.1 * torch.randn(samples, generator=generator)
    points = torch.stack((angles.cos(), angles.sin()), dim=1)
    return Samples((1 + labels + noise)[:, None] * points, labels)
'''

TRIGGER = '''"""{Name}: growth once the training loss has halved."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.trials.trigger import Progress, Reading, Trigger


@dataclass(frozen=True)
class {Name}(Trigger):
    """One paragraph on the idea, then the options.

    Attributes:
        share: of the loss at the first look since the last growth.
    """

    name: ClassVar[str] = "{name}"
    summary: ClassVar[str] = "one line for tables and help"
    reference: ClassVar[str] = ""

    share: float = 0.5

    @property
    def reads(self) -> tuple[Reading, ...]:
        """See the base class."""
        return ("train_loss",)

    def due(self, progress: Progress) -> bool:
        """See the base class."""
        losses = [look.readings["train_loss"] for look in progress.since]
        return bool(losses) and losses[-1] < self.share * losses[0]
'''

TEMPLATES = {"method": METHOD, "task": TASK, "trigger": TRIGGER}
