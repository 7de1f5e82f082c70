"""Behaviour versions: whole numbers that change when results do, and what each change reaches.

The core has one for itself (`core.yaml`); each method and task class carries its own `version`.
Code may change as it likes while the number stands still: no result ages.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, field_validator

from nas_bench.specs import parse

SiteKind = Literal[
    "linear", "token", "convolution", "batch norm", "pooling", "flatten", "depthwise"
]


@dataclass(frozen=True)
class Described:
    """What a scope may ask of a trial; None where nobody knows.

    Attributes:
        method: name of the growth method; of a twin, that of its original.
        options: of the method, all of them where they are known.
        sites: the kinds of sites of its network.
        settings: of the trial, by dotted name, such as `schedule.where`.
    """

    method: str
    options: Mapping[str, Any]
    sites: Collection[str] | None
    settings: Mapping[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(_Strict):
    """The trials whose results a change may have changed.

    Attributes:
        methods: specs, of which one has to fit; none: any method.
        sites: kinds of sites, of which the network has to have one; none: any network.
        options: for settings by dotted name the values of which one has to be theirs.
    """

    methods: tuple[str, ...] = ()
    sites: tuple[SiteKind, ...] = ()
    options: dict[str, tuple[Any, ...]] = {}

    @field_validator("methods")
    @classmethod
    def _are_specs(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            parse(method)
        return methods

    def covers(self, trial: Described) -> bool:
        """Whether the result of a trial may have changed; what is not known counts as a yes."""
        method = not self.methods or any(_fits(spec, trial) for spec in self.methods)
        sites = not self.sites or trial.sites is None or any(s in trial.sites for s in self.sites)
        known = {name: trial.settings[name] for name in self.options if name in trial.settings}
        return method and sites and all(value in self.options[n] for n, value in known.items())


class Change(_Strict):
    """A behaviour version of the core.

    Attributes:
        version: counts from 1.
        changed: what became different, one line.
        scope: the trials that it reaches; None: all.
    """

    version: int
    changed: str
    scope: Scope | None = None


@cache
def changes() -> tuple[Change, ...]:
    """Every behaviour version of the core, the oldest first.

    Raises:
        ValueError: if the file is not what it should be.
    """
    return parsed_changes((files(__name__) / "core.yaml").read_text("utf-8"))


def parsed_changes(text: str) -> tuple[Change, ...]:
    """The versions that such a file names.

    Raises:
        ValueError: if an entry is malformed, or the versions do not count from 1.
    """
    found = TypeAdapter(tuple[Change, ...]).validate_python(yaml.safe_load(text))
    numbers = [change.version for change in found]
    if numbers != list(range(1, len(found) + 1)):
        raise ValueError(f"the core's behaviour versions are {numbers}, expected 1, 2, 3, …")
    return found


def core_version() -> int:
    """The core's behaviour version today."""
    return changes()[-1].version


def reaches(trial: Described, since: int, known: Collection[Change]) -> bool:
    """Whether a change of the core since a version reaches a trial; a newer one always does."""
    newest = max(change.version for change in known)
    later = [change for change in known if change.version > since]
    return since > newest or any(c.scope is None or c.scope.covers(trial) for c in later)


@dataclass(frozen=True)
class Earlier:
    """What results from before behaviour versions do not say.

    Attributes:
        core: the core's version by the hash of its source.
        sites: kinds of sites by the name of a task.
    """

    core: Mapping[str, int]
    sites: Mapping[str, tuple[SiteKind, ...]]


@cache
def earlier() -> Earlier:
    """The table that comes with the package."""
    text = (files(__name__) / "earlier.yaml").read_text("utf-8")
    return TypeAdapter(Earlier).validate_python(yaml.safe_load(text))


def _fits(method: str, trial: Described) -> bool:
    """Whether a method's name is the trial's, and the options given are too."""
    spec = parse(method)
    return spec.name == trial.method and all(
        name not in trial.options or trial.options[name] == value
        for name, value in spec.options.items()
    )
