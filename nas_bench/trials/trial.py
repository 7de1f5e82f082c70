"""One trial from seed network to final record: the only place that knows the order of things."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from nas_bench import plugins
from nas_bench.growth import GrowthEvent, GrowthMethod, Site, find_sites, grow, statistics_batch
from nas_bench.growth.amplitude import SEARCH_SAMPLES
from nas_bench.growth.costs import synchronize
from nas_bench.growth.grower import Where
from nas_bench.growth.sites import set_unit_slopes, unit_slopes
from nas_bench.training.augmentation import augmented
from nas_bench.training.data import DataOrder, prepare
from nas_bench.training.evaluation import TRAINING_SAMPLES, chunks, score
from nas_bench.training.flops import parameters
from nas_bench.training.optimizers import learning_rate, optimizer, set_learning_rate
from nas_bench.training.randomness import global_state, isolated, set_global_state
from nas_bench.training.task import Recipe, Samples, Task
from nas_bench.trials.architecture import Architectures
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.messages import (
    GrowthRecord,
    Message,
    Record,
    Resumed,
    Seconds,
    as_dict,
)
from nas_bench.trials.pause import Keeper, Pause
from nas_bench.trials.schedule import first_widths, growth_time, milestones
from nas_bench.trials.spending import Spent

CHECK_EVERY = {"cpu": 1, "cuda": 100}
"""Steps between looks at the loss; each look makes the host wait for the device."""
PAUSE_EVERY = 1.0
"""Seconds of training between pauses."""


class DivergedError(RuntimeError):
    """A loss that is not finite; the message names the step."""


class TargetMissedError(RuntimeError):
    """A same-target trial whose budget ended before its network had the target's widths."""


def run_trial(
    config: TrialConfig,
    widths: Sequence[int] | None,
    budget: Budget | None,
    folder: Path,
    device: str,
    keeper: Keeper | None = None,
) -> Iterator[Message]:
    """Run a trial and yield its records and growth attempts as they happen.

    Args:
        config: what identifies it.
        widths: of a twin: the final widths of its original; else None.
        budget: of a twin: in place of the config's; else None.
        folder: of the data.
        device: that trains.
        keeper: of checkpoints; the trial goes on from what it has kept.

    Raises:
        DivergedError: if the loss is not finite.
        TargetMissedError: if the budget ends before the same target is reached.
        DataMissingError: if the data is not there.
    """
    task, method = plugins.task(config.task), plugins.method(config.method)
    if widths is None:
        widths = first_widths(task, method)
    grower = method if method.grows and config.twin is None else None
    start = Start(config, budget or config.budget, task, grower, tuple(widths), folder, device)
    trial, said = Trial(start), []
    if keeper and (kept := keeper.load()):
        trial.restore(kept["trial"])
        said = kept["messages"]
        yield Resumed(tuple(said))
    for message in trial.run():
        if isinstance(message, Pause):
            if keeper:
                keeper.pause(lambda: {"trial": trial.state(), "messages": said})
        else:
            said.append(as_dict(message))
            yield message


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
        self.loss = task.loss.to(start.device)
        self.optimizer = optimizer(self.recipe, self.model.parameters())
        self.order = DataOrder(len(self.data.train), _stream(config.seed, "data order"))
        self.growth = _stream(config.seed, "growth")
        self.augmentation = _stream(config.seed, "augmentation")
        self.spent = Spent()
        self.sites = self._found()
        self.architectures = Architectures(task, self.data.train.inputs[:2])
        self._fit_to_size()
        same_target = config.kind == "same_target" and start.method is not None
        self.milestones = (
            milestones(config.schedule, start.widths, task.target_widths) if same_target else None
        )
        self.growths, self.evaluations, self.begun = 0, 0, False

    def state(self) -> dict[str, Any]:
        """Everything that decides how the trial goes on, as tensors and plain values."""
        return {
            "widths": list(self.widths),
            "unit_slopes": unit_slopes(self.model),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.state(),
            "growth": self.growth.get_state(),
            "augmentation": self.augmentation.get_state(),
            "generators": global_state(),
            "spent": asdict(self.spent),
            "counts": [self.growths, self.evaluations],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from where `state` was asked."""
        with isolated(0):
            self.model = self.task.network(state["widths"]).to(self.device)
        set_unit_slopes(self.model, state["unit_slopes"])
        self.model.load_state_dict(state["model"])
        self.optimizer = optimizer(self.recipe, self.model.parameters())
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.restore(state["order"])
        self.growth.set_state(state["growth"])
        self.augmentation.set_state(state["augmentation"])
        self.spent = Spent(**state["spent"])
        self.growths, self.evaluations = state["counts"]
        self.begun = True
        self._fit_to_size()
        set_global_state(state["generators"])

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths at present, in network order."""
        return tuple(site.width(self.model) for site in self.sites)

    @property
    def epoch(self) -> float:
        """Passes over the training split so far."""
        return self.spent.samples / len(self.data.train)

    def run(self) -> Iterator[Message | Pause]:
        """Train, grow and evaluate until the budget is spent, with pauses in between."""
        if not self.begun:
            yield self._record()
            self.begun = True
        while not self._finished():
            yield Pause()
            if self._evaluation_due():
                self.evaluations = math.floor(self.epoch / self.config.evaluate_every + 1e-9)
                yield self._record()
            if self._growth_due():
                yield from self._grow()
                yield self._record()
            if not self._finished() and not self._growth_due():
                self._train()
        if self.milestones and self.widths != self.milestones[-1]:
            raise TargetMissedError(
                f"the budget ended at widths {self.widths}, before the target "
                f"{self.milestones[-1]}: enlarge the budget or let the schedule grow earlier"
            )
        yield self._record(final=True)

    def _train(self) -> None:
        """Optimiser steps until something is due, or it is time for a pause."""
        start = booked = time.perf_counter()
        self.model.train()
        check = CHECK_EVERY[self.device.split(":")[0]]
        while True:
            if self.recipe.decay != "constant":
                set_learning_rate(self.optimizer, learning_rate(self.recipe, self._fraction()))
            indices = self.order.next(self.batch_size)
            loss = self._step(self.data.train.inputs[indices], self.data.train.targets[indices])
            self.spent.step += 1
            self.spent.samples += len(indices)
            self.spent.train_flops += len(indices) * self.costs.training
            now = time.perf_counter()
            self.spent.book("train", now - booked)
            booked = now
            due = self._finished() or self._growth_due() or self._evaluation_due()
            if due or self.spent.step % check == 0:
                self._refuse_divergence(loss.item())
            if due or now - start > PAUSE_EVERY:
                break
        synchronize()
        self.spent.book("train", time.perf_counter() - booked)

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """An optimiser step, as the recipe says; the loss before it."""
        inputs = augmented(inputs, self.recipe.augmentation, self.augmentation)
        self.optimizer.zero_grad()
        with torch.autocast(
            self.device.split(":")[0], torch.bfloat16, self.recipe.precision == "bfloat16"
        ):
            loss = self.loss(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss

    def _refuse_divergence(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {self.spent.step}")

    def _grow(self) -> Iterator[GrowthRecord]:
        """One growth of the schedule: an attempt at every site that it names."""
        asked = self._asked()
        self.growths += 1
        sites = [site for site in self.sites if asked[site.name] > 0]
        for group in [[site] for site in sites] if self._where() == "each" else [sites]:
            if fitting := self._fitting(group, asked):
                yield from self._grown(fitting, asked)
        self._fit_to_size()

    def _fit_to_size(self) -> None:
        """Costs, and where the recipe says so the batch size (D.2), of the present widths."""
        self.costs = self.architectures.costs(self.widths)
        self.batch_size = self.recipe.batch_size
        if self.recipe.batch_growth:
            seed = self.architectures.costs(self.task.seed_widths)
            self.batch_size = round(self.batch_size * math.sqrt(self.costs.flops / seed.flops))

    def _grown(self, group: list[Site], asked: dict[str, int]) -> Iterator[GrowthRecord]:
        """Grow sites; what would exceed a budget of FLOPs is undone, not charged, and said."""
        sizes = self._statistics_samples(group)
        samples = {name: size for name, (size, _) in sizes.items()}
        before = deepcopy((self.model, self.optimizer)) if self.budget.flops else None
        widths = dict(zip((s.name for s in self.sites), self.widths, strict=True))
        events = self._attempted(group, asked, samples)
        cost = sum(sum(event.flops.values()) for event in events)
        if before is not None and self.spent.flops + cost > (self.budget.flops or math.inf):
            self.model, self.optimizer = before
            events = [_too_expensive(event) for event in events]
        for event in events:
            self._book(event)
            widths[event.site] += event.added + event.filled
            yield GrowthRecord(
                step=self.spent.step,
                widths=tuple(widths.values()),
                statistics_samples=samples[event.site],
                statistics_clipped=sizes[event.site][1],
                **asdict(event),
            )

    def _attempted(
        self, group: list[Site], asked: dict[str, int], samples: dict[str, int]
    ) -> list[GrowthEvent]:
        if self.method is None:
            return []
        batches = chunks(self._drawn(max(samples.values())))
        search = self._drawn(SEARCH_SAMPLES)
        return grow(
            self.model,
            batches,
            self.loss,
            self.method,
            neurons={site.name: asked[site.name] for site in group},
            where=self._where(),
            fill=self.milestones is not None,
            sites=group,
            optimizer=self.optimizer,
            policy=self.config.optimizer_policy,
            search_batch=(search.inputs, search.targets),
            samples=samples,
            seed=int(torch.randint(2**31, (), generator=self.growth)),
        )

    def _book(self, event: GrowthEvent) -> None:
        self.spent.growth_flops += sum(event.flops.values())
        for part, seconds in event.seconds.items():
            self.spent.book(part, seconds)

    def _asked(self) -> dict[str, int]:
        """Neurons asked for at each site in the next growth."""
        names = [site.name for site in self.sites]
        if self.milestones is None:
            schedule, turn = self.config.schedule, self.growths % len(names)
            growing = names[turn : turn + 1] if schedule.where == "turn" else names
            return dict.fromkeys(names, 0) | dict.fromkeys(growing, schedule.neurons)
        goals = self.milestones[self.growths]
        return {n: g - w for n, g, w in zip(names, goals, self.widths, strict=True)}

    def _where(self) -> Where:
        """Which of the sites that grow now the engine is to take."""
        where = self.config.schedule.where
        return "each" if where == "turn" else where

    def _fitting(self, group: list[Site], asked: dict[str, int]) -> list[Site]:
        """The sites that can grow within the schedule's limits, together if all of them grow."""
        schedule, limit = self.config.schedule, self._max_parameters()
        if limit is None and schedule.max_flops is None:
            return group
        fitting: list[Site] = []
        for site in group:
            growing = [*fitting, site] if schedule.where == "all" else [site]
            more = {s.name: asked[s.name] for s in growing}
            widths = tuple(s.width(self.model) + more.get(s.name, 0) for s in self.sites)
            costs = self.architectures.costs(widths)
            small = costs.parameters <= (limit or math.inf)
            if small and costs.flops <= (schedule.max_flops or math.inf):
                fitting.append(site)
        return fitting

    def _max_parameters(self) -> int | None:
        limit = self.config.schedule.max_parameters
        if limit == "target":
            return self.architectures.costs(self.task.target_widths).parameters
        return limit

    def _statistics_samples(self, sites: list[Site]) -> dict[str, tuple[int, bool]]:
        """Samples of the statistics batch for each site, and whether they were clipped (D.1)."""
        dataset, factor, sizes = len(self.data.train), self.config.statistics_factor, {}
        for site in sites:
            p = site.inputs(self.model)
            samples = statistics_batch(p, site.positions, dataset, factor)
            sizes[site.name] = samples, samples != round(factor * p**2 / site.positions)
        return sizes

    def _drawn(self, count: int) -> Samples:
        """Random training samples, without repetition."""
        train = self.data.train
        chosen = torch.randperm(len(train), generator=self.growth)[:count]
        chosen = chosen.to(train.inputs.device)
        return Samples(train.inputs[chosen], train.targets[chosen])

    def _found(self) -> list[Site]:
        found = find_sites(self.model, self.data.train.inputs[:2])
        sites = [site for site in found if self.task.grows(site.name)]
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
        schedule = self.config.schedule
        last = schedule.growths if self.milestones is None else len(self.milestones)
        if self.method is None or self.growths >= (last or math.inf):
            return False
        now = self.epoch if schedule.unit == "epochs" else self.spent.step
        return now >= growth_time(schedule, self.growths) - 1e-9

    def _evaluation_due(self) -> bool:
        return self.epoch >= (self.evaluations + 1) * self.config.evaluate_every - 1e-9

    def _record(self, *, final: bool = False) -> Record:
        start = time.perf_counter()
        data = self.data
        train, validation, test = (
            score(self.model, split, self.loss)
            for split in (data.train.first(TRAINING_SAMPLES), data.validation, data.test)
        )
        self.spent.book("evaluation", time.perf_counter() - start)
        self._refuse_divergence(train.loss)
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
            weights=_weights(self.model) if final else None,
        )


def _too_expensive(event: GrowthEvent) -> GrowthEvent:
    """An attempt that was undone because it would have exceeded the budget."""
    return replace(
        event, status="too expensive", added=0, filled=0, amplitude=None, predicted=0.0,
        measured=0.0, flops={}, seconds={},
    )  # fmt: skip


def _weights(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, with their names."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _stream(seed: int, name: str) -> Generator:
    """A generator of its own for each use of randomness in a trial."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7], "big"))
