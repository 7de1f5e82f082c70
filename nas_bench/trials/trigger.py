"""The contract of a trigger: when a trial grows."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas_bench.growth import Need, Site, SiteStatistics
from nas_bench.options import WIDEST

Reading = Literal["train_loss", "train_error", "validation_loss", "validation_error"]
"""Of at most 1 000 samples of the training or validation split; an error is 1 − accuracy."""


@dataclass(frozen=True)
class Look:
    """What a trigger was shown at one look.

    Attributes:
        at: when, in the schedule's unit.
        readings: those that the trigger reads, by name.
        measured: what it made of the statistics of each site, by the site's name; empty if it
            needs none.
        widths: of every site, by its name.
    """

    at: float
    readings: Mapping[str, float]
    measured: Mapping[str, float]
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Growth:
    """A growth that was done.

    Attributes:
        at: when, in the schedule's unit.
        added: neurons that the method itself added, at all sites together, without those with
            which the harness filled up.
    """

    at: float
    added: int


@dataclass(frozen=True)
class Progress:
    """How a trial went so far: all that a trigger decides by.

    Attributes:
        looks: all of them, the present one last; never empty.
        growths: all of them.
    """

    looks: tuple[Look, ...]
    growths: tuple[Growth, ...]

    @property
    def now(self) -> Look:
        """The present look."""
        return self.looks[-1]

    @property
    def since(self) -> tuple[Look, ...]:
        """The looks after the last growth, all of them before the first."""
        if not self.growths:
            return self.looks
        last = bisect_right(self.looks, self.growths[-1].at, key=lambda look: look.at)
        return self.looks[last:]


@dataclass(frozen=True)
class Trigger(ABC):
    """When a trial grows. Fields are options, all with defaults.

    Subclasses are frozen dataclasses; nothing else needs to be touched to add one. The harness
    looks at the trial from time to time, measures what the trigger declares, charges it as growth,
    and asks whether to grow. A trigger remembers nothing: what it needs to know of the past is in
    the progress, which checkpoints keep. It never sees test data.
    """

    name: ClassVar[str]
    """What users type."""
    summary: ClassVar[str]
    """One line for tables and help."""
    reference: ClassVar[str] = ""
    """Authors, title, year, address."""
    version: ClassVar[int] = 1
    """Behaviour version, from 1: raise it with every change of what it decides; results of other
    versions count as stale."""

    @property
    def reads(self) -> tuple[Reading, ...]:
        """The losses and errors that it is shown at each look."""
        return ()

    @property
    def samples(self) -> int:
        """How many training samples the statistics of a look are measured on."""
        return 500

    def needs(self, site: Site) -> Need:
        """The statistics of a site that `measured` reads."""
        return Need.NOTHING

    def measured(self, statistics: SiteStatistics) -> float:
        """What is kept of the statistics of a site; asked only where they are needed."""
        raise NotImplementedError(f"{self.name} needs statistics, but does not define measured")

    def time(self, done: int, first: float, every: float) -> float:
        """When the next look comes after so many, in the schedule's unit.

        Args:
            done: looks so far.
            first: when the schedule's first one is.
            every: between those of the schedule.
        """
        return first + done * every

    @abstractmethod
    def due(self, progress: Progress) -> bool | Mapping[str, int]:
        """Whether to grow now. Pure.

        Returns:
            True to grow as the schedule says, False not to; in free growth, how many neurons by
            name of the site (elsewhere the schedule says how many).
        """


def decision(trigger: Trigger, progress: Progress) -> bool | dict[str, int]:
    """What a trigger decides; sites that are to get no neurons are left out.

    Raises:
        ValueError: if it is neither True nor False nor neurons by name of the site.
    """
    decided = trigger.due(progress)
    if isinstance(decided, bool):
        return decided
    if not isinstance(decided, Mapping):
        raise ValueError(
            f"trigger {trigger.name} decided {decided!r}, expected True, False or neurons by site"
        )
    for site, count in decided.items():
        if site not in progress.now.widths:
            raise ValueError(
                f"trigger {trigger.name} names site {site!r}, expected "
                f"{' or '.join(progress.now.widths)}"
            )
        if type(count) is not int or not 0 <= count <= WIDEST:
            raise ValueError(
                f"trigger {trigger.name} asks for {count!r} neurons at site {site}, expected a "
                f"whole number from 0 to {WIDEST}"
            )
    return {site: count for site, count in decided.items() if count}


def measurement(trigger: Trigger, site: str, statistics: SiteStatistics) -> float:
    """What a trigger makes of a site's statistics.

    Raises:
        ValueError: if it is no finite number.
    """
    measured = trigger.measured(statistics)
    try:
        value = float(measured)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"trigger {trigger.name} measured {measured} at site {site}, expected a finite number"
        )
    return value
