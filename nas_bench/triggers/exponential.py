"""Exponential: intervals that grow with the time that has passed."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.trials.trigger import Progress, Trigger

_LONGEST = 1e300


@dataclass(frozen=True)
class Exponential(Trigger):
    """Growths at T₀ = schedule.first and T_t = T_{t−1} + round(rate T_{t−1}), at least one later.

    Larger networks are trained for longer. The paper's T₀ is 8 to 10 epochs; it widens
    exponentially too, which same-target schedules say with schedule.widths.

    Attributes:
        rate: share of the time so far until the next growth.

    References:
        Accelerated Training via Incrementally Growing Neural Networks using Variance Transfer and
        Learning Rate Adaptation, Yuan, Savarese, Maire, NeurIPS 2023, section 3.
        https://arxiv.org/abs/2306.12700
    """

    name: ClassVar[str] = "exponential"
    summary: ClassVar[str] = "at intervals that grow with the time so far (Variance Transfer)"
    reference: ClassVar[str] = "Yuan et al., NeurIPS 2023, arXiv 2306.12700"

    rate: float = 0.2

    def __post_init__(self) -> None:
        """Refuse a rate that is none.

        Raises:
            ValueError: if it is not from 0 to 100.
        """
        if not 0 <= self.rate <= 100:
            raise ValueError(f"rate is {self.rate}, expected a number from 0 to 100")

    def time(self, done: int, first: float, every: float) -> float:
        """See the base class; schedule.every plays no part."""
        at = first
        for _ in range(done):
            at = min(at + max(1, round(self.rate * at)), _LONGEST)
        return at

    def due(self, progress: Progress) -> bool:
        """See the base class."""
        return True
