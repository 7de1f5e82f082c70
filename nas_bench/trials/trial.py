"""One trial from seed network to final record: the only place that knows the order of things."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_bench import plugins
from nas_bench.growth.costs import synchronize
from nas_bench.training.augmentation import augmented
from nas_bench.training.data import prepare
from nas_bench.training.optimizers import learning_rate, set_learning_rate
from nas_bench.trials.agenda import Agenda
from nas_bench.trials.applicability import require_applicable
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.evaluation_grid import EvaluationGrid
from nas_bench.trials.growing import Growing
from nas_bench.trials.measurement import record
from nas_bench.trials.messages import Message, Record, Resumed, as_dict
from nas_bench.trials.pause import Keeper, Pause
from nas_bench.trials.schedule import first_widths
from nas_bench.trials.spending import Spent
from nas_bench.trials.start import Start
from nas_bench.trials.state import State

CHECK_EVERY = {"cpu": 1, "cuda": 100, "mps": 100}
"""Steps between looks at the loss; each look makes the host wait for the device."""
PAUSE_EVERY = 1.0
"""Seconds of training between pauses."""


class DivergedError(RuntimeError):
    """A loss that is not finite; the message names the step."""


class TargetMissedError(RuntimeError):
    """A same-target trial whose last growth, or budget, left its network at other widths."""


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
        TargetMissedError: if the same target is not reached by the last growth.
        DataMissingError: if the data is not there.
        NotApplicableError: if the method refuses a site of the task's network.
    """
    task, method = plugins.task(config.task), plugins.method(config.method)
    if widths is None:
        widths = first_widths(task, method, config.start)
    grower = method if method.grows and config.twin is None else None
    start = Start(config, budget or config.budget, task, grower, tuple(widths), folder, device)
    trial, said = Trial(start), []
    if keeper and (kept := keeper.load()):
        trial.restore(kept["trial"])
        said = kept["messages"]
        yield Resumed(tuple(said), trial.spent.step)
    try:
        for message in trial.run():
            if isinstance(message, Pause):
                if keeper:
                    keeper.pause(lambda: {"trial": trial.state(), "messages": said})
            else:
                said.append(as_dict(message))
                yield message
    finally:
        trial.now.feed.close()


class Trial:
    """What happens to a network in which order."""

    def __init__(self, start: Start) -> None:
        self.config, self.budget, self.device = start.config, start.budget, start.device
        self.data = prepare(start.task, start.folder, start.config.validation, device=start.device)
        self.now = State(start, self.data)
        if start.method:
            require_applicable(start.method, self.now.sites)
        self.agenda = Agenda.of(start)
        self.grid = EvaluationGrid(start, self.now)
        self.growing = Growing(start, self.agenda, self.data)

    @property
    def model(self) -> nn.Module:
        """The network at present."""
        return self.now.model

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths at present, in network order."""
        return self.now.widths

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        return self.now.spent

    def state(self) -> dict[str, Any]:
        """Everything that decides how the trial goes on, as tensors and plain values."""
        return self.now.values()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from where `state` was asked."""
        self.now.restore(state)

    def run(self) -> Iterator[Message | Pause]:
        """Train, grow and evaluate until the budget is spent, with pauses in between."""
        now = self.now
        if not now.begun:
            yield self._record(full=True)
            now.begun = True
        while not self._finished():
            yield Pause()
            if self._evaluation_due():
                yield self._record()
            if self.agenda.looks(now):
                yield from self.growing.look(now)
                if self.agenda.done(now):
                    self._require_target("the last growth")
                    if self.config.evaluate_grown:
                        yield self._record(full=True)
            else:
                self._train()
        self._require_target("the budget")
        yield self._record(final=True)

    def _require_target(self, ended: str) -> None:
        target = self.agenda.target
        if target and self.widths != target:
            raise TargetMissedError(
                f"{ended} ended at widths {self.widths}, before the target {target}: "
                "enlarge the budget or let the schedule grow earlier"
            )

    def _train(self) -> None:
        """Optimiser steps until something is due, or it is time for a pause."""
        now = self.now
        start = booked = time.perf_counter()
        now.model.train()
        check = CHECK_EVERY[self.device.split(":")[0]]
        while True:
            if now.recipe.decay != "constant":
                set_learning_rate(now.optimizer, learning_rate(now.recipe, self._decayed()))
            inputs, targets = now.feed.next(now.batch_size, now.spent.samples)
            loss = self._step(inputs, targets)
            now.spent.step += 1
            now.spent.samples += len(inputs)
            now.spent.train_flops += len(inputs) * now.costs.training
            looked = time.perf_counter()
            now.spent.book("train", looked - booked)
            booked = looked
            due = self._finished() or self.agenda.looks(now) or self._evaluation_due()
            if due or now.spent.step % check == 0:
                self._refuse_divergence(loss.item())
            if due or looked - start > PAUSE_EVERY:
                break
        synchronize()
        now.spent.book("train", time.perf_counter() - booked)

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """An optimiser step, as the recipe says; the loss before it."""
        now = self.now
        inputs = augmented(inputs, now.recipe.augmentation, now.augmentation)
        now.optimizer.zero_grad()
        with torch.autocast(
            self.device.split(":")[0], torch.bfloat16, now.recipe.precision == "bfloat16"
        ):
            loss = now.loss(now.model(inputs), targets)
        loss.backward()
        if now.new_rates is None:
            now.optimizer.step()
        else:
            with now.new_rates.scaled(now.model, now.spent.step):
                now.optimizer.step()
        return loss

    def _refuse_divergence(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {self.spent.step}")

    def _decayed(self) -> float:
        """How far the decay of the learning rate has come, from 0 to 1."""
        spent, start = self.spent.fraction(self.budget, self.now.epoch), self.now.decay_start
        return (spent - start) / (1 - start) if start < 1 else 1.0

    def _finished(self) -> bool:
        """Whether the budget is spent, or too small for another step."""
        now = self.now
        step = now.order.size_of_next(now.batch_size) * now.costs.training
        return now.spent.exhausts(self.budget, now.epoch, step)

    def _evaluation_due(self) -> bool:
        return self.grid.place(self.now) != self.now.evaluated

    def _record(self, *, full: bool = False, final: bool = False) -> Record:
        """What is measured now; it stands for all points of the grid that were passed."""
        now, before = self.now, self.now.evaluated
        now.evaluated = self.grid.place(now)
        full = full or final or now.evaluated[1] > before[1]
        made = record(now, self.data, full=full, final=final)
        self._refuse_divergence(made.train_loss)
        return made
