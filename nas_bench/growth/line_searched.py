"""What methods share whose steps are regularised and searched for their amplitudes."""

import math
from dataclasses import dataclass, replace

from torch import nn

from nas_bench.growth.measure import statistics_batch
from nas_bench.growth.method import GrowthMethod, LineSearch, NewNeurons, UpdateAmplitude
from nas_bench.growth.sites import Site


@dataclass(frozen=True)
class LineSearched(GrowthMethod):
    """A method that may apply TINY's δW*, and whose amplitudes the engine searches.

    Attributes:
        ridge: ρ of S + ρ s̄ I and S₁ + ρ s̄₁ I, s̄ their features' mean power (the constant 1 has no
            ridge); 0 for the exact solutions of the paper.
        update_amplitude: that of δW*: "search": its own line search, before the neurons'; "one":
            none, Algorithm 3 to the letter; "shared": that of the neurons.
        largest_amplitude: ε up to which is searched; the paper has 1.
        line_search: "bracket": about four amplitudes around the lowest loss; "grid": all 21.
        statistics_factor: c of the statistics batch, clip(c p²/P, 500, dataset) samples (D.1).
    """

    ridge: float = 1e-3
    update_amplitude: UpdateAmplitude = "search"
    largest_amplitude: float = 1.0
    line_search: LineSearch = "bracket"
    statistics_factor: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.ridge < math.inf:
            raise ValueError(f"ridge is {self.ridge}, expected a number of at least 0")
        largest = self.largest_amplitude
        if not 2**-20 <= largest <= 16:
            raise ValueError(f"largest_amplitude is {largest}, expected a number from 2^-20 to 16")
        if not 0 < self.statistics_factor < math.inf:
            raise ValueError(
                f"statistics_factor is {self.statistics_factor}, expected more than 0"
            )

    @property
    def searches_amplitude(self) -> bool:
        """See the base class."""
        return True

    @property
    def regularised(self) -> bool:
        """See the base class."""
        return self.ridge > 0

    def searched(self, proposal: NewNeurons) -> NewNeurons:
        """A proposal whose amplitudes are searched as these options say."""
        return replace(
            proposal,
            update_amplitude=self.update_amplitude,
            largest_amplitude=self.largest_amplitude,
            line_search=self.line_search,
        )

    def statistics_samples(self, site: Site, model: nn.Module, k: int) -> int:
        """See the base class."""
        return statistics_batch(site.inputs(model), site.positions, self.statistics_factor)
