"""Throughput of a trial's training loop against a bare PyTorch loop on the same network.

    python tests/benchmarks/training_loop.py [--epochs 2] [--repeats 5]

Both train the MNIST-sized [110, 51] network on the same random images, Adam, batch 100, one
thread, in one process and in turns.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from nas_bench.training.mlp import mlp
from nas_bench.training.task import Recipe, Samples, Task
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.trial import Start, Trial

SAMPLES, CLASSES = 12_000, 10


@dataclass(frozen=True)
class Noise(Task):
    """Random images with random labels."""

    name: ClassVar[str] = "noise"
    summary: ClassVar[str] = "random images with random labels"
    recipe: ClassVar[Recipe] = Recipe()

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(SAMPLES, 784, generator=generator)
        targets = torch.randint(CLASSES, (SAMPLES,), generator=generator)
        return Samples(inputs, targets), Samples(inputs[:10], targets[:10])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(784, widths, CLASSES)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.CrossEntropyLoss()


def ours(epochs: int) -> tuple[int, float]:
    """Steps and seconds of our loop, evaluation not counted."""
    config = TrialConfig(
        protocol="benchmark", version=1, kind="same_target", task="noise", method="fixed", seed=0,
        budget=Budget(epochs=epochs), schedule=Schedule(growths=1),
        validation=0.001, evaluations=1,
    )  # fmt: skip
    start = Start(config, config.budget, Noise(), None, (110, 51), Path(), "cpu")
    *_, last = Trial(start).run()
    return last.step, last.seconds.train


def bare(epochs: int) -> tuple[int, float]:
    """Steps and seconds of the loop that one would write by hand."""
    task = Noise()
    data, _ = task.load(Path())
    kept = data.inputs[: SAMPLES - 12], data.targets[: SAMPLES - 12]
    model, loss = task.network((110, 51)), task.loss
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    steps, start = 0, time.perf_counter()
    for _ in range(epochs):
        for indices in torch.randperm(len(kept[0])).split(100):
            optimizer.zero_grad()
            value = loss(model(kept[0][indices]), kept[1][indices])
            value.backward()
            optimizer.step()
            steps += 1
    return steps, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ours(1), bare(1)
    rates = []
    for _ in range(arguments.repeats):
        pair = [
            steps / seconds for steps, seconds in (ours(arguments.epochs), bare(arguments.epochs))
        ]
        rates.append(pair)
    mine, other = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(a / b for a, b in rates)
    print(f"ours {mine:.0f} steps/s, bare loop {other:.0f} steps/s, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
