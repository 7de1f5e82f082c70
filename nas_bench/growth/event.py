"""What a growth did at one site."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "added", "updated", "rejected", "not significant", "not possible", "not chosen",
    "too expensive",
]  # fmt: skip


STEEP = 5.0
"""How many times larger a growth may make the norm of the next layer without a warning."""


@dataclass(frozen=True)
class GrowthEvent:
    """One attempt to grow one site.

    Attributes:
        site: name of the grown layer.
        status: what became of it: updated where δW* was applied and no neuron added; too
            expensive is for those who keep budgets to say.
        asked: neurons asked for.
        proposed: neurons that the method had.
        dropped: neurons that were not significant.
        added: neurons of the method that were added.
        filled: neurons with zero fan-out that the engine added to reach the number asked for.
        gains: λ of the neurons proposed.
        threshold: the gain below which a neuron was not significant, None if not tested.
        draws: of the null distribution that were made, likewise; where nothing was significant
            they ended early, and the threshold is at least so much.
        amplitude: ε* of the neurons, None if not searched.
        scale: γ of the neurons, None if not searched.
        update_amplitude: ε* of δW*, None where none was applied.
        update_scale: γ of δW*, likewise.
        update_norm: ‖δW*‖ (Frobenius) as proposed, None if the method has none.
        grown_update_norm: the same of the update of the grown layer's existing rows.
        next_norm_before: ‖W‖ (Frobenius) of the next layer.
        next_norm_after: the same after the growth.
        predicted: drop of the mean loss to first order, on the search minibatch.
        measured: drop of the mean loss, on the search minibatch.
        score: what sites were ranked by, None if they were not.
        flops: multiply-adds by part; one pass for several sites is booked with the first.
        seconds: likewise.
        warning: what may make the next training steps unstable, or None.
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
    draws: int | None
    amplitude: float | None
    scale: float | None
    update_amplitude: float | None
    update_scale: float | None
    update_norm: float | None
    grown_update_norm: float | None
    next_norm_before: float
    next_norm_after: float
    predicted: float
    measured: float
    score: float | None
    flops: dict[str, float]
    seconds: dict[str, float]
    warning: str | None = None


def steepness(site: str, norms: tuple[float, float]) -> str | None:
    """What may make the next training steps unstable, given ‖W‖ of the next layer."""
    before, after = norms
    if after <= STEEP * before or before == 0:
        return None
    return (
        f"the weights that read {site} grew {after / before:.3g}-fold, from norm {before:.3g} to "
        f"{after:.3g}: the next training steps may be unstable"
    )
