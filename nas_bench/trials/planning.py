"""From a protocol to the trials it asks for."""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from logging import getLogger
from typing import TYPE_CHECKING, get_args

from nas_bench import plugins
from nas_bench.options import validated
from nas_bench.specs import InputError, spelled
from nas_bench.text import human
from nas_bench.trials.config import Budget, Kind, TrialConfig, Twin
from nas_bench.trials.protocol import Protocol
from nas_bench.trials.schedule import (
    first_look,
    first_widths,
    growth_time,
    milestones,
    start_widths,
)

if TYPE_CHECKING:
    from nas_bench.training.task import Task

ALL = "all"
CONTROLS = (
    "tiny[projection=false]",
    "tiny[update=false]",
    "tiny[significance=false]",
    "random_growth[update=true]",
    "random_growth[zero_fan_out=true]",
)
"""What separates a method's neurons from what else it does: beside every method in `all`."""
_TRIALS, _PARAMETERS = 100_000, 2e9
"""Limits of a plan and of a network."""
_WIDE = 4096
"""Up to these widths parameters need not be counted."""


def plan(protocol: Protocol, baselines: bool = True) -> list[TrialConfig]:
    """The trials of a protocol, each once: by task, then seed, then method, twins last.

    Args:
        protocol: with every override applied.
        baselines: whether to add the protocol's baselines.

    Raises:
        InputError: if a method, task or option is unknown, or the schedule does not fit.
    """
    if protocol.twins and set(protocol.twins) == {_match_of_fixed(protocol.kind, protocol.budget)}:
        getLogger(__name__).warning(
            "No twins are planned: with the same target, fixed is the twin of equal %s",
            protocol.twins[0],
        )
    trials: list[TrialConfig] = []
    for task in _unique(plugins.canonical(task, "task") for task in protocol.tasks):
        own = on_task(protocol, task)
        trials += _trials(own, task, own.baselines if baselines else (), _TRIALS - len(trials))
    return [*trials, *(twin for trial in trials for twin in _twins(protocol, trial))]


def on_task(protocol: Protocol, task: str) -> Protocol:
    """A protocol as it is on a task, by its canonical spec.

    Raises:
        InputError: if a task that has settings of its own is unknown.
    """
    per_task = {plugins.canonical(spec, "task"): spec for spec in protocol.per_task}
    return protocol.on(per_task[task]) if task in per_task else protocol


def _trials(
    protocol: Protocol, task: str, baselines: Iterable[str], most: int
) -> list[TrialConfig]:
    """Those on one task, but for twins."""
    methods = _unique(
        spec for method in (*protocol.methods, *baselines) for spec in _expanded(method)
    )
    base = _ready(protocol, task)
    ready = [_ready(each, task) for each in protocol.variations()] if protocol.vary else [base]
    _check_widths(protocol, task, methods)
    rows = [
        (method, own)
        for method in methods
        for own in (ready if plugins.method(method).grows else [base])
    ]
    if len(rows) * len(protocol.seeds) > most:
        raise InputError(f"these are more than {_TRIALS} trials: ask for fewer seeds or tasks")
    seeds = dict.fromkeys(protocol.seeds)
    return [_trial(own, task, method, seed) for seed, (method, own) in product(seeds, rows)]


def _ready(protocol: Protocol, task: str) -> Protocol:
    """With its trigger and recipe spelled out, checked on a task."""
    schedule = protocol.schedule.model_copy(update={"when": _trigger(protocol)})
    protocol = protocol.model_copy(update={"recipe": _recipe(protocol), "schedule": schedule})
    _check(protocol, task)
    return protocol


def _expanded(method: str) -> list[str]:
    """The canonical specs that one element of a list of methods stands for."""
    if method != ALL:
        return [plugins.canonical(method, "method")]
    found = plugins.methods()
    working = [name for name, plugin in found.items() if plugin.cls is not None]
    return working + [spec for spec in CONTROLS if spec.partition("[")[0] in working]


def _twins(protocol: Protocol, trial: TrialConfig) -> Iterator[TrialConfig]:
    """The twins of a growing trial, but for the one that `fixed` is."""
    if not plugins.method(trial.method).grows:
        return
    for match in protocol.twins:
        if match != _match_of_fixed(trial.kind, trial.budget):
            yield trial.model_copy(update={"twin": Twin(of=trial.id, match=match)})


def _match_of_fixed(kind: Kind, budget: Budget) -> str | None:
    """In what `fixed` equals grown networks with a fixed target; None where sizes are free."""
    if kind == "free" or budget.seconds is not None:
        return None
    return "steps" if budget.flops is None else "flops"


def _trial(protocol: Protocol, task: str, method: str, seed: int) -> TrialConfig:
    return TrialConfig(
        protocol=protocol.name,
        version=protocol.version,
        kind=protocol.kind,
        task=task,
        method=method,
        seed=seed,
        budget=protocol.budget,
        schedule=protocol.schedule,
        recipe=protocol.recipe,
        evaluations=protocol.evaluations,
        full_evaluations=protocol.full_evaluations,
        evaluate_grown=protocol.evaluate_grown,
        validation=protocol.validation,
        optimizer_policy=protocol.optimizer_policy,
        statistics_factor=protocol.statistics_factor,
        redraw_dead=protocol.redraw_dead,
        start=protocol.start,
        threads=protocol.threads,
    )


def _recipe(protocol: Protocol) -> dict[str, object]:
    from nas_bench.training.task import Recipe

    values = validated(protocol.recipe, Recipe, "recipe")
    try:
        Recipe(**values)
    except ValueError as error:
        raise InputError(f"recipe: {error}") from None
    return values


def _trigger(protocol: Protocol) -> str:
    """The canonical spec of the schedule's trigger.

    Raises:
        InputError: if there is no such trigger, it reads what there is not, or it looks again and
            again at one time.
    """
    from nas_bench.trials.trigger import Reading

    schedule = protocol.schedule
    trigger = plugins.trigger(schedule.when)
    for name in trigger.reads:
        if name not in get_args(Reading):
            raise InputError(
                f"{schedule.when} reads {name!r}, expected {' or '.join(get_args(Reading))}"
            )
    times = [trigger.time(done, first_look(schedule), schedule.every) for done in range(4)]
    if not all(isinstance(time, (int, float)) and math.isfinite(time) for time in times):
        raise InputError(f"trigger {schedule.when} looks at {times}, expected finite numbers")
    if trigger.name != "every" and any(after <= before for before, after in pairwise(times)):
        raise InputError(
            f"protocol {protocol.name}: with schedule.when {schedule.when} and schedule.every "
            f"{schedule.every:g} looks come at {', '.join(f'{time:g}' for time in times)} "
            f"{schedule.unit}: set schedule.every above 0"
        )
    return plugins.canonical(schedule.when, "trigger")


def _check(protocol: Protocol, task: str) -> None:
    """Refuse a trigger that reads what a task has not, and a target out of reach."""
    schedule, budget, instance = protocol.schedule, protocol.budget, plugins.task(task)
    trigger = plugins.trigger(schedule.when)
    if any(name.endswith("_error") for name in trigger.reads) and instance.metric == "loss":
        raise InputError(
            f"{schedule.when} reads {' and '.join(trigger.reads)}, but task {task} is scored by "
            "its loss and has no error: choose a trigger that reads losses"
        )
    if protocol.kind == "free":
        return
    seed = start_widths(instance, protocol.start)
    try:
        growths = len(milestones(schedule, seed, instance.target_widths))
    except ValueError as error:
        raise InputError(f"protocol {protocol.name} on task {task}: {error}") from None
    if schedule.when != "every":
        return  # growths that would come too late are forced
    last = growth_time(schedule, growths - 1)
    limit = budget.epochs if schedule.unit == "epochs" else budget.steps
    if limit is not None and last >= limit:
        raise InputError(
            f"protocol {protocol.name}: growth {growths} of {growths} would come at {last:g} "
            f"{schedule.unit}, but the budget ends at {budget}: raise --budget, or lower "
            "schedule.growths, schedule.first or schedule.every with --set"
        )


def _check_widths(protocol: Protocol, task: str, methods: Iterable[str]) -> None:
    """Refuse methods whose own widths are not those of a task's networks, or too large."""
    instance = plugins.task(task)
    sizes = {instance.target_widths: task}
    for method in methods:
        try:
            widths = first_widths(instance, plugins.method(method), protocol.start)
            sizes.setdefault(widths, f"{method} on task {task}")
        except ValueError as error:
            raise InputError(f"{method} on task {task}: {error}") from None
    for widths, what in sizes.items():
        if max(widths) > _WIDE and (count := _parameters(instance, widths)) > _PARAMETERS:
            raise InputError(
                f"{what}: with widths {spelled(list(widths))} the network has {human(count)} "
                f"parameters, more than {human(_PARAMETERS)}: choose smaller ones"
            )


def _parameters(task: "Task", widths: tuple[int, ...]) -> int:
    """Of a network that takes no memory; 0 if it cannot be made here, which its trials tell."""
    import torch

    from nas_bench.training.randomness import isolated

    try:
        with isolated(0), torch.device("meta"):
            return sum(parameter.numel() for parameter in task.network(widths).parameters())
    except KeyboardInterrupt:
        raise
    except BaseException:  # tasks of others may do anything
        return 0


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
