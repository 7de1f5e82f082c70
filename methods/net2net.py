"""Net2Net: copies of existing neurons that share their fan-out."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal, get_args

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    Choice,
    GrowthMethod,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
    gaussian,
)

Shares = Literal["unequal", "equal", "lemon"]


@dataclass(frozen=True)
class Net2Net(GrowthMethod):
    """Each new neuron copies an existing one, which shares its fan-out with its copies.

    Attributes:
        shares: of the fan-out w of a neuron among itself and its r − 1 copies. "unequal": random
            ones, as with equal shares copies would have equal gradients for ever. "equal": w/r
            (FPI of bert2BERT, HyperCloning), for use with noise. "lemon": w/r + ξ_j − mean ξ, with
            ξ as a layer is initialised from scratch, after which copies differ for any optimiser;
            with shares of w alone, Adam removes what differs between their gradients.
        noise: standard deviation of what is added to the copies' fan-in, as a fraction of that of
            the layer's weights; public implementations take 0.05. It changes the function.

    References:
        Net2Net: Accelerating Learning via Knowledge Transfer, Chen, Goodfellow, Shlens, 2016.
        https://arxiv.org/abs/1511.05641
        LEMON: Lossless model expansion, Wang et al., 2024. https://arxiv.org/abs/2310.07999
        bert2BERT: Towards Reusable Pretrained Language Models, Chen et al., 2022.
        https://arxiv.org/abs/2110.07143
        HyperCloning: Scaling Smart, Samragh et al., 2024. https://arxiv.org/abs/2409.12903
    """

    name: ClassVar[str] = "net2net"
    summary: ClassVar[str] = "copies of existing neurons that share their fan-out"
    reference: ClassVar[str] = "Chen et al., ICLR 2016, arXiv 1511.05641"
    grows_from: ClassVar[tuple[Literal["seed", "quarter"], ...]] = ("quarter",)
    search_space: ClassVar[Mapping[str, Range]] = {
        "shares": Choice(get_args(Shares)),
        "noise": Choice((0.0, 0.01, 0.05)),
    }

    shares: Shares = "unequal"
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.shares not in get_args(Shares):
            raise ValueError(f"shares is {self.shares!r}, expected {', '.join(get_args(Shares))}")
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise is {self.noise}, expected a finite number from 0")

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return self.noise == 0

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        rounds = -(-k // statistics.width)
        orders = [torch.randperm(statistics.width, generator=generator) for _ in range(rounds)]
        copied = torch.cat(orders)[:k].to(statistics.fan_out.device)
        fan_out, weight_update = self._shared(statistics, copied, generator)
        return NewNeurons(
            fan_in=self._copies(statistics, copied, generator),
            fan_out=fan_out,
            gains=fan_out.new_zeros(k),
            weight_update=weight_update,
            copied=copied,
        )

    def _shared(
        self, statistics: SiteStatistics, copied: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """The copies' fan-out, shape (k, taps, d), and what the shared neurons lose."""
        W, k, width = statistics.fan_out, len(copied), statistics.width
        if self.shares == "unequal":
            kept = torch.rand(width, generator=generator, dtype=torch.float64)
            given = torch.rand(k, generator=generator, dtype=torch.float64).to(W.device)
            totals = kept.to(W.device).index_add(0, copied, given)
            fan_out = W[copied] * (given / totals[copied])[:, None, None]
            return fan_out, statistics.taken(copied, fan_out)
        among = torch.ones(width, dtype=W.dtype, device=W.device)
        among = among.index_add(0, copied, among.new_ones(k))[:, None, None]
        own, fan_out = W / among, (W / among)[copied]
        if self.shares == "lemon":
            size = sqrt(2 / ((width + k) * statistics.taps))
            fresh = gaussian(width + k, W[0].numel(), generator, W) * size
            fresh = fresh.unflatten(1, W.shape[1:])
            mean = fresh[:width].index_add(0, copied, fresh[width:]) / among
            alone = among == 1  # it has no copies, and keeps what it has
            own = own + torch.where(alone, 0.0, fresh[:width] - mean)
            fan_out = fan_out + fresh[width:] - mean[copied]
        return fan_out, statistics.taken(statistics.channels, W - own)

    def _copies(self, statistics: SiteStatistics, copied: Tensor, generator: Generator) -> Tensor:
        fan_in = statistics.grown_weight[copied]
        if self.noise == 0:
            return fan_in
        features = fan_in.shape[1] - statistics.grown_bias
        size = self.noise * statistics.grown_weight[:, :features].std(correction=0)
        added = torch.zeros_like(fan_in)
        added[:, :features] = size * gaussian(len(fan_in), features, generator, fan_in)
        return fan_in + added
