"""Protocols: named, versioned ways to compare growth methods."""

import functools
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from nas_bench.options import misread
from nas_bench.specs import InputError, shown, specs, unknown
from nas_bench.trials.config import Budget, First, Kind, OptimizerPolicy, Schedule, Value
from nas_bench.trials.inputs import SEEDS, budget, explained, mapping, read_yaml, seeds

_EXTENDS = "extends"
_OWN = ("name", "version", "summary")
"""What a protocol that extends another one does not have from there."""
_NESTED = ("schedule", "recipe")
"""Fields of which single values are changed."""
_VARY = ("optimizer_policy", "statistics_factor")
"""Fields, beside those of the schedule, that say nothing of networks that never grow."""
_PER_TASK = ("methods", "budget", "evaluations", "full_evaluations", "targets", *_NESTED)
"""Fields that tasks may have of their own."""


class Departure(Value):
    """One thing in which a protocol differs from its source.

    Attributes:
        paper: what the source says, or does not.
        here: what runs.
        why: for what reason.
    """

    paper: str
    here: str
    why: str


class Protocol(Value):
    """A way to compare: kind of experiment, schedule, budget, seeds and evaluation points.

    Attributes:
        name: what users type.
        version: raised whenever results would change.
        summary: one line for tables and help.
        claim: what the experiment tests, one sentence.
        source: of the claim: paper and figure.
        departures: what differs from the source.
        kind: same target (only the new neurons' weights differ) or free growth.
        tasks: specs of tasks.
        methods: specs of methods compared where none are asked for.
        baselines: specs of methods added to every comparison.
        seeds: of initial weights, data order and growth.
        budget: how much training each trial may do.
        schedule: when, where and how much to grow.
        recipe: overrides of the tasks' training recipes, by field name.
        per_task: what is otherwise on single tasks, by their specs: methods, budget,
            evaluations, full_evaluations, targets, and single values of schedule and recipe.
        vary: values with which methods that grow are run, each with each of the others, such as
            `schedule.when: [every, plateau]`.
        evaluations: points of the grid on which records lie, shares of the FLOPs that training
            the task's target network for the budget takes.
        full_evaluations: how often the whole validation split and the test split are scored too.
        evaluate_grown: whether they are once the last growth is done.
        validation: fraction of the training set kept apart.
        optimizer_policy: what optimiser state new parameters get; the default was chosen by
            validation scores (docs/methods.md).
        statistics_factor: c of TINY's statistics batch (D.1) for every method; None: each
            method's own number of samples.
        redraw_dead: whether first networks with a dead hidden layer are drawn again.
        start: seed, the tasks' seed widths, or quarter, a quarter of their target widths.
        threads: torch threads on a CPU.
        twins: which twins each grown network gets.
        targets: validation scores of which the report says when rows reach them: accuracies in
            percent, or losses.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=100)
    version: int = Field(gt=0, le=10**6)
    summary: str
    claim: str | None = None
    source: str | None = None
    departures: tuple[Departure, ...] = Field(default=(), max_length=100)
    kind: Kind
    tasks: tuple[str, ...] = Field(min_length=1, max_length=1000)
    methods: tuple[str, ...] = Field(min_length=1, max_length=1000)
    baselines: tuple[str, ...] = ("fixed[size=seed]", "fixed")
    seeds: tuple[Annotated[int, Field(ge=0, lt=10**9)], ...] = Field(
        min_length=1, max_length=SEEDS
    )
    budget: Budget
    schedule: Schedule
    recipe: dict[str, Any] = Field(default_factory=dict)
    per_task: dict[str, dict[str, Any]] = Field(default_factory=dict, max_length=1000)
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    evaluations: int = Field(default=50, ge=1, le=1000)
    full_evaluations: int = Field(default=4, ge=1, le=8)
    evaluate_grown: bool = False
    validation: float = Field(default=0.1, gt=0, lt=1)
    optimizer_policy: OptimizerPolicy = "per_entry"
    statistics_factor: float | None = Field(default=None, gt=0, le=1e9)
    redraw_dead: bool = False
    start: First = "seed"
    threads: int = Field(default=1, gt=0, le=1024)
    twins: tuple[Literal["steps", "flops"], ...] = ()
    targets: tuple[float, ...] = Field(default=(), max_length=3)

    @field_validator("tasks", "methods", "baselines", mode="before")
    @classmethod
    def _specs(cls, value: Any) -> Any:
        return specs(value) if isinstance(value, str) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        return seeds(str(value)) if isinstance(value, str | int) else value

    @field_validator("budget", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> Any:
        return budget(str(value)) if isinstance(value, str | int | float) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        growths, widths = self.schedule.growths, self.schedule.widths
        if self.kind == "free":
            if widths is not None:
                raise ValueError("free growth takes schedule.neurons, not widths")
            if self.schedule.every == 0 and growths is None:
                raise ValueError("with schedule.every: 0 free growth needs schedule.growths")
        else:
            if (growths is None) == (widths is None):
                raise ValueError("the same target needs one of schedule.growths and widths")
            if self.schedule.where not in ("each", "turn", "all"):
                raise ValueError("the same target needs schedule.where to be each, turn or all")
        return self

    def on(self, task: str) -> "Protocol":
        """The protocol as it is on a task, by the task's spec as `per_task` spells it."""
        values = {**self.model_dump(), "per_task": {}}
        return Protocol.model_validate(merged(values, self.per_task.get(task, {})))

    def variations(self) -> "list[Protocol]":
        """One protocol for each combination of what varies."""
        values = {**self.model_dump(), "vary": {}}
        changes = (zip(self.vary, choice, strict=True) for choice in product(*self.vary.values()))
        return [Protocol.model_validate(_varied(values, dict(change))) for change in changes]


def protocol_names() -> list[str]:
    """The protocols that come with the package."""
    found = files("nas_bench.protocols").iterdir()
    return sorted(entry.name[:-5] for entry in found if entry.name.endswith(".yaml"))


def load_protocol(name: str, changes: Iterable[Mapping[str, Any]] = ()) -> Protocol:
    """A protocol by name or path of a YAML file, with changes applied in turn.

    Raises:
        InputError: if there is none of this name, or it is not valid.
    """
    values = protocol_values(name)
    for change in changes:
        values = merged(values, change)
    protocol = _validated(f"protocol {name}", values)
    for task, own in protocol.per_task.items():
        _validated(f"protocol {name}, per_task {task}", merged({**values, "per_task": {}}, own))
    for key, choices in protocol.vary.items():
        for choice in choices:
            _validated(f"protocol {name}, vary", _varied({**values, "vary": {}}, {key: choice}))
    return protocol


def _validated(what: str, values: dict[str, Any]) -> Protocol:
    try:
        protocol = Protocol.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{what}: {explained(error)}") from None
    if found := misread(values, protocol.model_dump()):
        where, given, expected = found
        raise InputError(f"{what}: {where}: expected {expected}, not {shown(given)}")
    return protocol


def protocol_values(name: str) -> dict[str, Any]:
    """What the file of a protocol says, on top of what it extends, before validation.

    Raises:
        InputError: if a file is not there, extends itself, or does not say whose it is.
    """
    values: dict[str, Any] = {}
    for said in reversed(lineage(name).values()):
        values = merged(values, {key: value for key, value in said.items() if key != _EXTENDS})
    return values


def lineage(name: str) -> dict[str, dict[str, Any]]:
    """What the files of a protocol, of the one it extends, and so on, say themselves, by name."""
    found: dict[str, dict[str, Any]] = {}
    while name not in found:
        try:
            found[name] = _file_values(name)
        except InputError as error:
            if not found:
                raise
            raise InputError(f"protocol {[*found][-1]} extends {name}: {error}") from None
        base = found[name].get(_EXTENDS)
        if base is None:
            return found
        _refuse_borrowed_identity(name, base, found[name])
        name = _base(base, name)
    circle = " → ".join([*found, name])
    raise InputError(f"protocols extend each other in a circle: {circle}")


def _base(base: str, name: str) -> str:
    """What a protocol extends: a name, or a path relative to its own file."""
    if not _is_file(base):
        return base
    return os.path.normpath(Path(name).parent / base)


def _refuse_borrowed_identity(name: str, base: Any, values: Mapping[str, Any]) -> None:
    if not isinstance(base, str):
        raise InputError(
            f"protocol {name}: extends is {shown(base)}, expected the name of a protocol or the "
            "path of a YAML file"
        )
    missing = [key for key in _OWN if key not in values]
    if missing:
        raise InputError(
            f"protocol {name} extends {base} and needs its own {', '.join(_OWN)}: "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _file_values(name: str) -> dict[str, Any]:
    if _is_file(name):
        return read_yaml(Path(name))
    return _shipped_values(name)


@functools.cache
def _shipped_values(name: str) -> dict[str, Any]:
    if name not in protocol_names() and os.sep in name:
        raise InputError(f"{name} is no YAML file: its name must end in .yaml or .yml")
    if name not in protocol_names():
        raise InputError(unknown("protocol", name, protocol_names()))
    return mapping((files("nas_bench.protocols") / f"{name}.yaml").read_text("utf-8"), name)


def merged(values: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Protocol values with a change applied, to all tasks; a new budget replaces the old one.

    Raises:
        InputError: if the change names a field that protocols do not have.
    """
    result = dict(values)
    for key, value in change.items():
        _known(key, value)
        result[key] = _changed(key, values.get(key), value)
    if own := values.get("per_task"):
        kept = {task: _without(ours, change) for task, ours in own.items()}
        result["per_task"] = _changed("per_task", kept, change.get("per_task", {}))
    if "vary" not in change and (vary := values.get("vary")):
        result["vary"] = {key: choices for key, choices in vary.items() if not _says(change, key)}
    return result


def _varied(values: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in choice.items():
        first, _, second = key.partition(".")
        values = merged(values, {first: {second: value} if second else value})
    return dict(values)


def _says(change: Mapping[str, Any], key: str) -> bool:
    """Whether a change has a value for what is spelled with a point."""
    first, _, second = key.partition(".")
    return first in change and (not second or second in change[first])


def _changed(key: str, before: Any, value: Any) -> Any:
    """A value in place of another; of schedule and recipe, single ones; of a task, likewise."""
    if not (isinstance(before, Mapping) and isinstance(value, Mapping)):
        return value
    if key == "per_task":
        return {
            task: merged(before.get(task, {}), value[task]) if task in value else before[task]
            for task in {**before, **value}
        }
    return {**before, **value} if key in _NESTED else value


def _without(ours: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """What is a task's own after a change for all tasks."""
    left = {key: value for key, value in ours.items() if key in _NESTED or key not in change}
    for key in _NESTED:
        if key in left and key in change:
            left[key] = {name: v for name, v in left[key].items() if name not in change[key]}
    return left


def _known(key: str, value: Any) -> None:
    fields = Protocol.model_fields
    if key == "evaluate_every":
        raise InputError(
            f"protocols have no evaluate_every any more, but it is {shown(value)}: leave it out, "
            "and say with evaluations at how many points of the budget trials are evaluated "
            f"({fields['evaluations'].default} unless given)"
        )
    if key not in fields:
        raise InputError(unknown("protocol setting", key, fields))
    if key == "per_task":
        _known_per_task(value)
    if key == "vary":
        _known_vary(value)
    model = fields[key].annotation
    if isinstance(model, type) and issubclass(model, BaseModel) and isinstance(value, Mapping):
        for name in value:
            if name not in model.model_fields:
                raise InputError(unknown(f"setting of {key}", str(name), model.model_fields))


def _known_per_task(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise InputError(
            f"per_task is {shown(value)}, expected settings by task, such as "
            "`digits: {budget: 1e9 flops}`"
        )
    for task, own in value.items():
        if not isinstance(own, Mapping):
            raise InputError(
                f"per_task of {task} is {shown(own)}, expected settings, such as "
                "`budget: 1e9 flops`"
            )
        for key, setting in own.items():
            if key not in _PER_TASK:
                raise InputError(unknown("setting of a task", str(key), _PER_TASK))
            _known(key, setting)


def _known_vary(value: Any) -> None:
    settings = [*_VARY, *(f"schedule.{name}" for name in Schedule.model_fields)]
    if not isinstance(value, Mapping):
        raise InputError(
            f"vary is {shown(value)}, expected lists of values by setting, such as "
            "`schedule.when: [every, plateau]`"
        )
    for key, choices in value.items():
        if key not in settings:
            raise InputError(unknown("setting to vary", str(key), settings))
        if not isinstance(choices, list | tuple) or not choices:
            raise InputError(f"vary.{key} is {shown(choices)}, expected a list of values")
