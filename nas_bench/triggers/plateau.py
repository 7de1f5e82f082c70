"""Plateau: growth once training no longer helps."""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from nas_bench.trials.trigger import Progress, Reading, Trigger


@dataclass(frozen=True)
class Plateau(Trigger):
    """Growth where a loss or error has fallen by less than a share over the last looks.

    With E after so many looks since the last growth, growth is due if E[t − window] − E[t] <
    delta · scale. The scale is E at the first look since the last growth (Ash's rule), E[t −
    window] (Hirose's), or 1 (AutoGrow's convergent growth, with metric=error, delta=0.0005).

    Attributes:
        window: looks over which the fall is taken, none of them before the last growth.
        delta: the fall below which growth is due; negative: only a rise is enough.
        of: the split.
        metric: the mean loss, or the error, which is 1 − accuracy.
        relative_to: the scale of delta.

    References:
        Dynamic Node Creation in Backpropagation Networks, Ash, 1989, Connection Science 1(4).
        AutoGrow, Wen et al., KDD 2020, https://arxiv.org/abs/1906.02909 (the authors' code watches
        the test accuracy, which no trigger sees here).
    """

    name: ClassVar[str] = "plateau"
    summary: ClassVar[str] = "once a loss or error has stopped falling (Ash, Hirose, AutoGrow)"
    reference: ClassVar[str] = "Ash, Connection Science 1989; Wen et al., KDD 2020"

    window: int = 3
    delta: float = 0.01
    of: Literal["train", "validation"] = "train"
    metric: Literal["loss", "error"] = "loss"
    relative_to: Literal["growth", "window", "nothing"] = "growth"

    def __post_init__(self) -> None:
        """Refuse a window or a delta with which nothing is ever decided.

        Raises:
            ValueError: if a number is out of its range.
        """
        if not 1 <= self.window <= 10**6:
            raise ValueError(f"window is {self.window}, expected looks from 1 to 10^6")
        if not -100 <= self.delta <= 100:
            raise ValueError(f"delta is {self.delta}, expected a number from -100 to 100")

    @property
    def reads(self) -> tuple[Reading, ...]:
        """See the base class."""
        return (cast("Reading", f"{self.of}_{self.metric}"),)

    def due(self, progress: Progress) -> bool:
        """See the base class."""
        (name,) = self.reads
        values = [look.readings[name] for look in progress.since]
        if len(values) <= self.window:
            return False
        before = values[-1 - self.window]
        scale = {"growth": values[0], "window": before, "nothing": 1.0}[self.relative_to]
        return before - values[-1] < self.delta * scale
