"""Measures how much of the processors a sweep under Ray Tune leaves to its trials.

    python tests/benchmarks/ray_overhead.py --trials 60 --workers 2

A measurement, not a test: a whole sweep of short growing trials, with ledger and checkpoints as
`nas-bench run` has them. Efficiency is (sum of trial times / workers) / wall time, from when each
worker has loaded the data of its first trial, its start-up, to the last message. A trial's time
is the sum of its own clocks (training, growth, evaluation), so that setting up, counting FLOPs,
messages and the ledger count as overhead. A busy driver makes trials beside it
slower, and their clocks with them; so the same trials also run one after the other in this
process, and efficiency by those clocks charges for that too.

Other work on the machine falsifies it: `chrt -r 10 python …` (as root) takes precedence.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_bench.execution import ExecutorName, Settings
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Budget, Schedule, TrialConfig


@dataclass(frozen=True)
class Times:
    """Seconds until every worker has loaded, from there to the last message, and of each trial."""

    start: float
    wall: float
    trials: list[float]


def main() -> None:
    """Run the trials inline and under Ray and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=70)
    options = parser.parse_args()
    configs = [_trial(seed, options.epochs) for seed in range(options.trials)]
    ray = _measured("ray", configs, options.workers)
    inline = _measured("inline", configs, 1)
    print(f"{options.trials} trials, {options.workers} workers under Ray")
    for name, times in (("inline", inline), ("ray", ray)):
        print(
            f"{name:7} start-up {times.start:5.1f} s   trials {times.wall:6.1f} s   "
            f"one by its clocks {statistics.median(times.trials):.2f} s"
        )
    for name, times in (("their own clocks", ray), ("the clocks inline", inline)):
        print(f"efficiency by {name} {sum(times.trials) / options.workers / ray.wall:.3f}")


def _trial(seed: int, epochs: int) -> TrialConfig:
    return TrialConfig(
        protocol="overhead",
        version=1,
        kind="same_target",
        task="digits",
        method="tiny",
        seed=seed,
        budget=Budget(epochs=epochs),
        schedule=Schedule(every=2, growths=4),
        evaluations=12,
    )


def _measured(name: ExecutorName, configs: Sequence[TrialConfig], workers: int) -> Times:
    loaded: dict[str, float] = {}
    ended: list[float] = []
    clocks: list[float] = []

    def observer(config: TrialConfig, message: dict[str, Any]) -> None:
        if message["type"] == "loaded":
            loaded.setdefault(config.id, time.perf_counter())
        if message.get("final"):
            clocks.append(sum(message["seconds"].values()))
            ended.append(time.perf_counter())

    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        storage = str(Path(folder) / "checkpoints")
        settings = Settings(max_concurrent=workers, storage=storage)
        start = time.perf_counter()
        sweep(configs, Ledger(Path(folder) / "results"), name, settings, observer=observer)
    if len(clocks) != len(configs):
        raise RuntimeError(f"{len(configs) - len(clocks)} of {len(configs)} trials have no result")
    ready = sorted(loaded.values())[workers - 1]
    return Times(ready - start, ended[-1] - ready, clocks)


if __name__ == "__main__":
    main()
