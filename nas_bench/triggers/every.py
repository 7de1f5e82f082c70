"""Every: growth at regular intervals."""

from dataclasses import dataclass
from typing import ClassVar

from nas_bench.trials.trigger import Progress, Trigger


@dataclass(frozen=True)
class Every(Trigger):
    """A growth at every look, whatever the network does."""

    name: ClassVar[str] = "every"
    summary: ClassVar[str] = "at regular intervals, those of schedule.every"

    def due(self, progress: Progress) -> bool:
        """See the base class."""
        return True
