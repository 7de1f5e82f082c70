"""What a person sees while trials run, on stderr: live bars on a terminal, else plain lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from nas_bench.execution.job import Sink
from nas_bench.specs import short_names
from nas_bench.text import shortened, spoken
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Seconds, raised_at

LONGEST = 500
"""Letters of what a failure says in a line."""
LOADING = "loading data"
INTERVAL = 30.0
"""Seconds between plain lines about one trial."""


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Sink]:
    """The display that fits where stderr goes.

    Args:
        total: how many trials will run.
        quiet: show nothing.
    """
    if quiet:
        yield lambda config, message: None
    elif sys.stderr.isatty():
        with _bars() as bars:
            whole = bars.add_task(f"trials 0/{total}", total=total, remark="")
            yield Live(bars, whole, total)
    else:
        yield Lines(total, lambda line: print(line, file=sys.stderr, flush=True))


@dataclass
class Clock:
    """How long the trials that are left will take, by those that have ended.

    Attributes:
        total: how many trials will run.
        now: seconds since some point in time.
    """

    total: int
    now: Callable[[], float] = time.monotonic
    ended: int = 0
    _began: float | None = None

    def begin(self) -> None:
        """The first trial begins, if none has."""
        self._began = self.now() if self._began is None else self._began

    def end(self) -> str:
        """One more trial has ended: how long it goes on, such as `, about 3 min left`."""
        self.ended += 1
        left = (self.total - self.ended) * (self.now() - (self._began or 0.0)) / self.ended
        return f", about {spoken(left)} left" if left >= 1 else ""


@dataclass
class Lines:
    """A line for every trial that ends, and now and then one for those that run.

    Before the first trial of a task a line says that its data are loaded.

    Attributes:
        total: how many trials will run.
        write: takes a line.
        clock: seconds since some point in time.
    """

    total: int
    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _said: dict[str, float] = field(default_factory=dict)
    _loaded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._left = Clock(self.total, self.clock)

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Hear one message of a trial."""
        self._left.begin()
        now = self.clock()
        last = self._said.setdefault(config.id, now)
        if message["type"] == "started" and config.task not in self._loaded:
            self._loaded.add(config.task)
            self.write(f"{short_names([config.task])[config.task]}: {LOADING}")
        elif ending := status(message):
            del self._said[config.id]
            left = self._left.end()
            count = f"[{self._left.ended:{len(str(self.total))}}/{self.total}{left}]"
            self.write(f"{count} {name(config)}: {ending}, {remark(message)}")
        elif message["type"] == "record" and now - last >= INTERVAL:
            self._said[config.id] = now
            self.write(f"{name(config)}: {share_done(config, message):.0%}, {remark(message)}")


@dataclass
class Live:
    """A bar for all trials and one for each that runs.

    Attributes:
        bars: of rich.
        whole: the bar for all trials.
        total: how many trials will run.
    """

    bars: Progress
    whole: TaskID
    total: int
    _running: dict[str, TaskID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._left = Clock(self.total)

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Hear one message of a trial."""
        self._left.begin()
        if config.id not in self._running:
            self._running[config.id] = self.bars.add_task(name(config), total=1.0, remark=LOADING)
        if message["type"] == "record":
            done, said = share_done(config, message), remark(message)
            self.bars.update(self._running[config.id], completed=done, remark=said)
        if ending := status(message):
            self.bars.remove_task(self._running.pop(config.id))
            self.bars.advance(self.whole)
            left = self._left.end().removeprefix(", ")
            done = f"trials {self._left.ended}/{self.total}"
            self.bars.update(self.whole, description=done, remark=left)
            if ending not in ("ok", "stopped"):
                line = f"{name(config)}: {ending}, {remark(message)}"
                self.bars.console.print(line, markup=False, highlight=False)


def status(message: dict[str, Any]) -> str | None:
    """How a trial ended with this message, None if it goes on."""
    if message["type"] == "failure":
        return message["status"]
    if message["type"] == "stopped":
        return "stopped"
    return "ok" if message["type"] == "record" and message["final"] else None


def name(config: TrialConfig) -> str:
    """What the display calls a trial."""
    return f"{short_names([config.task])[config.task]} {config.label} seed {config.seed}"


def share_done(config: TrialConfig, record: dict[str, Any]) -> float:
    """How much of the budget is spent, in [0, 1]."""
    spent = config.budget.share(
        epoch=record["epoch"],
        step=record["step"],
        flops=record["train_flops"] + record["growth_flops"],
        seconds=Seconds(**record["seconds"]).charged,
    )
    return min(1.0, spent)


def remark(message: dict[str, Any]) -> str:
    """What a message says in a few words; validation, never test."""
    if message["type"] == "failure":
        first = shortened((message["message"].strip().splitlines() or [""])[0], LONGEST)
        place = raised_at(message["traceback"])
        return f"{message['error']}: {first}{f' ({place})' if place else ''}"
    if message["type"] == "stopped":
        return message["message"]
    if message["type"] != "record":
        return ""
    widths = "-".join(map(str, message["widths"]))
    part = "validation" if message["full_validation_loss"] is None else "full_validation"
    accuracy, loss = message[f"{part}_accuracy"], message[f"{part}_loss"]
    score = f"loss {loss:.4g}" if accuracy is None else f"accuracy {accuracy:.1%}"
    return f"validation {score}, widths {widths}"


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        Elapsed(),
        TextColumn("{task.fields[remark]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
