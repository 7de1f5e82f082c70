"""A plugin file: tasks that do to a process what nobody should, and a good trigger and method."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, nn

from nas_bench.growth import GrowthMethod, Need, NewNeurons, Site, SiteStatistics
from nas_bench.tasks.digits import Digits
from nas_bench.training.task import DataMissingError, Samples
from nas_bench.trials.trigger import Progress, Reading, Trigger


@dataclass(frozen=True)
class Lower(Trigger):
    name: ClassVar[str] = "lower"
    summary: ClassVar[str] = "once the training loss has fallen to a share of what it was"

    share: float = 0.9

    @property
    def reads(self) -> tuple[Reading, ...]:
        return ("train_loss",)

    def due(self, progress: Progress) -> bool:
        losses = [look.readings["train_loss"] for look in progress.since]
        return bool(losses) and losses[-1] < self.share * losses[0]


@dataclass(frozen=True)
class Towards(GrowthMethod):
    name: ClassVar[str] = "towards"
    summary: ClassVar[str] = "neurons along single samples, with a fan-out along their goals"

    @property
    def searches_amplitude(self) -> bool:
        return True

    def needs(self, site: Site) -> Need:
        return Need.SAMPLES | Need.GOAL

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        inputs, goals = statistics.sampled_rows
        of = torch.randperm(len(inputs), generator=generator)[:k]
        fan_out = goals[of][:, None] / len(goals)
        return NewNeurons(inputs[of] / inputs.shape[1], fan_out, fan_out.flatten(1).norm(dim=1))


@dataclass(frozen=True)
class Dirty(Digits):
    name: ClassVar[str] = "dirty"
    summary: ClassVar[str] = "leaves threads, dtype, seeds, modes and data types changed"

    def network(self, widths: Sequence[int]) -> nn.Module:
        network = super().network(widths)
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.autograd.set_detect_anomaly(True, check_nan=False)
        torch.use_deterministic_algorithms(False)
        torch.set_grad_enabled(False)
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(7)
        return network


class UnsayableError(BaseException):
    def __str__(self) -> str:
        raise SystemExit(7)


class UntraceableError(Exception):
    @property
    def __traceback__(self) -> None:
        raise SystemExit(7)

    @__traceback__.setter
    def __traceback__(self, value: object) -> None:
        raise SystemExit(7)


class UnknowableError(Exception):
    @property
    def __class__(self) -> type:
        raise SystemExit(7)

    def with_traceback(self, tb: object) -> "UnknowableError":
        raise SystemExit(7)


RAISED: dict[str, BaseException] = {
    "MemoryError": MemoryError("no room"),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "CancelledError": asyncio.CancelledError("not wanted any more"),
    "GeneratorExit": GeneratorExit(),
    "unsayable": UnsayableError(),
    "untraceable": UntraceableError("no way back"),
    "unknowable": UnknowableError("no way to ask"),
    "unshowable": ValueError("half \udcff, a bell \a, a colour \x1b[31m, é\nsecond line"),
}


@dataclass(frozen=True)
class Raises(Digits):
    name: ClassVar[str] = "raises"
    summary: ClassVar[str] = "raises what it is told to"
    error: str = "ValueError"

    def network(self, widths: Sequence[int]) -> nn.Module:
        match self.error:
            case "SystemExit":
                sys.exit(3)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        raise RAISED.get(self.error, ValueError("this network cannot be made"))


@dataclass(frozen=True)
class Slow(Digits):
    name: ClassVar[str] = "slow"
    summary: ClassVar[str] = "takes a minute to make its network"

    def network(self, widths: Sequence[int]) -> nn.Module:
        time.sleep(60)
        return super().network(widths)


@dataclass(frozen=True)
class Stuck(Digits):
    name: ClassVar[str] = "stuck"
    summary: ClassVar[str] = "never makes its network, whatever is raised in it"

    def network(self, widths: Sequence[int]) -> nn.Module:
        for _ in range(6000):
            try:
                time.sleep(0.01)
            except Exception:
                continue
        return super().network(widths)


@dataclass(frozen=True)
class Lacking(Digits):
    name: ClassVar[str] = "lacking"
    summary: ClassVar[str] = "its data is there when its folder is"
    folder: str = ""

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        if not Path(self.folder).is_dir():
            raise DataMissingError(f"there is no {self.folder}")
        return super().load(folder)


@dataclass(frozen=True)
class Diverges(Digits):
    name: ClassVar[str] = "diverges"
    summary: ClassVar[str] = "its loss is not a number"

    def network(self, widths: Sequence[int]) -> nn.Module:
        network = super().network(widths)
        with torch.no_grad():
            next(network.parameters()).fill_(float("nan"))
        return network


class Greedy(nn.CrossEntropyLoss):
    """Asks a device of one type for more memory than there is."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if outputs.device.type == self.where:
            outputs.new_empty(2**46)
        return super().forward(outputs, targets)


@dataclass(frozen=True)
class Hungry(Digits):
    name: ClassVar[str] = "hungry"
    summary: ClassVar[str] = "needs more memory than there is"
    where: str = "cpu"

    @property
    def loss(self) -> nn.Module:
        return Greedy(self.where)
