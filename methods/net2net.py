"""Net2Net: copies of existing neurons that share their fan-out."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from nas_bench.growth import GrowthMethod, Need, NewNeurons, Site, SiteStatistics


@dataclass(frozen=True)
class Net2Net(GrowthMethod):
    """Each new neuron copies an existing one; the fan-out is shared among them, unequally.

    With equal shares copies would have identical gradients for ever.

    References:
        Net2Net: Accelerating Learning via Knowledge Transfer, Chen, Goodfellow, Shlens, 2016.
        https://arxiv.org/abs/1511.05641
    """

    name: ClassVar[str] = "net2net"
    summary: ClassVar[str] = "copies of existing neurons that share their fan-out"
    reference: ClassVar[str] = "Chen et al., ICLR 2016, arXiv 1511.05641"

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        W = statistics.fan_out
        rounds = -(-k // statistics.width)
        orders = [torch.randperm(statistics.width, generator=generator) for _ in range(rounds)]
        copied = torch.cat(orders)[:k].to(W.device)
        kept = torch.rand(statistics.width, generator=generator, dtype=torch.float64)
        given = torch.rand(k, generator=generator, dtype=torch.float64).to(W.device)
        totals = kept.to(W.device).index_add(0, copied, given)
        fan_out = W[copied] * (given / totals[copied])[:, None, None]
        lost = torch.zeros_like(W).index_add(0, copied, fan_out)
        weight_update = torch.zeros_like(statistics.next_weight)
        weight_update[:, : W[..., 0].numel()] = -lost.permute(2, 0, 1).flatten(1)
        return NewNeurons(
            fan_in=statistics.grown_weight[copied],
            fan_out=fan_out,
            gains=fan_out.new_zeros(k),
            weight_update=weight_update,
            copied=copied,
        )
