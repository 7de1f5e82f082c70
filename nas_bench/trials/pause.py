"""Points at which a running trial can be kept, and who keeps it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Keeper(Protocol):
    """Keeps what a trial needs to go on after its process has ended."""

    def load(self) -> dict[str, Any] | None:
        """What was kept last, None if nothing was."""
        ...

    def pause(self, state: Callable[[], dict[str, Any]]) -> None:
        """A chance to keep the state of the trial, or to end it by an exception."""
        ...


@dataclass(frozen=True)
class Pause:
    """A point at which a trial's state is whole and can be kept."""
