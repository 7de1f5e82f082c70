"""Steps per second of a trial's training loop on a device, beside other ways to train.

    python tests/benchmarks/device_training.py --device cuda [--networks mlp,resnet18]

For each network at its target size: a bare loop, ours, the bare loop with torch.compile and, on a
GPU, as one CUDA graph; in turns, in one process, with the recipe's optimiser and batch size but
without augmentation, TF32 off, deterministic. A way's ratio is to the bare loop, the median of
the repeats. `--quick` takes few steps and compiles nothing, to try the script itself.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.random_images import NETWORKS, RandomImages, images
from torch import Tensor

from nas_bench.execution.worker import reset
from nas_bench.growth.costs import synchronize
from nas_bench.training.optimizers import optimizer
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.start import Start
from nas_bench.trials.trial import Trial

Way = Callable[[], float]
"""Steps per second of some steps."""


class Bare:
    """The loop that one would write by hand; data, network and optimiser on the device."""

    def __init__(self, task: RandomImages, device: str, steps: int, compiled: str | None) -> None:
        self.steps, self.batch = steps, task.recipe.batch_size
        data, _ = task.load(Path())
        self.inputs, self.targets = data.inputs.to(device), data.targets.to(device)
        self.network = task.network(task.target_widths).to(device).train()
        self.model = torch.compile(self.network, backend=compiled) if compiled else self.network
        self.optimizer = optimizer(task.recipe, self.network.parameters())
        self.loss = task.loss

    def __call__(self) -> float:
        """Steps per second."""
        order = torch.randperm(len(self.inputs), device=self.inputs.device)
        parts = [part for part in order.split(self.batch) if len(part) == self.batch]
        synchronize()
        start = time.perf_counter()
        for number in range(self.steps):
            self.step(parts[number % len(parts)])
        synchronize()
        return self.steps / (time.perf_counter() - start)

    def step(self, indices: Tensor) -> None:
        """One optimiser step."""
        self.optimizer.zero_grad()
        self.loss(self.model(self.inputs[indices]), self.targets[indices]).backward()
        self.optimizer.step()


class Graphed(Bare):
    """The same step as one CUDA graph, which is only replayed."""

    def __init__(self, task: RandomImages, device: str, steps: int) -> None:
        super().__init__(task, device, steps, None)
        for group in self.optimizer.param_groups:
            group["capturable"] = True
        self.indices = torch.arange(self.batch, device=device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                super().step(self.indices)
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            super().step(self.indices)

    def step(self, indices: Tensor) -> None:
        """See the base class."""
        self.indices.copy_(indices)
        self.graph.replay()


def ours(task: RandomImages, device: str, steps: int) -> float:
    """Steps per second of a trial, evaluation not counted."""
    config = _config(steps)
    start = Start(config, config.budget, task, None, task.target_widths, Path(), device)
    *_, last = Trial(start).run()
    return last.step / last.seconds.train


def ratios(like: str, device: str, steps: int, repeats: int, *, quick: bool) -> dict[str, Any]:
    """Steps per second of the bare loop, and the ratio of each way to it, or why there is none."""
    task = images(like, 20 * 128 if quick else 5000)
    object.__setattr__(task, "recipe", replace(task.recipe, augmentation="none", decay="constant"))
    reset(_config(steps))
    makers: dict[str, Callable[[], Way]] = {
        "ours": lambda: lambda: ours(task, device, steps),
        "graphed": lambda: Graphed(task, device, steps),
        "compiled": lambda: Bare(task, device, steps, "eager" if quick else "inductor"),
    }
    bare = Bare(task, device, steps, None)
    bare()
    found: dict[str, Any] = {"bare": [bare() for _ in range(repeats)]}
    for name, make in makers.items():
        try:
            way = make()
            way()
            found[name] = statistics.median(way() / bare() for _ in range(repeats))
        except Exception as error:  # one way less, whatever compilers and drivers raise
            found[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return found | {"bare": statistics.median(found["bare"])}


def _config(steps: int) -> TrialConfig:
    return TrialConfig(
        protocol="benchmark", version=1, kind="same_target", task="random_images",
        method="fixed", seed=0, budget=Budget(steps=steps), schedule=Schedule(growths=1),
        validation=0.01, evaluations=1, full_evaluations=1,
    )  # fmt: skip


def main() -> None:
    """Print a line a network, and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for like in asked.networks.split(","):
        found[like] = ratios(like, asked.device, asked.steps, asked.repeats, quick=asked.quick)
        print(like, json.dumps(found[like]), flush=True)
        if asked.json:
            asked.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
