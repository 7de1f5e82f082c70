"""What a growth did at one site."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "added", "rejected", "not significant", "not possible", "not chosen", "too expensive"
]


@dataclass(frozen=True)
class GrowthEvent:
    """One attempt to grow one site.

    Attributes:
        site: name of the grown layer.
        status: what became of it; too expensive is for those who keep budgets to say.
        asked: neurons asked for.
        proposed: neurons that the method had.
        dropped: neurons that were not significant.
        added: neurons of the method that were added.
        filled: neurons with zero fan-out that the engine added to reach the number asked for.
        gains: λ of the neurons proposed.
        threshold: the gain below which a neuron was not significant, None if not tested.
        amplitude: ε*, None if not searched.
        scale: γ, None if not searched.
        predicted: drop of the mean loss to first order, on the search minibatch.
        measured: drop of the mean loss, on the search minibatch.
        score: what sites were ranked by, None if they were not.
        flops: multiply-adds by part; one pass for several sites is booked with the first.
        seconds: likewise.
    """

    site: str
    status: Status
    asked: int
    proposed: int
    dropped: int
    added: int
    filled: int
    gains: tuple[float, ...]
    threshold: float | None
    amplitude: float | None
    scale: float | None
    predicted: float
    measured: float
    score: float | None
    flops: dict[str, float]
    seconds: dict[str, float]
