"""What tuning varies: settings that every method shares, and options of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nas_bench import plugins
from nas_bench.growth.search_space import Choice, LogUniform, Range
from nas_bench.specs import Spec, parse
from nas_bench.trials.config import OptimizerPolicy, Schedule, TrialConfig
from nas_bench.tuning.points import Sampling, points

SHARED: Mapping[str, Range] = {
    "learning_rate": LogUniform(0.1, 10.0),
    "interval": Choice((0.5, 1.0)),
    "neurons": Choice((0.5, 1.0, 2.0)),
    "optimizer_policy": Choice(("transplant", "reset")),
}
"""By the place of their share in a point. The first three are factors, so that they mean the same
in every task; of what does not grow only the first one is read."""


@dataclass(frozen=True)
class Change:
    """What one configuration changes in the trials of a protocol; by default nothing.

    Attributes:
        method: canonical spec with the options that are tried.
        learning_rate: factor on that of the protocol, else the task's recipe.
        interval: factor on the time to the first growth and between growths.
        neurons: factor on the neurons of each growth (free growth).
        optimizer_policy: None is the protocol's.
    """

    method: str
    learning_rate: float = 1.0
    interval: float = 1.0
    neurons: float = 1.0
    optimizer_policy: OptimizerPolicy | None = None

    def applied(self, config: TrialConfig, learning_rate: float) -> TrialConfig:
        """A trial of the protocol with this change; a twin still names its old original.

        Args:
            config: of a trial.
            learning_rate: of the task's recipe.
        """
        recipe = dict(config.recipe)
        if self.learning_rate != 1:
            rate = recipe.get("learning_rate", learning_rate) * self.learning_rate
            recipe["learning_rate"] = float(f"{rate:.3g}")
        values = {
            "method": self.method,
            "recipe": recipe,
            "schedule": self._schedule(config.schedule),
            "optimizer_policy": self.optimizer_policy or config.optimizer_policy,
        }
        return config.model_copy(update=values)

    def _schedule(self, schedule: Schedule) -> Schedule:
        first = None if schedule.first is None else schedule.first * self.interval
        neurons = max(1, round(schedule.neurons * self.neurons))
        every = schedule.every * self.interval
        return schedule.model_copy(update={"every": every, "first": first, "neurons": neurons})


def changes(
    config: TrialConfig, fixed: Collection[str], sampling: Sampling, count: int
) -> tuple[Change, ...]:
    """So many configurations of a method, all different, the first one the protocol's default.

    Args:
        config: of any trial of the method under the protocol.
        fixed: options of the method that are not tuned.
        sampling: of the points.
        count: at least 1.

    Raises:
        InputError: if the options that are tuned do not go with those of the method's spec.
    """
    space = _Space(config.method, _shared(config), fixed)
    tried = map(space.change, points(sampling, 2 * count))
    return tuple(dict.fromkeys([Change(config.method), *tried]))[:count]


class _Space:
    """The settings of a method that vary, each with its place in a point."""

    def __init__(self, method: str, shared: Collection[str], fixed: Collection[str]) -> None:
        own = type(plugins.method(method)).search_space
        places = enumerate([*SHARED, *sorted(own)])
        self._spec = parse(method)
        self._shared = [(i, n, SHARED[n]) for i, n in islice(places, len(SHARED)) if n in shared]
        self._own = [(i, name, own[name]) for i, name in places if name not in fixed]

    def change(self, point: Sequence[float]) -> Change:
        """The configuration at a point."""
        shared: dict[str, Any] = {n: values.at(point[i]) for i, n, values in self._shared}
        own = {name: values.at(point[i]) for i, name, values in self._own}
        spec = Spec(self._spec.name, {**self._spec.options, **own})
        return Change(plugins.canonical(str(spec), "method"), **shared)


def _shared(config: TrialConfig) -> set[str]:
    """The shared settings that make a difference to a method under this protocol."""
    names = {"learning_rate"}
    if plugins.method(config.method).grows:
        names.add("optimizer_policy")
        if config.schedule.every > 0 or config.schedule.first:
            names.add("interval")
        if config.kind == "free":
            names.add("neurons")
    return names
