"""Significant: growth until nothing is found that is above chance."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.trials.trigger import Progress, Trigger


@dataclass(frozen=True)
class Significant(Trigger):
    """Growth at every look until a method's own test has found nothing, and never again.

    What is found is what the method itself adds: `tiny` adds nothing where no gain is above chance
    (D.3), a line search where no amplitude lowers the loss. Methods without a test always add, and
    never stop. Statistics are charged with each attempt; the trigger costs nothing.

    Attributes:
        patience: attempts in a row that have to find nothing.

    References:
        Growing Tiny Networks, Verbockhaven et al., ICLR 2024, appendix D.3.
        https://arxiv.org/abs/2405.19816
    """

    name: ClassVar[str] = "significant"
    summary: ClassVar[str] = "at regular intervals until the method's test finds nothing"
    reference: ClassVar[str] = "Verbockhaven et al., 2024, appendix D.3, arXiv 2405.19816"

    patience: int = 1

    def __post_init__(self) -> None:
        """Refuse a patience that is none.

        Raises:
            ValueError: if it is not from 1 to 10^6.
        """
        if not 1 <= self.patience <= 10**6:
            raise ValueError(f"patience is {self.patience}, expected attempts from 1 to 10^6")

    def due(self, progress: Progress) -> bool:
        """See the base class."""
        last = progress.growths[-self.patience :]
        return len(last) < self.patience or any(growth.added for growth in last)
