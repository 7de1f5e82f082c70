"""From a protocol to its searches, and from what was chosen to the final trials."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nas_bench import plugins
from nas_bench.specs import parse
from nas_bench.trials.config import TrialConfig
from nas_bench.tuning.history import search_protocol, tuned_protocol
from nas_bench.tuning.points import Sampling
from nas_bench.tuning.space import Change, changes

Rates = Mapping[str, float]
"""The learning rates of tasks' recipes, by spec."""


@dataclass(frozen=True)
class Candidate:
    """One configuration of a search.

    Attributes:
        change: what it changes.
        trials: one for each search seed.
    """

    change: Change
    trials: tuple[TrialConfig, ...]


@dataclass(frozen=True)
class Search:
    """The configurations of one method on one task, the protocol's default first."""

    task: str
    method: str
    candidates: tuple[Candidate, ...]

    @property
    def trials(self) -> list[TrialConfig]:
        """Those of all configurations."""
        return [trial for candidate in self.candidates for trial in candidate.trials]


def searches(
    planned: Sequence[TrialConfig], sampling: Sampling, count: int, seeds: Collection[int]
) -> list[Search]:
    """A search for each task and method of a plan.

    Options that the plan's specs of a method set are what is compared: they are not tuned.

    Args:
        planned: what the protocol asks for.
        sampling: of the configurations.
        count: of the configurations, the default among them.
        seeds: of the search trials.
    """
    first = {(c.task, c.method): c for c in planned if c.twin is None}
    fixed = _compared({method for _, method in first})
    tried: dict[str, tuple[Change, ...]] = {}
    for (_, method), config in first.items():
        if method not in tried:
            tried[method] = changes(config, fixed[parse(method).name], sampling, count)
    rates = learning_rates(planned)
    return [
        Search(
            task,
            method,
            tuple(_candidate(config, change, seeds, rates[task]) for change in tried[method]),
        )
        for (task, method), config in first.items()
    ]


def tuned(
    planned: Sequence[TrialConfig], chosen: Mapping[tuple[str, str], Change]
) -> list[TrialConfig]:
    """The trials of a plan with the settings that were chosen, by task and method; twins too."""
    rates, renamed = learning_rates(planned), dict[str, str]()
    found = []
    for config in planned:
        change = chosen[config.task, config.method]
        final = change.applied(config, rates[config.task])
        update: dict[str, object] = {"protocol": tuned_protocol(config.protocol)}
        if config.twin:
            update["twin"] = config.twin.model_copy(update={"of": renamed[config.twin.of]})
        found.append(final.model_copy(update=update))
        renamed[config.id] = found[-1].id
    return found


def learning_rates(planned: Sequence[TrialConfig]) -> Rates:
    """Those of the recipes of the tasks of a plan."""
    return {task: plugins.task(task).recipe.learning_rate for task in {c.task for c in planned}}


def _compared(methods: Collection[str]) -> dict[str, set[str]]:
    """The options that any of these specs sets, by the name of the method."""
    found: dict[str, set[str]] = defaultdict(set)
    for spec in map(parse, methods):
        found[spec.name] |= spec.options.keys()
    return found


def _candidate(
    config: TrialConfig, change: Change, seeds: Collection[int], rate: float
) -> Candidate:
    name = search_protocol(config.protocol, config.method)
    found = change.applied(config, rate)
    return Candidate(
        change,
        tuple(found.model_copy(update={"protocol": name, "seed": seed}) for seed in seeds),
    )
