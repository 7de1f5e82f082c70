"""NORTH-Select: of many silent random neurons those that raise the effective rank most."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from nas_bench.growth import (
    GrowthMethod,
    Need,
    NewNeurons,
    Site,
    SiteStatistics,
    by_effective_rank,
    zero_fan_out_neurons,
)


@dataclass(frozen=True)
class NorthSelect(GrowthMethod):
    """Random fan-in of the present rows' mean norm, chosen by its activity, and zero fan-out.

    The best of many candidates by the effective rank of the layer's post-activities. The authors'
    code sorts those of linear layers the wrong way round and keeps the worst; the paper's meaning
    is taken. Directions are Gaussian, the authors' Glorot uniform.

    Attributes:
        candidates: how many are drawn; of convolutions a tenth, as the authors do.
        effective: singular values above it count in the effective rank.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022.
        https://arxiv.org/abs/2202.08539
    """

    name: ClassVar[str] = "north_select"
    summary: ClassVar[str] = "silent random neurons, the best of many by effective rank"
    reference: ClassVar[str] = "Maile et al., AutoML 2022, arXiv 2202.08539"

    candidates: int = 1000
    effective: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= 10**6:
            raise ValueError(f"candidates is {self.candidates}, expected a number from 1 to 10^6")
        if self.effective < 0:
            raise ValueError(f"effective is {self.effective}, expected at least 0")

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.SAMPLES

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        count = self.candidates if statistics.linear else self.candidates // 10
        drawn = zero_fan_out_neurons(statistics, max(count, k), generator)
        best = by_effective_rank(statistics, drawn.fan_in, self.effective)[:k]
        return NewNeurons(drawn.fan_in[best], drawn.fan_out[best], drawn.gains[best])
