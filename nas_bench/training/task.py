"""The contract of a task: data, networks, loss and training recipe."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor, nn


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
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 100
    batch_growth: bool = False
    decay: Literal["constant", "cosine"] = "constant"


@dataclass(frozen=True)
class Samples:
    """Inputs, shape (n, …), and targets, shape (n,) or (n, …), in memory."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


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
    metric: ClassVar[Literal["accuracy", "loss"]] = "accuracy"
    """What the test score is: accuracy, or for regression the loss."""
    recipe: ClassVar[Recipe] = Recipe()

    seed_widths: tuple[int, ...] = (1, 1)
    target_widths: tuple[int, ...] = (110, 51)

    @abstractmethod
    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """Training and test samples; downloaded into folder where they are not yet there.

        Raises:
            DataMissingError: if the data is neither there nor can be downloaded.
        """

    @abstractmethod
    def network(self, widths: Sequence[int]) -> nn.Module:
        """A freshly initialised network with these hidden widths (torch's global generator)."""

    @property
    @abstractmethod
    def loss(self) -> nn.Module:
        """Loss(outputs, targets), the mean over samples."""


class DataMissingError(RuntimeError):
    """Data that is neither on disk nor can be downloaded; the message names the cure."""
