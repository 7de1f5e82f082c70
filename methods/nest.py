"""NeST: neurons that stand for the connections the gradient wants most."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    GrowthMethod,
    LogUniform,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
)


@dataclass(frozen=True)
class Nest(GrowthMethod):
    """Of B = E[b₂ vᵀ] the largest entries |B_ij|, each given to both sides with a random sign.

    A neuron has fan-in α_i = Σ_j ±√|B_ij| sgn B_ij and fan-out ω_j = Σ_i ±√|B_ij|, with the same
    sign for both, over the largest entries: in expectation α ωᵀ is B on these. Both are then
    rescaled, so that their mean size is a share of that of the present weights. Several neurons
    differ by their signs. For convolutions the authors draw random kernels and keep the one with
    the lowest loss, which a proposal cannot measure: here the entries of B are those of all taps.

    Attributes:
        growth: β, the share of the entries of B that is taken.
        strength: mean size of the new weights, as a share of that of the present ones.

    References:
        NeST: A Neural Network Synthesis Tool Based on a Grow-and-Prune Paradigm, Dai, Yin, Jha,
        2019, algorithm 2. https://arxiv.org/abs/1711.02017
    """

    name: ClassVar[str] = "nest"
    summary: ClassVar[str] = "neurons for the connections with the largest gradients"
    reference: ClassVar[str] = "Dai et al., IEEE Transactions on Computers 2019, arXiv 1711.02017"
    search_space: ClassVar[Mapping[str, Range]] = {
        "growth": LogUniform(0.01, 1.0),
        "strength": LogUniform(0.1, 1.0),
    }

    growth: float = 0.1
    strength: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.growth <= 1:
            raise ValueError(f"growth is {self.growth}, expected a share above 0, at most 1")
        if not 0 < self.strength < float("inf"):
            raise ValueError(f"strength is {self.strength}, expected a finite number above 0")

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.GOAL

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        B = statistics.cross_covariance
        p, taps, d = len(B), statistics.taps, statistics.outputs
        B = B[: p - statistics.grown_bias]
        count = min(ceil(self.growth * B.numel()), int((B != 0).sum()))
        if not count:
            none = B.new_zeros(0, p)
            return NewNeurons(none, B.new_zeros(0, taps, d), none[:, 0])
        largest = B.flatten().abs().topk(count).indices
        signs = torch.randint(2, (k, count), generator=generator).to(B.device) * 2 - 1
        shares = B.new_zeros(k, B.numel())
        shares[:, largest] = signs * B.flatten()[largest].abs().sqrt()
        shares = shares.unflatten(1, B.shape)
        weight = (shares * B.sign()).sum(2)
        fan_in = B.new_zeros(k, p)
        fan_in[:, : len(B)] = self._resized(weight, statistics.grown_weight[:, : len(B)])
        fan_out = self._resized(shares.sum(1), statistics.fan_out.flatten(1))
        return NewNeurons(fan_in, fan_out.unflatten(1, (taps, d)), fan_in.new_zeros(k))

    def _resized(self, new: Tensor, present: Tensor) -> Tensor:
        """Each row with a mean size that is a share of the present weights'."""
        size = new.abs().mean(1, keepdim=True)
        return torch.where(size > 0, new * self.strength * present.abs().mean() / size, new)
