"""Data of a trial: three splits in the memory of one device."""

import functools
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import platformdirs
import torch
from torch import Generator, Tensor

from nas_bench.specs import absolute
from nas_bench.training.randomness import isolated
from nas_bench.training.soundness import loaded
from nas_bench.training.task import Samples, Task

DATA_VARIABLE = "NAS_BENCH_DATA"
SPLIT_SEED = 0
"""Of the validation split and of samples of a split, which are the same for every trial."""
SAMPLE = 1000
"""How many of a split are looked at where all of it would take too long."""


@dataclass(frozen=True)
class Data:
    """The splits of a task on one device.

    Attributes:
        train: what networks are trained and growth is decided on.
        validation: kept apart from the training set, for tuning.
        test: for the reported numbers only.
        checksum: SHA-256 of all values, before splitting.
    """

    train: Samples
    validation: Samples
    test: Samples
    checksum: str

    @cached_property
    def train_sample(self) -> Samples:
        """What training scores are measured on: at most 1 000, the same for every trial."""
        return _sample(self.train)

    @cached_property
    def validation_sample(self) -> Samples:
        """The same of the validation split."""
        return _sample(self.validation)


@runtime_checkable
class Downloads(Protocol):
    """A task that can bring its data onto this machine before any trial runs."""

    def fetch(self, folder: Path) -> None:
        """Download what is missing in the folder, showing progress."""
        ...

    def present(self, folder: Path) -> bool:
        """Whether nothing is missing."""
        ...


def data_folder(given: Path | None = None) -> Path:
    """The folder given, else the one in NAS_BENCH_DATA, else the user's cache; absolute."""
    named = given or os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else platformdirs.user_cache_path("nas-bench") / "data"
    return absolute(folder)


def prepare(
    task: Task,
    folder: Path,
    validation: float,
    device: torch.device | str = "cpu",
) -> Data:
    """Load and split a task's data; the latest two stay in the memory of this process.

    Args:
        task: whose data.
        folder: of data sets on disk.
        validation: fraction of the training set that is kept apart, in (0, 1).
        device: where the tensors live.

    Raises:
        DataMissingError: if the data is neither in the folder nor can be downloaded.
        TaskError: if it is not what networks can be trained and tested on.
    """
    arguments = (task, folder, validation, str(device))
    try:
        hash(task)
    except TypeError:
        return _prepared.__wrapped__(*arguments)
    return _prepared(*arguments)


@functools.lru_cache(maxsize=2)
def _prepared(task: Task, folder: Path, validation: float, device: str) -> Data:
    with isolated(SPLIT_SEED):
        train, test = loaded(task, folder)
    kept, held_out = split(train.targets, validation, Generator().manual_seed(SPLIT_SEED))
    return Data(
        _at(train, kept, device),
        _at(train, held_out, device),
        Samples(test.inputs.to(device), test.targets.to(device)),
        _checksum(train, test),
    )


def split(targets: Tensor, fraction: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two disjoint sorted index sets: the rest, and a fraction held out.

    Integer targets are classes, of which both sets hold equal shares.

    Args:
        targets: shape (n,) or (n, …).
        fraction: of n that is held out, in (0, 1); at least one sample.
        generator: source of the draw.

    Raises:
        ValueError: if nothing would be left of either set.
    """
    n = len(targets)
    count = max(1, round(fraction * n))
    if not 0 < fraction < 1 or count >= n:
        raise ValueError(f"cannot hold out {fraction} of {n} samples: leave some on both sides")
    order = torch.randperm(n, generator=generator)
    if targets.ndim == 1 and not targets.is_floating_point():
        order = order[torch.argsort(targets[order], stable=True)]
    held_out = torch.zeros(n, dtype=torch.bool)
    held_out[order[torch.arange(count) * n // count]] = True
    return torch.nonzero(~held_out).flatten(), torch.nonzero(held_out).flatten()


class DataOrder:
    """Endless batches of indices: every epoch all samples once, in an order drawn anew.

    The last batch of an epoch is smaller where the batch size does not divide n. Orders are drawn
    on the CPU, the same for every device, and go to the device once an epoch: to take a batch of
    data there, nothing is waited for.
    """

    def __init__(self, n: int, generator: Generator, device: str = "cpu") -> None:
        self.n, self.generator, self.device = n, generator, device
        self._take(torch.empty(0, dtype=torch.int64), 0)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on with the same batches."""
        return {
            "generator": self.generator.get_state(),
            "permutation": self.permutation,
            "position": self.position,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was asked."""
        self.generator.set_state(state["generator"])
        self._take(state["permutation"], state["position"])

    def size_of_next(self, batch_size: int) -> int:
        """How many indices the next batch has."""
        left = len(self.permutation) - self.position
        return min(batch_size, left or self.n)

    def next(self, batch_size: int) -> Tensor:
        """The next batch of indices, shape (≤ batch_size,), on the device."""
        if self.position >= len(self.permutation):
            self._take(torch.randperm(self.n, generator=self.generator), 0)
        indices = self._there[self.position : self.position + batch_size]
        self.position += len(indices)
        return indices

    def _take(self, permutation: Tensor, position: int) -> None:
        self.permutation, self.position = permutation, position
        self._there = permutation.to(self.device)


def _sample(samples: Samples) -> Samples:
    """At most SAMPLE of a split, with equal shares of each class; all of a smaller one."""
    if len(samples) <= SAMPLE:
        return samples
    generator = Generator().manual_seed(SPLIT_SEED)
    _, chosen = split(samples.targets.cpu(), SAMPLE / len(samples), generator)
    return _at(samples, chosen.to(samples.inputs.device), samples.inputs.device)


def _at(samples: Samples, indices: Tensor, device: torch.device | str) -> Samples:
    return Samples(samples.inputs[indices].to(device), samples.targets[indices].to(device))


def _checksum(*splits: Samples) -> str:
    digest = hashlib.sha256()
    for samples in splits:
        for tensor in (samples.inputs, samples.targets):
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.flatten().cpu().numpy().data)
    return digest.hexdigest()
