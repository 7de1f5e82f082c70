"""What identifies a trial: plain frozen values with a hash."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from nas_bench.options import WIDEST
from nas_bench.text import counted

Kind = Literal["same_target", "free"]
OptimizerPolicy = Literal["transplant", "zeros", "per_entry", "copied", "reset"]
First = Literal["seed", "quarter"]
NewRate = Literal["same", "norm", "warmup"]
_LATER = ("when", "reserve", "new_rate", "warmup_steps", "restart_decay")
"""Settings of a schedule that came later: where they are the default, identities are as before."""
_Width = Annotated[int, Field(gt=0, le=WIDEST)]


class Value(BaseModel):
    """A frozen value of finite numbers; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Budget(Value):
    """How much training a trial may do; exactly one of the fields is set.

    Attributes:
        epochs: passes over the training split.
        steps: optimiser steps.
        flops: training plus growth, in multiply-adds (one multiply-add = one FLOP).
        seconds: training plus growth by the clock, without evaluation and checkpoints; what a
            trial reaches in them depends on the machine and cannot be reproduced.
    """

    epochs: float | None = Field(default=None, gt=0, le=1e9)
    steps: int | None = Field(default=None, gt=0, le=10**12)
    flops: float | None = Field(default=None, gt=0, le=1e24)
    seconds: float | None = Field(default=None, gt=0, le=1e9)

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        values = (self.epochs, self.steps, self.flops, self.seconds)
        if sum(value is not None for value in values) != 1:
            raise ValueError("a budget is exactly one of epochs, steps, flops or seconds")
        return self

    @model_serializer(mode="wrap")
    def _with_its_old_identity(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Seconds came later: trials without them keep the identity they had."""
        values = whole(self)
        return {k: v for k, v in values.items() if k != "seconds" or v is not None}

    def share(self, *, epoch: float, step: int, flops: float, seconds: float) -> float:
        """How much of it is spent, from 0 to 1 (and a last step beyond)."""
        pairs = (
            (epoch, self.epochs), (step, self.steps), (flops, self.flops), (seconds, self.seconds)
        )  # fmt: skip
        return next(spent / limit for spent, limit in pairs if limit is not None)

    def __str__(self) -> str:
        return counted(self.size, self.unit.removesuffix("s"))

    @property
    def unit(self) -> str:
        """The name of the field that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def size(self) -> float:
        """How many of its unit."""
        return getattr(self, self.unit)


class Schedule(Value):
    """When, where and how much to grow, and when to stop.

    Attributes:
        when: spec of the trigger, which looks at the trial from time to time and decides whether
            it grows; `every`: at each look.
        every: interval between looks, in `unit`s; 0: all of them right after each other. The
            first look is at `first`.
        unit: of `every` and `first`.
        first: when the first look happens; `every` if None.
        reserve: share of the budget left after the last growth, however few a trigger asks for:
            growths that would come too late are forced, one a look (same target, another trigger
            than `every`).
        where: "each": every site one after the other, statistics anew; "turn": one site in each
            growth, in network order and round again; "all": every site from one pass; "best":
            only the site with the largest measured loss gain; "predicted": only the site with
            the largest predicted gain; "gradient": only the site where new neurons have the
            largest gradient, which costs one pass over the search batch.
        neurons: how many are asked for at a site (free growth).
        growths: in how many growths the widths go from seed to target (same target), or how
            many there are at most (free growth).
        widths: instead of `growths`, the widths after each growth (same target).
        max_parameters: no growth that would exceed it, or the parameters of the task's "target"
            network (free growth).
        max_flops: no growth whose network would exceed it per sample (free growth).
        new_rate: learning rate of the entries that a growth added, those of all layers together:
            that of all others ("same"); times ‖W_new‖/‖W_seed‖ of their tensor right after the
            growth, so that all move by the same share ("norm", Variance Transfer); or a rise from
            0 within `warmup_steps` ("warmup").
        warmup_steps: optimiser steps until new entries have the whole learning rate.
        restart_decay: whether the recipe's decay starts anew at each growth, over what is left of
            the budget.
    """

    when: str = Field(default="every", max_length=1000)
    every: float = Field(default=1.0, ge=0, le=1e12)
    unit: Literal["epochs", "steps"] = "epochs"
    first: float | None = Field(default=None, ge=0, le=1e12)
    where: Literal["each", "turn", "all", "best", "predicted", "gradient"] = "each"
    neurons: int = Field(default=5, gt=0, le=WIDEST)
    growths: int | None = Field(default=None, gt=0, le=10_000)
    widths: tuple[tuple[_Width, ...], ...] | None = Field(default=None, max_length=10_000)
    max_parameters: Annotated[int, Field(gt=0, le=10**12)] | Literal["target"] | None = None
    max_flops: float | None = Field(default=None, gt=0, le=1e24)
    reserve: float = Field(default=0.25, ge=0, lt=1)
    new_rate: NewRate = "same"
    warmup_steps: int = Field(default=100, gt=0, le=10**9)
    restart_decay: bool = False

    @model_serializer(mode="wrap")
    def _with_its_old_identity(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        defaults = {name: type(self).model_fields[name].default for name in _LATER}
        values = whole(self)
        return {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}


class Twin(Value):
    """A trial whose network is another trial's final one, trained from scratch.

    Attributes:
        of: identity of the original trial.
        match: "steps": the original's budget in steps; "flops": its training + growth FLOPs.
    """

    of: str
    match: Literal["steps", "flops"]


class TrialConfig(Value):
    """One trial: protocol with its budget, task, method and seed.

    Attributes:
        protocol: name of the protocol.
        version: of the protocol.
        kind: same target (only the new neurons' weights differ) or free growth.
        task: canonical spec, such as `mnist` or `mnist[target_widths=[20,10]]`.
        method: canonical spec, such as `tiny[projection=false]`; the original's for a twin.
        seed: of initial weights, data order and growth.
        budget: how much training.
        schedule: when, where and how much to grow.
        recipe: overrides of the task's training recipe, by field name.
        evaluations: points of the grid on which records lie, which is that of all trials of the
            protocol on the task: shares of the FLOPs that training the target network for the
            budget takes (of a budget in seconds, of the seconds).
        full_evaluations: how often on the way the whole validation split and the test split are
            scored too: at equal shares of the trial's budget, the last at its end.
        evaluate_grown: whether they are scored too when the last growth of the schedule is done.
        validation: fraction of the training set kept apart as validation split.
        optimizer_policy: what optimiser state new parameters get.
        statistics_factor: c of n = clip(c p²/P, 500, dataset) (TINY, D.1) for every method; None:
            each measures its statistics on as many samples as it asks for.
        redraw_dead: whether the first network is drawn again while a hidden layer of it has no
            unit that is active on 1 % of the samples.
        start: the widths of the task with which methods begin that grow: its seed widths, or a
            quarter of its target widths, where copies have something to copy.
        threads: torch threads on a CPU; part of the identity, since bits depend on them.
        twin: what this trial is the twin of.
        evaluate_every: epochs between records, of earlier results alone.
    """

    protocol: str
    version: int
    kind: Kind
    task: str
    method: str
    seed: int = Field(ge=0)
    budget: Budget
    schedule: Schedule
    recipe: dict[str, Any] = {}
    evaluations: int = Field(default=50, ge=1, le=1000)
    full_evaluations: int = Field(default=4, ge=1, le=8)
    evaluate_grown: bool = False
    validation: float = Field(default=0.1, gt=0, lt=1)
    optimizer_policy: OptimizerPolicy = "transplant"
    statistics_factor: float | None = Field(default=None, gt=0)
    redraw_dead: bool = False
    start: First = "seed"
    threads: int = Field(default=1, gt=0)
    twin: Twin | None = None
    evaluate_every: float | None = Field(default=None, gt=0)

    @model_serializer(mode="wrap")
    def _with_its_old_identity(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is left out: earlier trials keep the identity they had."""
        values = whole(self)
        if not self.redraw_dead:
            del values["redraw_dead"]
        if self.start == "seed":
            del values["start"]
        grid = ("evaluations", "full_evaluations", "evaluate_grown")
        other = ("evaluate_every",) if self.evaluate_every is None else grid
        return {name: value for name, value in values.items() if name not in other}

    @property
    def settings_id(self) -> str:
        """Eight hexadecimal digits that all seeds of one configuration share."""
        return self.identities()[1]

    @property
    def id(self) -> str:
        """Identity of the trial, 16 hexadecimal digits."""
        return self.identities()[0]

    def identities(self) -> tuple[str, str]:
        """`id` and `settings_id`, for who needs both."""
        values = self.model_dump(mode="json")
        identity = _digest(values)[:16]
        del values["seed"]
        if self.twin:
            del values["twin"]["of"]
        return identity, _digest(values)[:8]

    @property
    def reproducible(self) -> bool:
        """Whether the same trial ends the same way again: a clock does not decide when.

        A twin does: it gets the steps or FLOPs that its original spent.
        """
        return self.budget.seconds is None or self.twin is not None

    @property
    def label(self) -> str:
        """What tables call the method of this trial."""
        return f"{self.method} twin ({self.twin.match})" if self.twin else self.method


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
