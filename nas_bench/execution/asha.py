"""Early stopping: trials of one search that lag at a rung of FLOPs give way to the others."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Record, as_dict, score

if TYPE_CHECKING:
    from ray.tune.schedulers import ASHAScheduler, TrialScheduler

REDUCTION = 3
"""About one in so many of the trials that reach a rung goes on; also the factor between rungs."""
RUNGS = 2
"""Comparisons of a trial before its end: at a ninth and a third of its budget."""


@dataclass(frozen=True)
class EarlyStopping:
    """What is known to searches when a sweep begins.

    Attributes:
        earlier: trials of the same searches that have ended before, and their records.
    """

    earlier: tuple[tuple[TrialConfig, tuple[Record, ...]], ...] = ()


def scheduler(
    configs: Sequence[TrialConfig], searches: "Searches", stop: Callable[[int, str], None]
) -> "TrialScheduler":
    """What tells Ray Tune to stop trials.

    Args:
        configs: of the trials, by number; their budgets are in FLOPs.
        searches: that the trials belong to.
        stop: hears the number of a trial that is stopped, and why.
    """
    from ray.tune.schedulers import FIFOScheduler

    class Halving(FIFOScheduler):
        """Starts trials in order and stops some."""

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            number = trial.config["spec"]["number"]
            for message in result.get("messages", []):
                if why := searches.hear(configs[number], message):
                    stop(number, why)
                    return self.STOP
            return self.CONTINUE

        def __reduce__(self) -> tuple[Any, ...]:
            """Tune stores the experiment, which is never restored: nothing of ours goes in."""
            return FIFOScheduler, ()

    return Halving()


class Searches:
    """An ASHA of Ray Tune for each search: a method on a task with a search seed.

    Asynchronous successive halving (Li et al., MLSys 2020) as Ray has it, which only ever stops: a
    trial that reaches a rung goes on if its validation score is not below the 67th percentile of
    those that its search has seen there before, so that the order in which they come matters.
    """

    def __init__(self, stopping: EarlyStopping) -> None:
        self._halvings: dict[tuple[str, str, int], ASHAScheduler] = {}
        self._known: dict[str, SimpleNamespace] = {}
        for config, records in stopping.earlier:
            for record in records:
                self.hear(config, as_dict(record))

    def hear(self, config: TrialConfig, message: dict[str, Any]) -> str | None:
        """Why the trial that says this is stopped; None: it goes on."""
        if message["type"] == "resumed":
            for said in message["messages"]:  # it went on from there
                self.hear(config, said)
        if message["type"] != "record" or message["final"]:
            return None
        flops = message["train_flops"] + message["growth_flops"]
        reached = score(message["validation_accuracy"], message["validation_loss"])
        if self._goes_on(config, flops, reached):
            return None
        return (
            f"at {flops / _budget(config):.0%} of its FLOPs its validation score {reached:.4g} "
            f"was below the {100 - 100 / REDUCTION:.0f}th percentile of its search"
        )

    def _goes_on(self, config: TrialConfig, flops: float, reached: float) -> bool:
        halving, nobody = self._halving(config), cast("Any", None)
        if config.id not in self._known:
            self._known[config.id] = SimpleNamespace(trial_id=config.id)
            halving.on_trial_add(nobody, cast("Any", self._known[config.id]))
        found = {"flops": flops, "score": max(reached, -sys.float_info.max)}
        trial = cast("Any", self._known[config.id])
        return halving.on_trial_result(nobody, trial, found) == halving.CONTINUE

    def _halving(self, config: TrialConfig) -> "ASHAScheduler":
        from ray.tune.schedulers import ASHAScheduler

        search = config.protocol, config.task, config.seed
        if search not in self._halvings:
            budget: Any = _budget(config)  # Ray's numbers need not be whole
            self._halvings[search] = ASHAScheduler(
                time_attr="flops",
                metric="score",
                mode="max",
                max_t=budget,
                grace_period=budget / REDUCTION**RUNGS,
                reduction_factor=REDUCTION,
                stop_last_trials=False,
            )
        return self._halvings[search]


def _budget(config: TrialConfig) -> float:
    if config.budget.flops is None:
        raise ValueError(f"the budget of {config.id} is {config.budget}, not in FLOPs")
    return config.budget.flops
