"""What values of an option are worth trying: the search spaces that methods declare."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LogUniform:
    """Numbers between two positive ones, their logarithms uniform."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"a range from {self.low} to {self.high}, expected 0 < low < high")

    def at(self, share: float) -> float:
        """The value at a share of the way, in [0, 1]; three significant digits."""
        return float(f"{self.low * (self.high / self.low) ** share:.3g}")


@dataclass(frozen=True)
class Choice:
    """One of several values, all equally likely."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice of nothing, expected at least one value")

    def at(self, share: float) -> Any:
        """The value at a share of the way, in [0, 1]."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


Range = LogUniform | Choice
