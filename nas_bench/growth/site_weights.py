"""The weights of one site: those of its layers, and changes of existing ones."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SiteWeights:
    """The weights of one site.

    Attributes:
        site: name of the grown layer.
        grown_weight: of the grown layer, bias last, shape (width, p).
        next_weight: of the next layer, bias last, shape (d, m); all taps of a hidden neuron
            stand together.
        grown_bias: whether the grown layer has a bias.
        next_bias: whether the next layer has a bias.
        taps: how often the next layer reads each hidden neuron; 1 for linear layers.
    """

    site: str
    grown_weight: Tensor
    next_weight: Tensor
    grown_bias: bool
    next_bias: bool
    taps: int = 1

    @property
    def width(self) -> int:
        """Hidden neurons at present."""
        return len(self.grown_weight)

    @property
    def outputs(self) -> int:
        """d, outputs of the next layer."""
        return len(self.next_weight)

    @cached_property
    def fan_out(self) -> Tensor:
        """The weights by which the next layer reads each hidden neuron, shape (width, taps, d)."""
        columns = self.next_weight[:, : self.width * self.taps]
        return columns.reshape(self.outputs, self.width, self.taps).permute(1, 2, 0)

    @cached_property
    def channels(self) -> Tensor:
        """The numbers of the existing neurons, shape (width,)."""
        return torch.arange(self.width, device=self.grown_weight.device)

    def moved(self, neurons: Tensor, moves: Tensor) -> Tensor:
        """The update of the grown layer's rows that adds to those of some neurons, (width, p).

        Args:
            neurons: which, shape (k,), no two alike.
            moves: shape (k, p).
        """
        return torch.zeros_like(self.grown_weight).index_copy(0, neurons, moves)

    def taken(self, neurons: Tensor, fan_out: Tensor) -> Tensor:
        """The update of the existing weights that takes a fan-out from neurons, shape (d, m).

        Args:
            neurons: which, shape (k,); those named several times lose all of it.
            fan_out: shape (k, taps, d).
        """
        lost = torch.zeros_like(self.fan_out).index_add(0, neurons, fan_out)
        update = torch.zeros_like(self.next_weight)
        update[:, : self.width * self.taps] = -lost.permute(2, 0, 1).flatten(1)
        return update
