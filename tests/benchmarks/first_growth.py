"""The training loss after the first growth of GradMax's student, from a ledger.

    python tests/benchmarks/first_growth.py results/published

Evci et al. report the mean training loss between the first growth and the second one. Theirs are
of one student, one teacher and half the learning rate: the order of methods can be compared, the
level cannot. Differences are paired by seed, p is of the exact sign-flip test.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from nas_bench.report.statistics import paired, t_interval
from nas_bench.results.ledger import Ledger
from nas_bench.trials.schedule import growth_time

PROTOCOL = "gradmax-student-teacher"
PAIRS = (("gradmax", "random_growth"), ("tiny", "gradmax"), ("tiny", "random_growth"))


def main() -> None:
    """Print means with their intervals, then the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    losses = after_first_growth(parser.parse_args().results)
    for name, values in sorted(losses.items(), key=lambda item: fmean(item[1].values())):
        interval = t_interval(list(values.values()))
        ends = f"{interval.low:.3f} to {interval.high:.3f}" if interval else "one seed"
        print(f"{name:34} {fmean(values.values()):.3f}  ({ends}, {len(values)} seeds)")
    for first, second in PAIRS:
        found = paired(losses[first], losses[second])
        print(f"{first} − {second}: {found.mean:+.3f}, {found.pairs} pairs, p = {found.p}")


def after_first_growth(folder: Path) -> dict[str, dict[int, float]]:
    """Mean training loss between the first growth and the second, by row and seed."""
    losses: dict[str, dict[int, float]] = defaultdict(dict)
    for run in Ledger(folder).runs():
        if run.protocol != PROTOCOL or run.config is None or run.config.twin:
            continue
        begin, end = (growth_time(run.config.schedule, done) for done in (0, 1))
        between = [r.train_loss for r in run.curve if begin < r.step <= end]
        losses[run.label][run.seed] = fmean(between)
    return losses


if __name__ == "__main__":
    main()
