"""The order in which training sees its samples."""

from typing import Any

import torch
from torch import Generator, Tensor


class DataOrder:
    """Endless batches of indices: every epoch all samples once, in an order drawn anew.

    The last batch of an epoch is smaller where the batch size does not divide n. Orders are drawn
    on the CPU, the same for every device, and go to the device once an epoch: to take a batch of
    data there, nothing is waited for.
    """

    def __init__(self, n: int, generator: Generator, device: torch.device | str = "cpu") -> None:
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

    def copy(self) -> "DataOrder":
        """Another one with the same batches before it, on the CPU; this one stays where it is."""
        other = DataOrder(self.n, Generator())
        other.restore(self.state())
        return other

    def _take(self, permutation: Tensor, position: int) -> None:
        self.permutation, self.position = permutation, position
        self._there = permutation.to(self.device)
