"""Short real trials of the convolutional tasks and the transformer, on random images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import torch
from torch import nn

from nas_bench import plugins
from nas_bench.tasks.cifar10 import Cifar10
from nas_bench.tasks.cifar100 import Cifar100
from nas_bench.training.task import Recipe, Samples
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.messages import GrowthRecord, Record
from nas_bench.trials.trial import Start, Trial

pytestmark = pytest.mark.slow


def images(samples: int, classes: int, seed: int) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    x = torch.randn(samples, 3, 32, 32, generator=generator)
    return Samples(x + labels[:, None, None, None] / classes, labels)


class RandomImages:
    """In place of the files of a CIFAR task."""

    classes: ClassVar[int]
    samples: ClassVar[int] = 120

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        return images(self.samples, self.classes, 0), images(20, self.classes, 1)


@dataclass(frozen=True)
class Ten(RandomImages, Cifar10):
    classes: ClassVar[int] = 10


@dataclass(frozen=True)
class Thin(RandomImages, Cifar100):
    classes: ClassVar[int] = 100
    samples: ClassVar[int] = 60


@dataclass(frozen=True)
class Normed(RandomImages, Cifar10):
    """A small network with what the recipe of the ResNet brings along."""

    classes: ClassVar[int] = 10
    recipe: ClassVar[Recipe] = Cifar100(architecture="resnet18").recipe

    seed_widths: tuple[int, ...] = (2, 2)
    target_widths: tuple[int, ...] = (4, 4)

    def network(self, widths: Sequence[int]) -> nn.Module:
        first, second = widths
        return nn.Sequential(
            nn.Conv2d(3, first, 3, 2), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(3),
            nn.Conv2d(first, second, 3), nn.BatchNorm2d(second), nn.ReLU(),
            nn.Flatten(), nn.Linear(9 * second, 10),
        )  # fmt: skip


@dataclass(frozen=True)
class Attending(RandomImages, Cifar100):
    classes: ClassVar[int] = 100
    samples: ClassVar[int] = 40

    architecture: Literal["thin_resnet", "convnet", "resnet18", "vit"] = "vit"


def said(task, method, **changes):
    values = {
        "protocol": "test", "version": 1, "kind": "free", "task": task.name, "method": method,
        "seed": 0, "budget": Budget(steps=3), "evaluations": 1, "statistics_factor": 1e-6,
        "schedule": Schedule(where="best", neurons=2, every=1, unit="steps"),
        "recipe": {"batch_size": 20, "batch_growth": False},
    }  # fmt: skip
    config = TrialConfig(**values | changes)
    torch.manual_seed(0)
    grower = plugins.method(method)
    start = Start(config, config.budget, task, grower, task.seed_widths, Path(), "cpu")
    messages = list(Trial(start).run())
    records = [m for m in messages if isinstance(m, Record)]
    return records, [m for m in messages if isinstance(m, GrowthRecord)]


GROWERS = ["tiny[significance=false]", "tiny[significance=false,projection=false]", "gradmax",
           "north_preactivation[candidates=50]", "random_growth", "net2net"]  # fmt: skip


CASES = [
    (Ten(), GROWERS[0], 2),
    *((Ten(), method, 1) for method in GROWERS[1:]),
    *((Thin(), method, 1) for method in GROWERS[:3]),
]
"""That a grown network grows again is tried with one method."""


@pytest.mark.parametrize(("task", "method", "growths"), CASES)
def test_every_method_grows_the_papers_networks(task, method, growths):
    records, events = said(task, method, budget=Budget(steps=1 + growths))
    final = records[-1]
    assert final.final
    grown = [event for event in events if event.status == "added"]
    assert 1 <= len(grown) <= growths
    assert sum(final.widths) == sum(task.seed_widths) + sum(e.added for e in grown)
    assert {event.site for event in events if event.step == 1} == {e.site for e in events}
    assert len(events) == growths * len(task.seed_widths)


@pytest.mark.parametrize("task", [Normed(), Attending()], ids=["batch norm", "vit"])
@pytest.mark.parametrize("method", ["tiny[significance=false,projection=false]", "gradmax"])
def test_batch_norm_augmentation_and_attention_are_no_obstacle(task, method):
    schedule = Schedule(where="all", neurons=1, every=1, unit="steps")
    records, events = said(task, method, budget=Budget(steps=2), schedule=schedule)
    added = sum(event.added for event in events)
    assert added > 0
    assert sum(records[-1].widths) == sum(task.seed_widths) + added
    assert all(event.measured > 0 for event in events if event.amplitude)


def test_the_same_trial_has_the_same_bits():
    first, again = (
        said(Ten(), "tiny[significance=false]", budget=Budget(steps=2)) for _ in range(2)
    )
    assert [r.train_loss for r in first[0]] == [r.train_loss for r in again[0]]
    assert [e.measured for e in first[1]] == [e.measured for e in again[1]]


def test_a_grown_network_has_the_target_of_a_fixed_one():
    task = Ten(seed_widths=(1, 1, 2, 2, 2), target_widths=(3, 3, 4, 4, 5))
    schedule = Schedule(where="each", growths=2, every=1, unit="steps")
    records, events = said(task, "tiny", kind="same_target", schedule=schedule)
    assert records[-1].widths == task.target_widths
    assert all(event.added + event.filled == event.asked for event in events)
