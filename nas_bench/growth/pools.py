"""Silent neurons one by one, each the best of a pool of candidates that climb a score."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor, nn

from nas_bench.growth.ascent import ascended
from nas_bench.growth.kaiming import random_fan_in, with_mean_norm
from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.method import GrowthMethod, Need, NewNeurons
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.sums import sample_limit

ROUNDING = 1e-12
"""Of scores, relative to the best that was found."""


class Rest(ABC):
    """What candidates are scored by: what is wanted that no neuron so far provides."""

    @abstractmethod
    def score(self, rows: Tensor) -> Tensor:
        """Of candidates' fan-ins (c, p), each alone, shape (c,)."""

    @abstractmethod
    def beside(self, row: Tensor) -> Self:
        """What is left beside another neuron, fan-in (p,)."""


@dataclass(frozen=True)
class PooledNeurons(GrowthMethod):
    """A method that draws a pool of candidates for each neuron and keeps the best after an ascent.

    Fan-ins have the mean norm of the present rows, fan-outs are zero. A pool is for rows: behind
    several taps a candidate's score would be that of a map.

    Attributes:
        candidates: in a pool.
        steps: of gradient ascent on each candidate's score.
    """

    candidates: int = 8
    steps: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= 10**5:
            raise ValueError(f"candidates is {self.candidates}, expected a number from 1 to 10^5")
        if not 0 <= self.steps <= 10**4:
            raise ValueError(f"steps is {self.steps}, expected a number from 0 to 10^4")

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class.

        Raises:
            SiteError: if the site has a map.
        """
        if site.map is not None:
            raise SiteError(
                f"{self.name} grows layers that read and write rows, and site {site.name} has a "
                "map: leave it out by naming the others, or take another method"
            )
        return Need.SAMPLES | Need.GOAL

    def proposal_flops(self, site: Site, model: nn.Module, k: int) -> float:
        """See the base class: the scores of all candidates and their slopes, on sampled rows."""
        grown, following = layer(model, site.grown), layer(model, site.next)
        kept = min(self.statistics_samples(site, model, k), sample_limit(site.positions))
        columns = inputs(grown) + len(grown.weight) + len(following.weight)
        scores = k * self.candidates * (self.steps + 1)
        return 2.0 * scores * kept * site.positions * columns

    @abstractmethod
    def rest(self, statistics: SiteStatistics) -> Rest:
        """What the first candidates are scored by."""

    @torch.no_grad()
    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        rest, p = self.rest(statistics), statistics.grown_weight.shape[1]
        rows, gains = [], []
        for _ in range(k):
            pool = random_fan_in(statistics, self.candidates, generator)
            pool, scores = ascended(
                rest.score, pool, self.steps, lambda drawn: with_mean_norm(drawn, statistics)
            )
            best = int(scores.argmax())
            if float(scores[best]) <= ROUNDING * max(gains, default=0.0):
                break
            rows.append(pool[best])
            gains.append(float(scores[best]))
            rest = rest.beside(pool[best])
        fan_in = torch.stack(rows) if rows else statistics.grown_weight.new_zeros(0, p)
        found = fan_in.new_tensor(gains)
        order = found.argsort(descending=True, stable=True)
        silent = fan_in.new_zeros(len(rows), statistics.taps, statistics.outputs)
        return NewNeurons(fan_in[order], silent, found[order])
