"""Measures what Ray Tune costs for each trial: many trials that train next to nothing.

    python tests/benchmarks/ray_overhead.py --trials 30

A measurement, not a test. Start-up is the time until the first trial says something; overhead is
what each further trial takes more than the same trials take one after the other in one process,
with as many at a time as there are processors.
"""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

from nas_bench.execution import ExecutorName, Job, Settings, executor
from nas_bench.trials.config import Budget, Schedule, TrialConfig


def main() -> None:
    """Run the trials inline and under Ray and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    trials = parser.parse_args().trials
    jobs = [_job(seed) for seed in range(trials)]
    inline, ray = (_measure(name, jobs) for name in ("inline", "ray"))
    workers = os.cpu_count() or 1
    fair = inline["trials"] / workers
    print(f"{trials} trials, {workers} processors")
    for name, times in (("inline", inline), ("ray", ray)):
        print(f"{name:7} start-up {times['start']:5.1f} s   trials {times['trials']:5.1f} s")
    print(f"overhead of Ray {1000 * (ray['trials'] - fair) / trials:.0f} ms a trial")


def _job(seed: int) -> Job:
    return Job(
        TrialConfig(
            protocol="overhead",
            version=1,
            kind="same_target",
            task="sine",
            method="fixed",
            seed=seed,
            budget=Budget(steps=1),
            schedule=Schedule(growths=1),
        )
    )


def _measure(name: ExecutorName, jobs: Sequence[Job]) -> dict[str, float]:
    heard: list[float] = []

    def sink(config: TrialConfig, message: dict[str, Any]) -> None:
        heard.append(time.perf_counter())

    start = time.perf_counter()
    executor(name).execute(jobs, Settings(), sink)
    return {"start": heard[0] - start, "trials": heard[-1] - heard[0]}


if __name__ == "__main__":
    main()
