"""Random growth: new neurons as a layer would be initialised from scratch."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

from torch import Generator, nn

from nas_bench.growth import (
    SEARCH_SAMPLES,
    LineSearched,
    Need,
    NewNeurons,
    Site,
    SiteStatistics,
    gaussian,
    random_fan_in,
    zero_fan_out_neurons,
)


@dataclass(frozen=True)
class RandomGrowth(LineSearched):
    """Kaiming-normal fan-in and fan-out, with the line search that TINY has.

    Attributes:
        update: also apply TINY's δW*, the best update of the existing weights.
        zero_fan_out: silent neurons instead, with the mean norm of the present rows.

    References:
        Growing Tiny Networks: Spotting Expressivity Bottlenecks and Fixing Them Optimally,
        Verbockhaven, Rudkiewicz, Chevallier, Charpiat, 2024, appendix E.1.1.
        https://arxiv.org/abs/2405.19816
    """

    name: ClassVar[str] = "random_growth"
    summary: ClassVar[str] = "Kaiming-normal new neurons"
    reference: ClassVar[str] = "Verbockhaven et al., TMLR 2024, arXiv 2405.19816, E.1.1"
    version: ClassVar[int] = 2

    update: bool = False
    zero_fan_out: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update and self.zero_fan_out:
            raise ValueError("random_growth takes update or zero_fan_out, not both")

    @property
    def searches_amplitude(self) -> bool:
        """See the base class."""
        return not self.zero_fan_out

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return self.zero_fan_out

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.HIDDEN | Need.GOAL if self.update else Need.NOTHING

    def statistics_samples(self, site: Site, model: nn.Module, k: int) -> int:
        """See the base class."""
        return super().statistics_samples(site, model, k) if self.update else SEARCH_SAMPLES

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        if self.zero_fan_out:
            return zero_fan_out_neurons(statistics, k, generator)
        fan_in = random_fan_in(statistics, k, generator)
        taps, d = statistics.taps, statistics.outputs
        fan_in_next = (statistics.width + k) * taps
        fan_out = gaussian(k, taps * d, generator, fan_in) * sqrt(2 / fan_in_next)
        proposal = NewNeurons(
            fan_in=fan_in,
            fan_out=fan_out.reshape(k, taps, d),
            gains=fan_in.new_zeros(k),
            weight_update=statistics.ridged(self.ridge).weight_update if self.update else None,
        )
        return self.searched(proposal)
