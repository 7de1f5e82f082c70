"""When a trial grows, which sites, and how many neurons it asks for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas_bench import plugins
from nas_bench.growth.grower import Where
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.schedule import first_look, milestones
from nas_bench.trials.start import Start
from nas_bench.trials.state import State
from nas_bench.trials.trigger import Trigger, decision

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Agenda:
    """The looks and growths of a trial.

    Attributes:
        schedule: of the trial.
        trigger: that it names.
        budget: of the trial.
        grows: whether it has a method that grows.
        milestones: widths after each growth of a same-target trial, None where sizes are free.
    """

    schedule: Schedule
    trigger: Trigger
    budget: Budget
    grows: bool
    milestones: list[tuple[int, ...]] | None

    @classmethod
    def of(cls, start: Start) -> "Agenda":
        """That of a trial which begins with this."""
        schedule, grows = start.config.schedule, start.method is not None
        widths = None
        if start.config.kind != "free" and grows:
            widths = milestones(schedule, start.widths, start.task.target_widths)
        return cls(schedule, plugins.trigger(schedule.when), start.budget, grows, widths)

    @property
    def target(self) -> tuple[int, ...] | None:
        """Widths that the trial must end with, if any."""
        return self.milestones[-1] if self.milestones else None

    @property
    def where(self) -> Where:
        """Which of the sites that grow now the engine is to take."""
        return "each" if self.schedule.where == "turn" else self.schedule.where

    def now(self, state: State) -> float:
        """The time in the schedule's unit."""
        return state.epoch if self.schedule.unit == "epochs" else state.spent.step

    def looks(self, state: State) -> bool:
        """Whether the trigger looks at the trial here and now."""
        if not self.grows or self.done(state):
            return False
        due = self.now(state) >= self._time(len(state.progress.looks)) - _ROUNDING
        return due or (self._forces and self._left(state) <= 0)

    def done(self, state: State) -> bool:
        """Whether no growth is left."""
        return len(state.progress.growths) >= self._last

    def decided(self, state: State, *, looked: bool) -> bool | Mapping[str, int]:
        """What follows from the look that was just taken: see `Trigger.due`.

        Args:
            state: of the trial.
            looked: whether the budget allowed what the trigger measures; else it is not asked.

        Raises:
            ValueError: if the trigger decides what it may not, or its looks stand still.
        """
        done = len(state.progress.looks)
        before, after = self._time(done - 1), self._time(done)
        if self.schedule.when != "every" and not after > before:
            raise ValueError(
                f"trigger {self.trigger.name} looks at {before:g} {self.schedule.unit}, then at "
                f"{after:g}, expected later"
            )
        asked = looked and decision(self.trigger, state.progress)
        return asked or (self._forces and self._forced(state))

    def asked(
        self, state: State, decided: bool | Mapping[str, int], names: Sequence[str]
    ) -> dict[str, int]:
        """Neurons asked for at each site, named in the order of widths, in the next growth."""
        growths, none = len(state.progress.growths), dict.fromkeys(names, 0)
        if self.milestones is not None:
            pairs = zip(self.milestones[growths], state.widths, strict=True)
            return {name: goal - width for name, (goal, width) in zip(names, pairs, strict=True)}
        if isinstance(decided, Mapping):
            return none | {name: decided[name] for name in names if name in decided}
        turn = growths % len(names)
        growing = names[turn : turn + 1] if self.schedule.where == "turn" else names
        return none | dict.fromkeys(growing, self.schedule.neurons)

    @property
    def _last(self) -> float:
        last = self.schedule.growths if self.milestones is None else len(self.milestones)
        return last or math.inf

    @property
    def _forces(self) -> bool:
        """Whether growths that would come too late for the target are forced."""
        return self.milestones is not None and self.schedule.when != "every"

    def _forced(self, state: State) -> bool:
        """Whether fewer looks are left than growths (LipGrow's reserve), one growth a look."""
        growths, left = self._last - len(state.progress.growths), self._left(state)
        last = len(state.progress.looks) + int(growths) - 1
        return left <= 0 or self._time(last) > self.now(state) + left + _ROUNDING

    def _left(self, state: State) -> float:
        """How long is left for growths, in the schedule's unit."""
        spent, now = state.spent.fraction(self.budget, state.epoch), self.now(state)
        share = 1 - self.schedule.reserve - spent
        if self.budget.seconds is not None:
            return share * now / spent if now > 0 else math.inf
        return share * self._length(state)

    def _length(self, state: State) -> float:
        """The whole budget in the schedule's unit, were it all training of the target network."""
        target = state.architectures.costs(state.task.target_widths)
        steps_per_epoch = math.ceil(state.samples / state.batch_size_of(target))
        if self.budget.flops is not None:
            epochs = self.budget.flops / (state.samples * target.training)
        else:
            epochs = self.budget.epochs or self.budget.size / steps_per_epoch
        return epochs if self.schedule.unit == "epochs" else epochs * steps_per_epoch

    def _time(self, done: int) -> float:
        return self.trigger.time(done, first_look(self.schedule), self.schedule.every)
