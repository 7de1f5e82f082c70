"""Measures what share of a trial's seconds is evaluation, for every protocol and kind of row.

    python tests/benchmarks/evaluation_share.py --limit 15
    python tests/benchmarks/evaluation_share.py lite tiny-fig15 --methods tiny,fixed

A measurement, not a test: the first part of a trial, until it has taken `--limit` seconds, on one
thread. What was trained and evaluated on the grid by then counts as often as it fits into the
whole trial; growth counts as it is, although more may follow, so that a share is rather too large.
Full evaluations are left out of the run and counted: the seconds per sample that the grid's
records took, times the samples of the whole validation split and of the test split. Other work on
the machine slows all of it alike.
"""

import argparse
import math
from dataclasses import dataclass, replace

import torch

from nas_bench import plugins
from nas_bench.execution.worker import reset
from nas_bench.training.data import data_folder
from nas_bench.training.task import DataMissingError
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Record
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol, protocol_names
from nas_bench.trials.schedule import first_widths
from nas_bench.trials.trial import Start, Trial

METHODS = "tiny,fixed,fixed[size=seed]"
SAME_COSTS = ("lite-reset", "tiny-fig11-summed", "tiny-fig12-summed", "tiny-fig13-summed")
"""Protocols that differ from those that they extend in nothing that costs."""


@dataclass(frozen=True)
class Shares:
    """Seconds of a whole trial, and how much of it was run."""

    run: float
    train: float
    growth: float
    grid: float
    full: float

    @property
    def evaluation(self) -> float:
        """Share of all seconds."""
        return (self.grid + self.full) / (self.train + self.growth + self.grid + self.full)


def main() -> None:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocols", nargs="*")
    parser.add_argument("--tasks", help="instead of the protocols' own")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--limit", type=float, default=15.0, help="seconds of a trial")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.protocols or [n for n in protocol_names() if n not in SAME_COSTS]
    for name in names:
        changes = {"seeds": "0", "methods": options.methods, "twins": []}
        if options.tasks:
            changes["tasks"] = options.tasks
        for config in plan(load_protocol(name, [changes]), baselines=False):
            try:
                found = measured(config, options.limit)
            except DataMissingError as error:
                print(f"{name:24} {config.task:32} not measured: {error}")
                continue
            clocks = vars(found).items()
            seconds = "  ".join(f"{k} {v:8.1f} s" for k, v in clocks if k != "run")
            print(
                f"{name:24} {config.task:32} {config.method:18} {found.run:4.0%} run  {seconds}  "
                f"evaluation {found.evaluation:6.1%}",
                flush=True,
            )


def measured(config: TrialConfig, limit: float) -> Shares:
    """Run the first seconds of a trial."""
    task, method = plugins.task(config.task), plugins.method(config.method)
    reset(config)
    grower = method if method.grows else None
    folder, widths = data_folder(None), first_widths(task, method)
    trial = Trial(Start(config, config.budget, task, grower, widths, folder, "cpu"))
    data, spent = trial.data, trial.spent
    grid = len(data.train_sample) + len(data.validation_sample)
    rest = len(data.validation) - len(data.validation_sample) + len(data.test)
    trial.data = replace(data, validation=data.validation_sample, test=data.test.first(1))
    records = 0
    for message in trial.run():
        records += isinstance(message, Record)
        if sum(spent.seconds.values()) > limit and spent.step:
            break
    clocks = dict(spent.seconds)
    run = min(1.0, spent.fraction(config.budget, trial.now.epoch))
    train, evaluation = clocks.pop("train") / run, clocks.pop("evaluation")
    expected = records
    if run < 0.99:
        points = spent.train_flops / run / (trial.grid.every or math.inf)
        expected = 2 + len(trial.now.progress.growths) + min(points, spent.step / run)
    one = evaluation / records
    full = (config.full_evaluations + 1) * rest * one / grid
    return Shares(run, train, sum(clocks.values()), expected * one, full)


if __name__ == "__main__":
    main()
