"""The contract of a task: data, networks, loss and training recipe."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from nas_bench.options import WIDEST
from nas_bench.training.augmentation import Augmentation
from nas_bench.training.order import DataOrder

if TYPE_CHECKING:
    from nas_bench.training.streaming import Dataset, Streamed


@dataclass(frozen=True)
class Recipe:
    """How a task's networks are trained, the same for every method.

    Attributes:
        optimizer: sgd, adam or adamw.
        learning_rate: at the start.
        momentum: of sgd.
        weight_decay: as the optimiser defines it.
        batch_size: samples per step at the start.
        batch_growth: let the batch size grow as the square root of the network's FLOPs
            (Growing Tiny Networks, D.2).
        decay: of the learning rate over the fraction of the budget spent.
        augmentation: of the images of a training step; statistics of growth, line searches and
            evaluation see them as they are.
        precision: bfloat16 for autocast in training steps; all else is in float32.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 100
    batch_growth: bool = False
    decay: Literal["constant", "cosine"] = "constant"
    augmentation: Augmentation = "none"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse values with which no network can be trained.

        Raises:
            ValueError: if a value is out of its range.
        """
        for name, fits, expected in (
            ("learning_rate", self.learning_rate > 0, "a number greater than 0"),
            ("momentum", 0 <= self.momentum < 1, "a number from 0 to less than 1"),
            ("weight_decay", self.weight_decay >= 0, "a number of at least 0"),
            (
                "batch_size",
                1 <= self.batch_size <= 10**9,
                "a whole number of at least 1, to 10^9",
            ),
        ):
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {expected}")


@dataclass(frozen=True)
class Samples:
    """Inputs, shape (n, …), and targets, shape (n,) or (n, …), in memory."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def order_device(self) -> torch.device:
        """Where indices of samples are needed."""
        return self.inputs.device

    @property
    def device(self) -> torch.device:
        """On which they are."""
        return self.inputs.device

    @property
    def entries(self) -> int:
        """Numbers of one input."""
        return self.inputs[0].numel()

    def first(self, count: int) -> "Samples":
        """At most so many of them, from the start."""
        return Samples(self.inputs[:count], self.targets[:count])

    def at(self, indices: Tensor) -> "Samples":
        """Some of them."""
        indices = indices.to(self.inputs.device)
        return Samples(self.inputs[indices], self.targets[indices])

    def to(self, device: torch.device | str) -> "Samples":
        """The same on a device."""
        return Samples(self.inputs.to(device), self.targets.to(device))

    def batches(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """All of them in order, in batches of at most so many."""
        parts = self.inputs.split(size), self.targets.split(size)
        return list(zip(*parts, strict=True))

    def feed(self, order: DataOrder, name: str) -> "MemoryFeed":
        """What training steps read, in an order; nothing is random in memory."""
        return MemoryFeed(self, order)


@dataclass(frozen=True)
class MemoryFeed:
    """The batches of training steps, from memory."""

    samples: Samples
    order: DataOrder

    def next(self, batch_size: int, seen: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the next batch of the order."""
        indices = self.order.next(batch_size)
        return self.samples.inputs[indices], self.samples.targets[indices]

    def close(self) -> None:
        """Nothing reads ahead."""


Split: TypeAlias = "Samples | Streamed"
"""Samples of a task, in memory or streamed: what reads them does not ask which."""


@dataclass(frozen=True)
class Task(ABC):
    """Data, networks, loss and recipe. Fields are options, all with defaults.

    Attributes:
        seed_widths: hidden widths where growing starts, one per site in network order.
        target_widths: hidden widths of the full-size network.
    """

    name: ClassVar[str]
    """What users type."""
    summary: ClassVar[str]
    """One line for tables and help."""
    version: ClassVar[int] = 1
    """Behaviour version, from 1: raise it with every change of the data, networks, loss or recipe;
    results of other versions count as stale."""
    metric: ClassVar[Literal["accuracy", "loss"]] = "accuracy"
    """What the test score is: accuracy, or for regression the loss."""
    recipe: ClassVar[Recipe] = Recipe()
    gpu_share: ClassVar[float] = 0.0
    """GPUs that a trial gets by default where there are some: 0 where it would gain nothing from
    one, a fraction where several trials fit on one, else a whole number."""

    seed_widths: tuple[int, ...] = (1, 1)
    target_widths: tuple[int, ...] = (110, 51)

    def __post_init__(self) -> None:
        """Refuse widths that no network can have; who overrides this calls it first.

        Raises:
            ValueError: if a width is out of its range, or seed and target differ in length.
        """
        seed, target = list(self.seed_widths), list(self.target_widths)
        if len(seed) != len(target) or not seed:
            raise ValueError(
                f"seed_widths {seed} and target_widths {target} must have one width each for "
                "every hidden layer that grows"
            )
        if min(*seed, *target) < 1 or max(*seed, *target) > WIDEST:
            raise ValueError(
                f"a width in seed_widths {seed} or target_widths {target} is below 1 or above "
                f"{WIDEST}: expected whole numbers from 1 to {WIDEST}"
            )

    @property
    def quarter_widths(self) -> tuple[int, ...]:
        """Hidden widths of a second start: a quarter of the target's, rounded, at least 1."""
        return tuple(max(1, round(width / 4)) for width in self.target_widths)

    def set_widths(self, seed: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Give the widths of a network where none were asked for; for `__post_init__`.

        Tasks with several networks have no widths by default: `()`.
        """
        for name, own in (("seed_widths", seed), ("target_widths", target)):
            if not getattr(self, name):
                object.__setattr__(self, name, own)

    @abstractmethod
    def load(self, folder: Path) -> "tuple[Samples | Dataset, Samples | Dataset]":
        """Training and test samples; downloaded into folder where they are not yet there.

        What does not fit into memory is a map-style dataset, from which samples are read as they
        are needed (`nas_bench.training.streaming`).

        Raises:
            DataMissingError: if the data is neither there nor can be downloaded.
        """

    @abstractmethod
    def network(self, widths: Sequence[int]) -> nn.Module:
        """A freshly initialised network with these hidden widths (torch's global generator).

        Raises:
            DataMissingError: if its size is that of data which is not there.
        """

    def grows(self, layer: str) -> bool:
        """Whether the width of this layer may grow; all that can, by default."""
        return True

    @property
    @abstractmethod
    def loss(self) -> nn.Module:
        """Loss(outputs, targets), the mean over samples."""


class TaskError(ValueError):
    """What a task gives instead of what it must give, as one sentence."""


class DataMissingError(RuntimeError):
    """Data that is neither on disk nor can be downloaded; the message names the cure."""
