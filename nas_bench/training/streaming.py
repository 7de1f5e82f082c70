"""Samples that do not fit into memory: a map-style dataset, read as its samples are needed.

Batches are read ahead by the worker processes of torch's own DataLoader. torchdata, whose
StatefulDataLoader could resume within an epoch, has had no release since 0.11 of February 2025
and is not used; nothing has to be resumed here, either: a trial's `DataOrder` alone says which
samples come next, and what was read ahead is a guess that is checked, and dropped where it
was wrong.
"""

import gc
import hashlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from multiprocessing import get_all_start_methods
from typing import Any, NoReturn, Protocol, Self, TypeAlias

import torch
import torch.utils.data
from torch import Tensor

from nas_bench.specs import InputError, said
from nas_bench.training.order import DataOrder
from nas_bench.training.randomness import drawing
from nas_bench.training.task import DataMissingError, Samples, TaskError

WORKERS_VARIABLE = "NAS_BENCH_WORKERS"
WORKERS = 2
"""Processes that read for a trial where the variable does not say how many."""
AHEAD = 2
"""Batches that each of them reads ahead."""
ENTRIES = 1 << 23
"""Numbers of a batch at most, where a caller leaves its size to the data: 32 MB of inputs."""
FEW = 64
"""Samples that are read without starting processes."""
EXAMINED = 1000
"""Samples whose values go into a checksum, where the dataset has no digest of its own."""

Reading: TypeAlias = "Generator[Batch, None, None]"
"""Batches as they come."""
Request = tuple[int, str]
"""Which sample of a dataset, and what names its randomness: "" for the sample as it is."""


class Dataset(Protocol):
    """A map-style `torch.utils.data.Dataset`: pairs of inputs, a tensor of floats, and target.

    It may have `targets`, those of all samples in order, as torchvision's have; else all samples
    are read once to know them. It may have `augmented(index)`, what a training step sees instead
    of `dataset[index]`; `digest()`, a text that changes with its content; and `check()`, which
    raises a DataMissingError that names what cannot be read, for `nas-bench check`.

    Both may draw from the global generators of Python, NumPy and torch's CPU: for a training step
    these are seeded by the trial and by how many samples came before, else by the index alone.
    """

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""
        ...


@dataclass(frozen=True, eq=False)
class Streamed:
    """Some samples of a dataset; read anew whenever they are needed.

    Attributes:
        dataset: in which they are.
        places: of the samples in the dataset, shape (n,), on the CPU.
        targets: of the samples, shape (n,) or (n, …), on the CPU.
        workers: processes that read ahead; 0 reads where it is asked.
        device: to which they are sent.
    """

    dataset: Dataset
    places: Tensor
    targets: Tensor
    workers: int
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """All samples of a dataset.

        Raises:
            TaskError: if it is empty, or has targets for other samples.
        """
        places, workers = torch.arange(len(dataset)), asked_workers()
        if not len(places):
            raise TaskError("a dataset of its data is empty: a task needs samples of both kinds")
        known = getattr(dataset, "targets", None)
        if known is None:
            batches = _read(dataset, _whole(places, FEW), workers)
            known = torch.cat([batch.checked().targets for batch in batches])
        targets = torch.as_tensor(known)
        if len(targets) != len(places):
            raise TaskError(f"{len(places)} samples have {len(targets)} targets, expected as many")
        return cls(dataset, places, targets, workers)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def order_device(self) -> str:
        """Where indices of samples are needed."""
        return "cpu"

    @cached_property
    def entries(self) -> int:
        """Numbers of one input."""
        return self.first(1).inputs.numel()

    def at(self, indices: Tensor) -> "Streamed":
        """Some of the samples, by their places among these."""
        indices = indices.cpu()
        return replace(self, places=self.places[indices], targets=self.targets[indices])

    def to(self, device: torch.device | str) -> "Streamed":
        """The same, sent to a device as they are read."""
        return replace(self, device=device)

    def first(self, count: int) -> Samples:
        """At most so many of them, in memory."""
        parts = list(self.at(torch.arange(min(count, len(self)))).batches(FEW))
        return Samples(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def batches(self, size: int) -> "Batches":
        """All of them in order, as they are, in batches of at most so many."""
        return Batches(self, size)

    def feed(self, order: DataOrder, name: str) -> "Feed":
        """What training steps read, in an order; the name is that of its random changes."""
        return Feed(self, order, name)

    def digest(self) -> str:
        """Of all targets and of the values: the dataset's own, else that of 1 000 samples."""
        digest = hashlib.sha256(str((len(self), tuple(self.targets.shape))).encode())
        digest.update(self.targets.contiguous().numpy().tobytes())
        if own := getattr(self.dataset, "digest", None):
            digest.update(str(own()).encode())
        else:
            some = torch.arange(min(len(self), EXAMINED)) * len(self) // EXAMINED
            evenly = some if len(self) > EXAMINED else torch.arange(len(self))
            for inputs, _ in self.at(evenly).to("cpu").batches(FEW):
                digest.update(inputs.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def read(self, batches: Iterable[list[Request]], *, ahead: bool = True) -> "Reading":
        """Batches of the dataset, as they are asked for; who stops before the end closes it."""
        return _read(self.dataset, batches, self.workers if ahead else 0)


@dataclass(frozen=True)
class Batches:
    """Samples in order, which may be gone through several times.

    Attributes:
        samples: all of which are read.
        size: of a batch, at most.
    """

    samples: Streamed
    size: int

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        samples = self.samples
        size = self.size if self.size <= FEW else min(self.size, _fitting(samples.entries))
        plan = list(_whole(samples.places, size))
        with closing(samples.read(plan, ahead=len(samples) > FEW)) as reading:
            for batch in reading:
                yield batch.checked().on(samples.device)


class Feed:
    """The batches of training steps, read ahead in the order of a trial.

    The next batches are guessed from a copy of the order. A batch says which samples it holds:
    where these are not the ones that the order names, because the batch size changed or a
    checkpoint was restored, reading starts anew from there. So what a trial sees depends neither
    on what was read ahead nor on the number of workers.
    """

    def __init__(self, samples: Streamed, order: DataOrder, name: str) -> None:
        self.samples, self.order, self.name = samples, order, name
        self._ahead: Reading | None = None

    def next(self, batch_size: int, seen: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the next batch of the order.

        Args:
            batch_size: samples at most.
            seen: how many samples came before them in the trial.
        """
        indices = self.order.next(batch_size)
        wanted = _changed(self.samples.places[indices], self.name, seen)
        batch = next(self._ahead, None) if self._ahead else None
        if batch is None or batch.requests != wanted:
            self.close()
            rest = _following(
                self.samples.places, self.order.copy(), self.name, batch_size, seen + len(wanted)
            )
            self._ahead = self.samples.read(chain([wanted], rest))
            batch = next(self._ahead)
        return batch.checked().on(self.samples.device)

    def close(self) -> None:
        """End what reads ahead."""
        if self._ahead:
            self._ahead.close()
            self._ahead = None


def _following(
    places: Tensor, order: DataOrder, name: str, batch_size: int, seen: int
) -> Iterator[list[Request]]:
    """The batches of an order, which is used up; a feed must not be part of what it reads."""
    while True:
        indices = order.next(batch_size)
        yield _changed(places[indices], name, seen)
        seen += len(indices)


def _changed(places: Tensor, name: str, seen: int) -> list[Request]:
    """Requests for samples of a training step, by what came before them."""
    return [(place, f"{name}/{seen + i}") for i, place in enumerate(places.tolist())]


@dataclass(frozen=True)
class Batch:
    """What a worker hands over: samples, or why one could not be read."""

    requests: list[Request]
    inputs: Tensor | None
    targets: Tensor
    problem: str = ""
    missing: bool = False
    traceback: str = ""

    def checked(self) -> "Held":
        """The samples.

        Raises:
            DataMissingError: if a file of one is missing or damaged.
            TaskError: if one cannot be read, or does not fit the others.
        """
        if self.inputs is None:
            self._refuse()
        return Held(self.inputs, self.targets)

    def _refuse(self) -> NoReturn:
        kind = DataMissingError if self.missing else TaskError
        raise kind(self.problem) from RuntimeError(self.traceback)


@dataclass(frozen=True)
class Held:
    """Samples that could be read."""

    inputs: Tensor
    targets: Tensor

    def on(self, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """The samples on a device."""
        return self.inputs.to(device), self.targets.to(device)


@dataclass(frozen=True)
class _Source:
    """What runs in the workers: a dataset from which whole batches are asked."""

    dataset: Dataset

    def __getitems__(self, requests: list[Request]) -> Batch:
        place = -1
        inputs, targets = [], []
        try:
            for place, name in requests:
                x, y = _pair(self._sample(place, name))
                inputs.append(x)
                targets.append(y)
            return Batch(requests, torch.stack(inputs), torch.stack(targets))
        except DataMissingError as error:
            return Batch(requests, None, torch.empty(0), str(error), missing=True)
        except Exception as error:  # datasets of others raise anything
            what = f"sample {place} of its data cannot be read"
            if len(inputs) == len(requests):
                shapes = sorted({tuple(x.shape) for x in inputs})
                what = f"its samples differ in shape, {shapes[0]} and {shapes[-1]}"
            text = traceback.format_exc()
            return Batch(requests, None, torch.empty(0), f"{what}: {said(error)}", traceback=text)

    def _sample(self, place: int, name: str) -> Any:
        with drawing(name or f"sample {place}"):
            changed: Callable[[int], Any] | None = getattr(self.dataset, "augmented", None)
            return changed(place) if name and changed else self.dataset[place]


@dataclass(frozen=True)
class _Plan:
    """What is to be read, as torch's loaders ask for it."""

    batches: Iterable[list[Request]]

    def __iter__(self) -> Iterator[list[Request]]:
        return iter(self.batches)


def asked_workers() -> int:
    """How many processes read for a trial.

    Raises:
        InputError: if the variable is no whole number from 0 to 64.
    """
    text = os.environ.get(WORKERS_VARIABLE) or str(WORKERS)
    if not text.isascii() or not text.isdigit() or int(text) > 64:
        raise InputError(f"{WORKERS_VARIABLE} is {text!r}, expected a whole number from 0 to 64")
    return int(text)


def _read(dataset: Dataset, batches: Iterable[list[Request]], workers: int) -> Reading:
    """Batches through a loader of torch, whose own generator leaves the global one as it is.

    Processes are forked where they can be: classes of plugins that were loaded from a file exist
    in no other process. They end at once where the loader goes with its last reference; where the
    garbage collector finds it, 5 seconds are waited for each.
    """
    forks = sys.platform != "darwin" and "fork" in get_all_start_methods()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        loader = torch.utils.data.DataLoader(
            _Source(dataset),  # pyright: ignore[reportArgumentType] (asks for whole batches)
            batch_sampler=_Plan(batches),  # pyright: ignore[reportArgumentType]
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            collate_fn=_as_it_is,
            generator=torch.Generator(),
            worker_init_fn=_keep_apart,
            multiprocessing_context="fork" if workers and forks else None,
        )
        reading = iter(loader)
    del loader
    try:
        yield from reading
    finally:
        del reading


def _keep_apart(worker: int) -> None:
    """Never collect what a worker has from its parent: it shares memory, and ends no loaders."""
    gc.freeze()


def _as_it_is(batch: Any) -> Any:
    return batch


def _whole(places: Tensor, size: int) -> Iterator[list[Request]]:
    """Requests for samples as they are, in order."""
    for part in places.split(size):
        yield [(place, "") for place in part.tolist()]


def _fitting(entries: int) -> int:
    return max(1, ENTRIES // max(1, entries))


def _pair(sample: Any) -> tuple[Tensor, Tensor]:
    """Inputs and target of a sample as tensors."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise TypeError(f"it is a {type(sample).__name__}, expected a pair (inputs, target)")
    inputs, target = sample
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        kind = inputs.dtype if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
        raise TypeError(f"its inputs are {kind}, expected a tensor of floats: convert it first")
    return inputs.as_subclass(Tensor), torch.as_tensor(target)
