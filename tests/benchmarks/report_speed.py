"""How long reading a large ledger takes, and the whole report of it.

    python tests/benchmarks/report_speed.py --tasks 15 --seeds 10 --points 60
    python tests/benchmarks/report_speed.py --keep /tmp/ledger --only reading

The ledger is made up, but written by the `Ledger` itself: the methods and controls of
`synthetic`, two twins of each that grows, every task and seed: 20 trials for each. Times are
those of one core after all imports; CPU seconds tell where other processes share the core.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib.figure
import pandas as pd
import scipy.stats
import synthetic

from nas_bench import report
from nas_bench.report import curves, pareto, theme
from nas_bench.results import files
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import TrialConfig, Twin
from nas_bench.trials.messages import as_dict

IMPORTED = (matplotlib.figure, pd, scipy.stats, curves, theme, pareto)


def fabricate(folder: Path, tasks: int, seeds: int, points: int, events: int) -> None:
    """Finished trials: records at `points` points, growth events of those that grow."""
    files.synchronise = lambda path: None  # the disk may be slow, this is not measured
    ledger = Ledger(folder)
    for config in configs(tasks, seeds):
        messages = [as_dict(record) for record in synthetic.records(config, points=points - 1)]
        grows = config.twin is None and not config.method.startswith("fixed")
        growths = [as_dict(synthetic.growth(15 * (n + 1))) for n in range(events if grows else 0)]
        synthetic.begin(ledger, config)
        ledger.write(config, {"type": "resumed", "messages": messages + growths, "step": 0})
        ledger.finish(config)


def configs(tasks: int, seeds: int) -> Iterator[TrialConfig]:
    """Every method and its twins on every task and seed."""
    for task in range(tasks):
        for seed in range(seeds):
            for method in synthetic.SETTINGS:
                original = synthetic.trial(method, seed, task=f"digits[target_widths=[{task}]]")
                yield original
                if not method.startswith("fixed"):
                    for match in ("steps", "flops"):
                        twin = Twin(of=original.id, match=match)
                        yield original.model_copy(update={"twin": twin})


def measured(name: str, work: Callable[[], object], repeats: int) -> None:
    """Print the fastest and all wall times, and the fastest in CPU seconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        made = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        del made  # which takes time of its own
    times = ", ".join(f"{wall:.2f}" for wall in walls)
    print(f"{name}: {min(walls):.2f} s ({times}), {min(cpus):.2f} CPU seconds", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the ledger where it is not there yet, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("tasks", 15), ("seeds", 10), ("points", 60), ("events", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["reading", "report"])
    parser.add_argument("--keep", type=Path, help="folder of a ledger to make or to use again")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        if not any(folder.glob("*")):
            fabricate(folder, options.tasks, options.seeds, options.points, options.events)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        runs = Ledger(folder).runs()
        records = sum(len(run.curve) for run in runs)
        events = sum(len(run.growth) for run in runs)
        print(f"{len(runs)} trials, {records} records, {events} growth events")
        del runs
        if options.only != "report":
            measured("reading", lambda: Ledger(folder).runs(), options.repeats)
        if options.only != "reading":
            measured("report", lambda: report.write(folder), options.repeats)


if __name__ == "__main__":
    main()
