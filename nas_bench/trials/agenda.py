"""When a trial grows, which sites, and how many neurons it asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_bench.growth.grower import Where
from nas_bench.trials.config import Schedule
from nas_bench.trials.schedule import growth_time, milestones
from nas_bench.trials.start import Start


@dataclass(frozen=True)
class Agenda:
    """The growths of a trial.

    Attributes:
        schedule: of the trial.
        grows: whether it has a method that grows.
        milestones: widths after each growth of a same-target trial, None where sizes are free.
    """

    schedule: Schedule
    grows: bool
    milestones: list[tuple[int, ...]] | None

    @classmethod
    def of(cls, start: Start) -> "Agenda":
        """That of a trial which begins with this."""
        schedule, grows = start.config.schedule, start.method is not None
        if start.config.kind == "free" or not grows:
            return cls(schedule, grows, None)
        return cls(schedule, grows, milestones(schedule, start.widths, start.task.target_widths))

    @property
    def target(self) -> tuple[int, ...] | None:
        """Widths that the trial must end with, if any."""
        return self.milestones[-1] if self.milestones else None

    @property
    def where(self) -> Where:
        """Which of the sites that grow now the engine is to take."""
        return "each" if self.schedule.where == "turn" else self.schedule.where

    def due(self, growths: int, epoch: float, step: int) -> bool:
        """Whether another growth follows after so many, here and now."""
        if not self.grows or self.done(growths):
            return False
        now = epoch if self.schedule.unit == "epochs" else step
        return now >= growth_time(self.schedule, growths) - 1e-9

    def done(self, growths: int) -> bool:
        """Whether none is left after so many."""
        last = self.schedule.growths if self.milestones is None else len(self.milestones)
        return growths >= (last or math.inf)

    def asked(self, growths: int, names: Sequence[str], widths: Sequence[int]) -> dict[str, int]:
        """Neurons asked for at each site, named with its width, in the next growth."""
        if self.milestones is None:
            turn = growths % len(names)
            growing = names[turn : turn + 1] if self.schedule.where == "turn" else names
            return dict.fromkeys(names, 0) | dict.fromkeys(growing, self.schedule.neurons)
        goals = self.milestones[growths]
        return {n: g - w for n, g, w in zip(names, goals, widths, strict=True)}
