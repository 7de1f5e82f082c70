"""The data that growth reads: batches of (inputs, targets), the same in every pass."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

_GOLDEN = -0x61C8864680B583EB
_MIX = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1))
Batch = tuple[Tensor, Any]
"""Inputs and targets, samples first; targets may be tuples or dicts of tensors."""


class Passes:
    """Batches that may be read several times, and refuse to differ between passes."""

    def __init__(self, batches: Iterable[Batch], device: torch.device) -> None:
        self.batches = batches
        self.device = device
        self.known: list[tuple[int, ...]] = []
        self.begun, self.whole = False, False

    def __iter__(self) -> Iterator[Batch]:
        if self.begun and iter(self.batches) is self.batches:
            raise ValueError(
                "the data can be read only once and a second pass is needed; "
                "pass a list or a DataLoader instead of an iterator"
            )
        self.begun, number = True, 0
        for number, batch in enumerate(self.batches, start=1):
            pair = checked(batch, f"batch {number}")
            self._check(number - 1, tuple(_checksum(leaf) for leaf in tree_leaves(pair)))
            yield on(self.device, pair)
        if number != len(self.known):
            raise _changed()
        self.whole = True

    def _check(self, number: int, sums: tuple[int, ...]) -> None:
        """Compare a batch with that of earlier passes, which may have ended before it."""
        if number == len(self.known) and not self.whole:
            self.known.append(sums)
        elif number >= len(self.known) or self.known[number] != sums:
            raise _changed()


def checked(batch: Any, name: str) -> Batch:
    """A batch that is a pair of inputs and targets, with a target for every input.

    Args:
        batch: whatever the data is made of.
        name: for messages.

    Raises:
        ValueError: if it is anything else, or empty.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        what = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else _kind(batch)
        raise ValueError(
            f"{name} is {what}, expected (inputs, targets); what else the loss reads belongs "
            "into the targets: (inputs, (targets, weights))"
        )
    inputs, targets = batch
    if not isinstance(inputs, Tensor) or not inputs.dim():
        raise ValueError(f"{name} has {_kind(inputs)} as inputs, expected a tensor, samples first")
    if not len(inputs):
        raise ValueError(f"{name} is empty: leave batches without samples out")
    for leaf in tree_leaves(targets):
        if not isinstance(leaf, Tensor):
            raise ValueError(f"{name} has {_kind(leaf)} among its targets, expected tensors")
        if not leaf.dim() or len(leaf) != len(inputs):
            raise ValueError(
                f"{name} has {len(inputs)} samples and targets of shape {tuple(leaf.shape)}: "
                "expected targets with samples first, as many as inputs"
            )
    return inputs, targets


def first(batches: Iterable[Batch], count: int, otherwise: str = ", or a search_batch") -> Batch:
    """The first samples of the data.

    Args:
        batches: of which nothing is read if it can be read only once.
        count: how many, at most.
        otherwise: what helps as well then.

    Raises:
        ValueError: if there are none, or the data could not be read again.
    """
    if iter(batches) is batches:
        raise ValueError(
            "the data can be read only once and several passes are needed; "
            f"pass a list or a DataLoader instead of an iterator{otherwise}"
        )
    parts: list[Batch] = []
    for number, batch in enumerate(islice(batches, count), start=1):
        parts.append(checked(batch, f"batch {number}"))
        if sum(len(inputs) for inputs, _ in parts) >= count:
            break
    if not parts:
        raise ValueError("no data to grow from: the batches are empty")
    return some(tree_map(lambda *leaves: torch.cat(leaves), *parts), slice(count))


def some(values: Any, which: slice) -> Any:
    """Some samples of every tensor."""
    return tree_map(lambda leaf: leaf[which], values)


def spread(batch: Batch, count: int) -> Batch:
    """So many samples of a batch, at equal distances."""
    n = len(batch[0])
    return tree_map(lambda leaf: leaf[torch.arange(count, device=leaf.device) * n // count], batch)


def on(device: torch.device, batch: Batch) -> Batch:
    """A batch on a device, as tensors of which autograd may keep some."""
    return tree_map(lambda x: (x.clone() if x.is_inference() else x).to(device), batch)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def _changed() -> ValueError:
    return ValueError(
        "the data changed between two passes; statistics need the same samples in the "
        "same order: switch off shuffling and random augmentation"
    )


def _checksum(values: Tensor) -> int:
    """Of the bytes, CRC-32 on a CPU: a change of a value or of the order changes it."""
    flat = values.detach().contiguous().reshape(-1).view(torch.uint8)
    return zlib.crc32(flat.numpy().data) if flat.device.type == "cpu" else mixed_sum(flat)


def mixed_sum(values: Tensor) -> int:
    """Σᵢ f(xᵢ + i c) in 64 bits, f a bijection that mixes; the bytes stay on their device.

    Args:
        values: bytes, shape (n,).

    References:
        Fast Splittable Pseudorandom Number Generators, Steele, Lea, Flood, 2014,
        https://doi.org/10.1145/2714064.2660195 (f is its mix64).
    """
    words = functional.pad(values, (0, -len(values) % 8)).view(torch.int64)
    places = torch.arange(len(values), len(values) + len(words), device=values.device)
    z = words + places * _GOLDEN
    for shift, factor in _MIX:
        z = (z ^ (z >> shift & 2 ** (64 - shift) - 1)) * factor
    return int(z.sum())
