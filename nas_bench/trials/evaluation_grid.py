"""When a trial is evaluated: on a grid that all trials of a protocol and task share."""

import math

from nas_bench.trials.config import Budget
from nas_bench.trials.start import Start
from nas_bench.trials.state import State

_ROUNDING = 1e-9


class EvaluationGrid:
    """The points after which records are due.

    The dense grid is absolute: multiples of a share of the FLOPs that training the task's target
    network for the protocol's budget takes, growth counted, whatever the trial's own budget is.
    FLOPs are no measure of a budget in seconds: there it is shares of the trial's own budget, as
    those of the full grid are always.
    """

    def __init__(self, start: Start, state: State) -> None:
        self.budget, self.full = start.budget, start.config.full_evaluations
        self.dense = start.config.evaluations
        self.every: float | None = None
        if start.config.budget.seconds is None:
            self.every = _target_flops(start.config.budget, state) / self.dense

    def place(self, state: State) -> tuple[int, int]:
        """The last points of the dense and of the full grid that the trial has reached."""
        share = state.spent.fraction(self.budget, state.epoch)
        dense = state.spent.flops / self.every if self.every else share * self.dense
        return math.floor(dense + _ROUNDING), math.floor(share * self.full + _ROUNDING)


def _target_flops(budget: Budget, state: State) -> float:
    """Of training the task's target network for a budget; a budget in FLOPs says it itself."""
    if budget.flops is not None:
        return budget.flops
    target = state.architectures.costs(state.task.target_widths)
    if budget.epochs is not None:
        return budget.epochs * state.samples * target.training
    batch = min(state.batch_size_of(target), state.samples)
    epochs, rest = divmod(budget.size, math.ceil(state.samples / batch))
    return (epochs * state.samples + rest * batch) * target.training
