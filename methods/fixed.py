"""Fixed size: the network that never grows."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Generator

from nas_bench.growth import GrowthMethod, Need, NewNeurons, Site, SiteStatistics


@dataclass(frozen=True)
class Fixed(GrowthMethod):
    """The baseline that decides whether growing pays.

    Attributes:
        size: the widths it has from the start: the task's target or its seed.
        widths: others than these, in network order.
    """

    name: ClassVar[str] = "fixed"
    summary: ClassVar[str] = "a network of fixed size, trained from scratch"

    size: Literal["target", "seed"] = "target"
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.widths is not None and self.size != "target":
            raise ValueError("fixed takes size or widths, not both")

    @property
    def starts_from(self) -> Literal["seed", "target"] | tuple[int, ...]:
        """See the base class."""
        return self.size if self.widths is None else self.widths

    @property
    def grows(self) -> bool:
        """See the base class."""
        return False

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """No neurons."""
        fan_in, fan_out = statistics.grown_weight[:0], statistics.fan_out[:0]
        return NewNeurons(fan_in, fan_out, gains=fan_in.new_zeros(0))
