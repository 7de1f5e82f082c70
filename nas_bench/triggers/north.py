"""NORTH: growth while a layer's post-activities keep their rank."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nas_bench.growth import Need, Site, SiteStatistics, effective_rank
from nas_bench.trials.trigger import Progress, Trigger


@dataclass(frozen=True)
class North(Trigger):
    """Growth of each layer whose effective rank keeps up with its width.

    The effective rank φ of a layer is the number of singular values of its post-activities
    H/√rows above a threshold. With φ₀ and M₀ its rank and width at initialisation, a layer of
    width M grows by φ − ⌊γ (φ₀/M₀) M⌋ neurons where that is positive; with the same target any
    such layer lets all grow as the schedule says. The authors look after every gradient step;
    here looks are the schedule's, and the first one is at initialisation.

    Attributes:
        gamma: share of the rank at initialisation that has to be kept; the authors take 0.97 for
            perceptrons, 0.9 for convolutions.
        effective: singular values above it count.
        best_so_far: whether φ₀/M₀ is the largest ratio so far, as the authors have it for
            convolutions, instead of the first one.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022.
        https://arxiv.org/abs/2202.08539
    """

    name: ClassVar[str] = "north"
    summary: ClassVar[str] = "while effective ranks keep up with widths (NORTH-activation)"
    reference: ClassVar[str] = "Maile et al., AutoML 2022, arXiv 2202.08539"

    gamma: float = 0.97
    effective: float = 0.01
    best_so_far: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning.

        Raises:
            ValueError: if gamma is not from 0 to 1 or effective is negative.
        """
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma is {self.gamma}, expected a number above 0, at most 1")
        if self.effective < 0:
            raise ValueError(f"effective is {self.effective}, expected at least 0")

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.SAMPLES

    def measured(self, statistics: SiteStatistics) -> float:
        """See the base class: φ."""
        return effective_rank(statistics, self.effective)

    def time(self, done: int, first: float, every: float) -> float:
        """See the base class."""
        return super().time(done - 1, first, every) if done else 0.0

    def due(self, progress: Progress) -> Mapping[str, int]:
        """See the base class."""
        if len(progress.looks) == 1:
            return {}
        more = {name: self._more(progress, name) for name in progress.now.measured}
        return {name: count for name, count in more.items() if count > 0}

    def _more(self, progress: Progress, site: str) -> int:
        looks = progress.looks if self.best_so_far else progress.looks[:1]
        kept = max(look.measured[site] / look.widths[site] for look in looks)
        threshold = math.floor(self.gamma * kept * progress.now.widths[site])
        return int(progress.now.measured[site]) - threshold
