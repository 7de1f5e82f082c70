"""NORTH-Select: of many silent random neurons those that raise the effective rank most."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from nas_bench.growth import (
    Need,
    NewNeurons,
    RankedCandidates,
    Site,
    SiteStatistics,
    by_effective_rank,
    zero_fan_out_neurons,
)


@dataclass(frozen=True)
class NorthSelect(RankedCandidates):
    """Random fan-in of the present rows' mean norm, chosen by its activity, and zero fan-out.

    The best of many candidates by the effective rank of the layer's post-activities. The authors'
    code sorts those of linear layers the wrong way round and keeps the worst, and adds the sum of
    the singular values to the rank; the paper's meaning is taken, where the sum decides between
    equal ranks alone. Directions are Gaussian, the authors' Glorot uniform.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022.
        https://arxiv.org/abs/2202.08539
    """

    name: ClassVar[str] = "north_select"
    summary: ClassVar[str] = "silent random neurons, the best of many by effective rank"
    reference: ClassVar[str] = "Maile et al., AutoML 2022, arXiv 2202.08539"
    version: ClassVar[int] = 2

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.SAMPLES

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        drawn = zero_fan_out_neurons(statistics, self.drawn(statistics, k), generator)
        best = by_effective_rank(statistics, drawn.fan_in, self.effective)[:k]
        return NewNeurons(drawn.fan_in[best], drawn.fan_out[best], drawn.gains[best])
