"""One trial from seed network to final record: the only place that knows the order of things."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Generator

from nas_bench import plugins
from nas_bench.growth import GrowthEvent, GrowthMethod, Site, find_sites, grow, statistics_batch
from nas_bench.growth.amplitude import AMPLITUDES, SEARCH_SAMPLES
from nas_bench.growth.sites import linear
from nas_bench.training.data import DataOrder, prepare
from nas_bench.training.evaluation import chunks, score
from nas_bench.training.flops import parameters
from nas_bench.training.optimizers import learning_rate, optimizer, set_learning_rate
from nas_bench.training.task import Recipe, Samples, Task
from nas_bench.trials.architecture import Architectures
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.messages import GrowthRecord, Message, Record, Seconds
from nas_bench.trials.schedule import growth_time, milestones
from nas_bench.trials.spending import Spent

CHECK_EVERY = {"cpu": 1, "cuda": 100}
"""Steps between looks at the loss; each look makes the host wait for the device."""


class DivergedError(RuntimeError):
    """A loss that is not finite; the message names the step."""


def run_trial(
    config: TrialConfig,
    widths: Sequence[int] | None,
    budget: Budget | None,
    folder: Path,
    device: str,
) -> Iterator[Message]:
    """Run a trial and yield its records and growth attempts as they happen.

    Args:
        config: what identifies it.
        widths: of a twin: the final widths of its original; else None.
        budget: of a twin: in place of the config's; else None.
        folder: of the data.
        device: that trains.

    Raises:
        DivergedError: if the loss is not finite.
        DataMissingError: if the data is not there.
    """
    task, method = plugins.task(config.task), plugins.method(config.method)
    if widths is None:
        widths = task.target_widths if method.starts_from == "target" else task.seed_widths
    grower = method if method.grows and config.twin is None else None
    start = Start(config, budget or config.budget, task, grower, tuple(widths), folder, device)
    yield from Trial(start).run()


@dataclass(frozen=True)
class Start:
    """What a trial begins with; its method is None where nothing grows."""

    config: TrialConfig
    budget: Budget
    task: Task
    method: GrowthMethod | None
    widths: tuple[int, ...]
    folder: Path
    device: str


class Trial:
    """The state of a running trial, and what happens to it in which order."""

    def __init__(self, start: Start) -> None:
        config, task = start.config, start.task
        self.config, self.budget, self.task, self.method = config, start.budget, task, start.method
        self.device = start.device
        self.data = prepare(task, start.folder, config.validation, device=start.device)
        self.recipe: Recipe = replace(task.recipe, **config.recipe)
        self.model = task.network(start.widths).to(start.device)
        self.loss = task.loss
        self.optimizer = optimizer(self.recipe, self.model.parameters())
        self.order = DataOrder(len(self.data.train), _stream(config.seed, "data order"))
        self.growth = _stream(config.seed, "growth")
        self.spent = Spent()
        self.sites = self._found()
        self.architectures = Architectures(task, self.data.train.inputs[:2])
        self.costs, self.batch_size = (
            self.architectures.costs(start.widths),
            self.recipe.batch_size,
        )
        self.first_flops = self.costs.flops
        same_target = config.kind == "same_target" and start.method is not None
        self.milestones = (
            milestones(config.schedule, start.widths, task.target_widths) if same_target else None
        )
        self.growths, self.evaluations = 0, 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths at present, in network order."""
        return tuple(site.width(self.model) for site in self.sites)

    @property
    def epoch(self) -> float:
        """Passes over the training split so far."""
        return self.spent.samples / len(self.data.train)

    def run(self) -> Iterator[Message]:
        """Train, grow and evaluate until the budget is spent."""
        yield self._record()
        while not self._finished():
            if self._evaluation_due():
                self.evaluations = math.floor(self.epoch / self.config.evaluate_every + 1e-9)
                yield self._record()
            if self._growth_due():
                yield from self._grow()
                yield self._record()
            self._train()
        yield self._record(final=True)

    def _train(self) -> None:
        """Optimiser steps until something is due."""
        start = time.perf_counter()
        self.model.train()
        check = CHECK_EVERY[self.device.split(":")[0]]
        while True:
            if self.recipe.decay != "constant":
                set_learning_rate(self.optimizer, learning_rate(self.recipe, self._fraction()))
            indices = self.order.next(self.batch_size)
            inputs, targets = self.data.train.inputs[indices], self.data.train.targets[indices]
            self.optimizer.zero_grad()
            loss = self.loss(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            self.spent.step += 1
            self.spent.samples += len(indices)
            self.spent.train_flops += len(indices) * self.costs.training
            if self.spent.step % check == 0 and not math.isfinite(loss.item()):
                raise DivergedError(f"the loss is {loss.item()} at step {self.spent.step}")
            if self._finished() or self._growth_due() or self._evaluation_due():
                break
        self.spent.book("train", time.perf_counter() - start)

    def _grow(self) -> Iterator[GrowthRecord]:
        """One growth of the schedule: an attempt at every site that it names."""
        asked = self._asked()
        self.growths += 1
        sites = [site for site in self.sites if asked[site.name] > 0]
        for group in [[site] for site in sites] if self._in_turn else [sites]:
            fitting = [site for site in group if self._fits(site, asked[site.name])]
            if fitting and self._affordable(fitting):
                yield from self._grown(fitting, asked)
        self.costs = self.architectures.costs(self.widths)
        if self.recipe.batch_growth:
            growth = math.sqrt(self.costs.flops / self.first_flops)
            self.batch_size = round(self.recipe.batch_size * growth)

    @property
    def _in_turn(self) -> bool:
        return self.config.schedule.where == "each"

    def _grown(self, group: list[Site], asked: dict[str, int]) -> Iterator[GrowthRecord]:
        samples, clipped = self._statistics_samples(group)
        method = self.method
        if method is None:
            return
        before = self.widths
        events = grow(
            self.model,
            chunks(self._drawn(samples)),
            self.loss,
            method,
            neurons={site.name: asked[site.name] for site in group},
            where=self.config.schedule.where,
            fill=self.milestones is not None,
            sites=group,
            optimizer=self.optimizer,
            policy=self.config.optimizer_policy,
            search_batch=chunks(self._drawn(SEARCH_SAMPLES))[0],
            seed=int(torch.randint(2**31, (), generator=self.growth)),
        )
        widths = dict(zip((s.name for s in self.sites), before, strict=True))
        for event in events:
            widths[event.site] += event.added + event.filled
            self._book(event)
            yield GrowthRecord(
                step=self.spent.step,
                widths=tuple(widths.values()),
                statistics_samples=samples,
                statistics_clipped=clipped,
                **asdict(event),
            )

    def _book(self, event: GrowthEvent) -> None:
        self.spent.growth_flops += sum(event.flops.values())
        for part, seconds in event.seconds.items():
            self.spent.book(part, seconds)

    def _asked(self) -> dict[str, int]:
        """Neurons asked for at each site in the next growth."""
        names = [site.name for site in self.sites]
        if self.milestones is None:
            return dict.fromkeys(names, self.config.schedule.neurons)
        goals = self.milestones[self.growths]
        return {n: g - w for n, g, w in zip(names, goals, self.widths, strict=True)}

    def _fits(self, site: Site, k: int) -> bool:
        """Whether k more neurons at a site keep the network within the schedule's limits."""
        schedule = self.config.schedule
        if schedule.max_parameters is None and schedule.max_flops is None:
            return True
        widths = (
            width + k * (s is site) for s, width in zip(self.sites, self.widths, strict=True)
        )
        costs = self.architectures.costs(tuple(widths))
        small = costs.parameters <= (schedule.max_parameters or math.inf)
        return small and costs.flops <= (schedule.max_flops or math.inf)

    def _statistics_samples(self, sites: list[Site]) -> tuple[int, bool]:
        """Samples of the statistics batch, and whether fewer than wanted."""
        dataset, factor = len(self.data.train), self.config.statistics_factor
        wanted = []
        for site in sites:
            layer = linear(self.model, site.grown)
            p = layer.in_features + (layer.bias is not None)
            wanted.append(statistics_batch(p, site.positions, 2**62, factor))
        return min(max(wanted), dataset), max(wanted) > dataset

    def _drawn(self, count: int) -> Samples:
        """Random training samples, without repetition."""
        train = self.data.train
        chosen = torch.randperm(len(train), generator=self.growth)[:count]
        chosen = chosen.to(train.inputs.device)
        return Samples(train.inputs[chosen], train.targets[chosen])

    def _affordable(self, sites: list[Site]) -> bool:
        """Whether growing these sites would stay within a budget of FLOPs, by estimate."""
        if self.budget.flops is None:
            return True
        n, _ = self._statistics_samples(sites)
        searches = SEARCH_SAMPLES * self.costs.flops * (len(AMPLITUDES) + 3) * len(sites)
        estimate = n * self.costs.training + searches
        for site in sites:
            p, m = (linear(self.model, name).in_features + 1 for name in (site.grown, site.next))
            d = linear(self.model, site.next).out_features
            rows = n * site.positions
            estimate += rows * (p + m) * (p + m + d) + 10 * (p**3 + m**3)
        return self.spent.flops + estimate <= self.budget.flops

    def _found(self) -> list[Site]:
        sites = find_sites(self.model, self.data.train.inputs[:2])
        expected = len(self.task.seed_widths)
        if len(sites) != expected:
            raise ValueError(
                f"task {self.task.name} names {expected} hidden widths but its network has "
                f"{len(sites)} sites: {', '.join(s.name for s in sites)}"
            )
        return sites

    def _fraction(self) -> float:
        """How much of the budget is spent."""
        return self.spent.fraction(self.budget, self.epoch)

    def _finished(self) -> bool:
        """Whether the budget is spent, or too small for another step."""
        step = self.order.size_of_next(self.batch_size) * self.costs.training
        return self.spent.exhausts(self.budget, self.epoch, step)

    def _growth_due(self) -> bool:
        done = self.milestones is not None and self.growths >= len(self.milestones)
        if self.method is None or done:
            return False
        schedule = self.config.schedule
        now = self.epoch if schedule.unit == "epochs" else self.spent.step
        return now >= growth_time(schedule, self.growths) - 1e-9

    def _evaluation_due(self) -> bool:
        return self.epoch >= (self.evaluations + 1) * self.config.evaluate_every - 1e-9

    def _record(self, *, final: bool = False) -> Record:
        start = time.perf_counter()
        data = self.data
        train, validation, test = (
            score(self.model, split, self.loss)
            for split in (data.train, data.validation, data.test)
        )
        self.spent.book("evaluation", time.perf_counter() - start)
        return Record(
            step=self.spent.step,
            epoch=self.epoch,
            samples=self.spent.samples,
            train_flops=self.spent.train_flops,
            growth_flops=self.spent.growth_flops,
            seconds=Seconds(**self.spent.seconds),
            parameters=parameters(self.model),
            flops=self.costs.flops,
            widths=self.widths,
            train_loss=train.loss,
            validation_loss=validation.loss,
            test_loss=test.loss,
            train_accuracy=train.accuracy,
            validation_accuracy=validation.accuracy,
            test_accuracy=test.accuracy,
            final=final,
        )


def _stream(seed: int, name: str) -> Generator:
    """A generator of its own for each use of randomness in a trial."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7], "big"))
