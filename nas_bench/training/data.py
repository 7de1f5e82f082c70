"""Data of a trial: three splits, in the memory of one device or streamed to it."""

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
from nas_bench.training.streaming import Streamed
from nas_bench.training.task import Split, Task

DATA_VARIABLE = "NAS_BENCH_DATA"
SPLIT_SEED = 0
"""Of the validation split and of samples of a split, which are the same for every trial."""
SAMPLE = 1000
"""How many of a split are looked at where all of it would take too long."""
KEPT = 1 << 24
"""Numbers of such a sample that are kept of what is streamed: 64 MB."""


@dataclass(frozen=True)
class Data:
    """The splits of a task on one device.

    Attributes:
        train: what networks are trained and growth is decided on.
        validation: kept apart from the training set, for tuning.
        test: for the reported numbers only.
        checksum: SHA-256 of all values, before splitting; of what is streamed, see its digest.
    """

    train: Split
    validation: Split
    test: Split
    checksum: str

    @cached_property
    def train_sample(self) -> Split:
        """What training scores are measured on: at most 1 000, the same for every trial."""
        return _sample(self.train)

    @cached_property
    def validation_sample(self) -> Split:
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
    return kept(_prepared, task, folder, validation, str(device))


def forget() -> None:
    """Load anew what is asked for next."""
    _prepared.cache_clear()


def kept(made: Any, task: Task, *arguments: Any) -> Any:
    """What a function under `lru_cache` makes for a task; anew for one that cannot be hashed."""
    try:
        hash(task)
    except TypeError:
        return made.__wrapped__(task, *arguments)
    return made(task, *arguments)


@functools.lru_cache(maxsize=2)
def _prepared(task: Task, folder: Path, validation: float, device: str) -> Data:
    with isolated(SPLIT_SEED):
        train, test = loaded(task, folder)
    kept, held_out = split(train.targets, validation, Generator().manual_seed(SPLIT_SEED))
    return Data(
        train.at(kept).to(device),
        train.at(held_out).to(device),
        test.to(device),
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


def _sample(samples: Split) -> Split:
    """At most SAMPLE of a split, with equal shares of each class; all of a smaller one.

    Of what is streamed it is kept in memory where it is small.
    """
    if len(samples) > SAMPLE:
        generator = Generator().manual_seed(SPLIT_SEED)
        _, chosen = split(samples.targets.cpu(), SAMPLE / len(samples), generator)
        samples = samples.at(chosen)
    small = isinstance(samples, Streamed) and len(samples) * samples.entries <= KEPT
    return samples.first(len(samples)) if small else samples


def _checksum(*splits: Split) -> str:
    digest = hashlib.sha256()
    for samples in splits:
        if isinstance(samples, Streamed):
            digest.update(samples.digest().encode())
            continue
        for tensor in (samples.inputs, samples.targets):
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.flatten().cpu().numpy().data)
    return digest.hexdigest()
