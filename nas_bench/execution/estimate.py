"""What trials will cost, before they run: from finished ones where there are any."""

import functools
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from nas_bench import plugins
from nas_bench.contract import is_present
from nas_bench.execution.devices import gpus_here, places
from nas_bench.execution.job import Settings
from nas_bench.growth import GrowthMethod
from nas_bench.growth.costs import synchronize
from nas_bench.results.environment import environment
from nas_bench.results.reading import Run
from nas_bench.specs import said
from nas_bench.text import human
from nas_bench.training.data import SAMPLE
from nas_bench.training.evaluation import score
from nas_bench.training.optimizers import optimizer
from nas_bench.training.randomness import isolated
from nas_bench.training.soundness import check_network, loaded
from nas_bench.training.task import DataMissingError, Samples, Split, Task, TaskError
from nas_bench.trials.applicability import refusal
from nas_bench.trials.architecture import Architectures
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.first_network import growing_sites
from nas_bench.trials.schedule import first_look, first_widths, milestones

STEPS, SECONDS = 20, 0.5
"""A measurement ends after so many training steps, or so many seconds."""
_POINTS, _GROWTHS = 16, 10_000
"""Sizes at which a growing network is priced, and growths without another limit, at most."""


@dataclass(frozen=True)
class Estimate:
    """What a trial will cost; None where that is not known.

    Attributes:
        flops: training and growth, in multiply-adds.
        seconds: training, growth and evaluation, in a process that has nothing else to do.
        basis: where the numbers come from, and what they leave out.
    """

    flops: float | None
    seconds: float | None
    basis: str


class Estimator:
    """Estimates for the trials of a plan.

    Args:
        runs: what the ledger has; only results count.
        folder: of data sets; nothing is downloaded.
    """

    def __init__(self, runs: Sequence[Run], folder: Path) -> None:
        self._done = [run for run in runs if run.status == "ok" and run.result]
        self._folder = folder
        self._facts = functools.cache(self._find_facts)
        self._speed = functools.cache(self._find_speed)
        self._refusal = functools.cache(self._find_refusal)
        self._priced: dict[str, float] = {}

    def estimate(self, config: TrialConfig) -> Estimate:
        """Of one trial: from its other seeds, else from counts and throughput."""
        same = [run for run in self._done if run.settings_id == config.settings_id]
        if same:
            flops, seconds = fmean(map(_flops, same)), fmean(map(_seconds, same))
            return Estimate(flops, seconds, f"mean of {_counted(len(same), 'finished seed')}")
        try:
            return self._counted(config)
        except DataMissingError as error:
            return Estimate(config.budget.flops, None, f"not known without the data: {error}")
        except TaskError as error:
            return Estimate(None, None, f"not known: {error}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # tasks and methods of others may do anything
            return Estimate(None, None, f"not known: {said(error)}")

    def refusal(self, config: TrialConfig) -> str | None:
        """Why a trial's method cannot grow the task's network; None where nothing says so."""
        try:
            return self._refusal(config.task, config.validation, config.method)
        except KeyboardInterrupt:
            raise
        except BaseException:  # what is wrong with data, task or method is told by the estimate
            return None

    def _find_refusal(self, task: str, validation: float, method: str) -> str | None:
        facts = self._facts(task, validation)
        with isolated(0):
            model = facts.task.network(facts.task.seed_widths)
        return refusal(plugins.method(method), growing_sites(facts.task, model, facts.data))

    def _counted(self, config: TrialConfig) -> Estimate:
        asked = config
        if config.twin and config.twin.match == "flops":
            original = self.estimate(config.model_copy(update={"twin": None}))
            if original.flops is None:
                return original
            config = config.model_copy(update={"budget": Budget(flops=original.flops)})
        facts = self._facts(config.task, config.validation)
        clock = self._speed(config.task, config.threads, config.validation, _recipe(config))
        if config.budget.seconds is not None:
            mean = fmean(map(facts.costs, _ways(config, facts)))
            samples = config.budget.seconds / max(clock.sample(mean), 1e-9)
            config = config.model_copy(update={"budget": Budget(flops=samples * mean)})
        parts = _parts(config, facts)
        train = sum(samples * facts.costs(widths) for samples, widths in parts)
        seconds = sum(samples * clock.sample(facts.costs(widths)) for samples, widths in parts)
        steps = sum(samples for samples, _ in parts) / _batch_size(config, facts)
        growth, basis = self._growth(config, facts, clock, (train, seconds))
        flops = train + growth[0]
        share = min(1.0, (config.budget.flops or math.inf) / max(flops, 1.0))
        return Estimate(
            share * flops,
            share * (seconds + growth[1]) + _scored(asked, facts, train, steps) * clock.evaluation,
            f"{clock.basis}{basis}",
        )

    def _growth(
        self, config: TrialConfig, facts: "_Facts", clock: "_Clock", training: tuple[float, float]
    ) -> tuple[tuple[float, float], str]:
        """FLOPs and seconds of growth, given those of training, and what is to be said."""
        if config.twin or not plugins.method(config.method).grows:
            return (0.0, 0.0), ""
        same = [
            run.result
            for run in self._done
            if run.result and run.label == config.label and run.task == config.task
        ]
        if not same:
            return self._proposals(config, facts, clock)
        flops = fmean(r.growth_flops / max(r.train_flops, 1.0) for r in same)
        seconds = fmean(r.seconds.growth / max(r.seconds.train, 1e-9) for r in same)
        basis = f"; growth as in {_counted(len(same), 'finished trial')}"
        return (flops * training[0], seconds * training[1]), basis

    def _proposals(
        self, config: TrialConfig, facts: "_Facts", clock: "_Clock"
    ) -> tuple[tuple[float, float], str]:
        """The same of what the method knows that its proposals take."""
        if config.settings_id not in self._priced:
            self._priced[config.settings_id] = _proposal_flops(config, facts)
        flops = self._priced[config.settings_id]
        if not flops:
            return (0.0, 0.0), "; growth steps not included"
        more = flops > (config.budget.flops or math.inf)
        excess = ", more than the budget: it cannot grow as planned" if more else ""
        basis = f"; growth of {config.method} takes about {human(flops)} FLOPs{excess}"
        return (flops, clock.slope * flops), basis

    def _find_facts(self, spec: str, validation: float) -> "_Facts":
        task = plugins.task(spec)
        if not is_present(task, self._folder):
            raise DataMissingError(f"task {spec} has none in {self._folder}")
        train, test = loaded(task, self._folder)
        held_out = max(1, round(validation * len(train)))
        with isolated(0):
            check_network(task, task.network(task.seed_widths), train, test=test)
        return _Facts(Architectures(task, train.first(2).inputs), train, test, held_out)

    def _find_speed(
        self, task: str, threads: int, validation: float, recipe: tuple[Any, ...]
    ) -> "_Clock":
        gpus = gpus_here()
        device = places([task], Settings(), gpus, {})[task].device
        name = gpus.name if device == "cuda" else device
        here = environment()["cpu"]["model"]
        alike = [
            run
            for run in self._done
            if run.task == task and _ran_on(run) == (here, threads, name)
            if run.config and run.config.evaluate_every is None
        ]
        facts = self._facts(task, validation)
        return _fitted(alike, facts) or _measured(facts, threads, dict(recipe), device)


@dataclass(frozen=True)
class _Facts:
    """A task's networks and how many samples there are."""

    architectures: Architectures
    data: Split
    test: Split
    held_out: int

    @property
    def task(self) -> Task:
        return self.architectures.task

    @property
    def train(self) -> int:
        return len(self.data) - self.held_out

    def costs(self, widths: tuple[int, ...]) -> float:
        """Training FLOPs per sample."""
        return self.architectures.costs(widths).training


@dataclass(frozen=True)
class _Clock:
    """Seconds per sample as a line over FLOPs per sample, and seconds per sample scored."""

    base: float
    slope: float
    evaluation: float
    basis: str

    def sample(self, flops: float) -> float:
        return max(0.0, self.base + self.slope * flops)


def _ways(config: TrialConfig, facts: _Facts) -> list[tuple[int, ...]]:
    """The widths from which a trial goes to which, or those that it keeps."""
    task, method = facts.architectures.task, plugins.method(config.method)
    if config.twin:
        return [_way(config.model_copy(update={"twin": None}), facts)[-1][1]]
    first = first_widths(task, method, config.start)
    return [first, task.target_widths] if method.grows else [first]


def _parts(config: TrialConfig, facts: _Facts) -> list[tuple[float, tuple[int, ...]]]:
    """Samples that are trained on, and at which widths, as if the trial grew at every look."""
    flops, found = config.budget.flops or math.inf, []
    samples = _samples(config, facts) or math.inf
    way = _way(config, facts)
    for (start, widths), (end, _) in pairwise([*way, (math.inf, ())]):
        cost = facts.costs(widths)
        span = max(0.0, min(end - start, samples - start, flops / cost))
        flops -= span * cost
        found.append((span, widths))
    return found


def _way(config: TrialConfig, facts: _Facts) -> list[tuple[float, tuple[int, ...]]]:
    """After how many samples the trial has which widths, the first ones after none."""
    first, *rest = _ways(config, facts)
    if not rest:
        return [(0.0, first)]
    if config.kind != "free":
        steps = dict(enumerate(milestones(config.schedule, first, *rest), start=1))
    else:
        last = _free_growths(config, facts, first)
        shares = range(1, min(last, _POINTS) + 1)
        counts = [round(last * share / len(shares)) for share in shares]
        steps = {count: _after(config, first, count) for count in counts}
    return [(0.0, first), *((_samples_at(config, facts, j - 1), w) for j, w in steps.items())]


def _proposal_flops(config: TrialConfig, facts: _Facts) -> float:
    """What a trial's proposals take together, as far as its method knows."""
    task, method = facts.task, plugins.method(config.method)
    if type(method).proposal_flops is GrowthMethod.proposal_flops:
        return 0.0
    total = 0.0
    for (_, before), (_, after) in pairwise(_way(config, facts)):
        with isolated(0):
            model = task.network(before)
        sites = growing_sites(task, model, facts.data)
        for site, width, wider in zip(sites, before, after, strict=True):
            total += method.proposal_flops(site, model, wider - width)
    return total


def _samples_at(config: TrialConfig, facts: _Facts, looks: int) -> float:
    """How many samples are trained on until the look after so many."""
    schedule, batch = config.schedule, _batch_size(config, facts)
    trigger = plugins.trigger(schedule.when)
    size = facts.train if schedule.unit == "epochs" else batch
    return trigger.time(looks, first_look(schedule), schedule.every) * size


def _free_growths(config: TrialConfig, facts: _Facts, first: tuple[int, ...]) -> int:
    """How often a trial of free sizes can grow within its budget and its schedule's limits."""
    schedule, task = config.schedule, facts.architectures.task
    total = _samples(config, facts) or (config.budget.flops or 0.0) / facts.costs(first)
    limit = schedule.max_parameters
    if limit == "target":
        limit = facts.architectures.costs(task.target_widths).parameters
    flops, most = schedule.max_flops or math.inf, schedule.growths or _GROWTHS

    def possible(count: int) -> bool:
        """Whether so many growths come before the end and fit."""
        if count > most or _samples_at(config, facts, count - 1) >= total:
            return False
        costs = facts.architectures.costs(_after(config, first, count))
        return costs.parameters <= (limit or math.inf) and costs.flops <= flops

    return bisect_left(range(1, most + 1), True, key=lambda count: not possible(count))


def _after(config: TrialConfig, first: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The widths after so many growths of free sizes; where one site grows, each in its turn."""
    neurons, sites = config.schedule.neurons, len(first)
    if config.schedule.where in ("each", "all"):
        return tuple(width + count * neurons for width in first)
    return tuple(w + neurons * ((count + sites - 1 - i) // sites) for i, w in enumerate(first))


def _samples(config: TrialConfig, facts: _Facts) -> float:
    """That a budget in epochs or steps trains on."""
    budget = config.budget
    return (budget.epochs or 0) * facts.train + (budget.steps or 0) * _batch_size(config, facts)


def _batch_size(config: TrialConfig, facts: _Facts) -> int:
    recipe = replace(facts.architectures.task.recipe, **config.recipe)
    return min(recipe.batch_size, facts.train)


def _scored(config: TrialConfig, facts: _Facts, flops: float, steps: float) -> float:
    """Samples that the records of a trial score which spends so many FLOPs in so many steps."""
    budget, records = config.budget, float(config.evaluations)
    if budget.seconds is None:
        target = facts.costs(facts.architectures.task.target_widths)
        records *= flops / (budget.flops or _samples(config, facts) * target)
    dense = min(facts.train, SAMPLE) + min(facts.held_out, SAMPLE)
    full = facts.held_out + len(facts.test)
    return min(records, steps) * dense + (config.full_evaluations + 1) * full


def _fitted(runs: Sequence[Run], facts: _Facts) -> _Clock | None:
    """The line through what finished trials measured; None if they are too alike."""
    results = [run.result for run in runs if run.result and run.result.samples]
    costs = [result.train_flops / result.samples for result in results]
    if not costs or max(costs) < 1.5 * max(min(costs), 1.0):
        return None
    times = [result.seconds.train / result.samples for result in results]
    middle, mean = fmean(costs), fmean(times)
    spread = sum((cost - middle) ** 2 for cost in costs)
    slope = sum((c - middle) * (t - mean) for c, t in zip(costs, times, strict=True)) / spread
    slope = max(0.0, slope)
    evaluations = [
        run.result.seconds.evaluation / _scored(run.config, facts, _flops(run), run.result.step)
        for run in runs
        if run.config and run.result
    ]
    basis = f"counted, at the speed of {_counted(len(results), 'finished trial')}"
    return _Clock(max(0.0, mean - slope * middle), slope, fmean(evaluations), basis)


def _measured(facts: _Facts, threads: int, recipe: dict[str, Any], device: str) -> _Clock:
    """The line through a few training steps at seed and at target size, made now."""
    task, before = facts.architectures.task, torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with isolated(0):
            pairs = [
                (facts.costs(w), *_steps(facts, w, recipe, device))
                for w in (task.seed_widths, task.target_widths)
            ]
    finally:
        torch.set_num_threads(before)
    (low, fast, _), (high, slow, evaluation) = pairs
    slope = max(0.0, (slow - fast) / (high - low)) if high > low else 0.0
    where = " on a GPU" if device == "cuda" else ""
    basis = f"counted, at the speed of a few steps measured now{where} at seed and target size"
    return _Clock(max(0.0, slow - slope * high), slope, evaluation, basis)


def _steps(
    facts: _Facts, widths: tuple[int, ...], changes: dict[str, Any], device: str
) -> tuple[float, float]:
    """Seconds per sample of training, and per sample scored."""
    task = facts.architectures.task
    recipe = replace(task.recipe, **changes)
    network, loss = task.network(widths).to(device), task.loss.to(device)
    counted = task.metric == "accuracy"
    inputs, targets = _first(facts.data, recipe.batch_size, device)
    optimiser = optimizer(recipe, network.parameters())

    def step() -> None:
        optimiser.zero_grad()
        loss(network(inputs), targets).backward()
        optimiser.step()

    training = _timed(step) / len(inputs)
    some = Samples(*_first(facts.data, SAMPLE, device))
    return training, _timed(lambda: score(network, some, loss, counted=counted)) / len(some)


def _first(data: Split, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the first samples there."""
    batch = data.first(count)
    return batch.inputs.to(device), batch.targets.to(device)


def _timed(action: Callable[[], Any]) -> float:
    """Seconds of one of several calls, the first one left out."""
    action()
    synchronize()
    begin, done = time.perf_counter(), 0
    while done < STEPS and time.perf_counter() - begin < SECONDS:
        action()
        done += 1
    synchronize()
    return (time.perf_counter() - begin) / max(done, 1)


def _recipe(config: TrialConfig) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(config.recipe.items()))


def _ran_on(run: Run) -> tuple[Any, Any, Any]:
    environment = run.environment
    cpu = (environment.get("cpu") or {}).get("model")
    return cpu, environment.get("threads"), environment.get("device")


def _flops(run: Run) -> float:
    return run.result.train_flops + run.result.growth_flops if run.result else math.nan


def _seconds(run: Run) -> float:
    return sum(vars(run.result.seconds).values()) if run.result else math.nan


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
