"""Only the update: what TINY's best update of the existing weights does without new neurons."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from nas_bench.growth import LineSearched, Need, NewNeurons, Site, SiteStatistics


@dataclass(frozen=True)
class UpdateOnly(LineSearched):
    """δW* of Proposition 3.1 and no neurons: the control of every method that applies it.

    Where widths must grow, the harness adds silent neurons. No neurons share its amplitude.

    References:
        Growing Tiny Networks: Spotting Expressivity Bottlenecks and Fixing Them Optimally,
        Verbockhaven, Rudkiewicz, Chevallier, Charpiat, 2024. https://arxiv.org/abs/2405.19816
    """

    name: ClassVar[str] = "update_only"
    summary: ClassVar[str] = "TINY's update of the existing weights, no neurons"
    reference: ClassVar[str] = "Verbockhaven et al., TMLR 2024, arXiv 2405.19816, Prop. 3.1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update_amplitude == "shared":
            raise ValueError('update_amplitude is "shared", but there are no neurons to share it')

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.HIDDEN | Need.GOAL

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        fan_in, fan_out = statistics.grown_weight[:0], statistics.fan_out[:0]
        proposal = NewNeurons(
            fan_in,
            fan_out,
            gains=fan_in.new_zeros(0),
            weight_update=statistics.ridged(self.ridge).weight_update,
        )
        return self.searched(proposal)
