"""What an optimiser that starts anew at every growth changes, from a ledger.

    python tests/benchmarks/optimizer_policy.py results/published

Each method of `lite-reset` against itself in `lite`, paired by seed: percent of test accuracy, p
of the exact sign-flip test with Holm's correction over the methods of a task.
"""

import argparse
from pathlib import Path

from nas_bench.report.comparison import comparisons
from nas_bench.report.statistics import holm, paired
from nas_bench.results.ledger import Ledger

KEPT, RESET = "lite", "lite-reset"


def main() -> None:
    """Print the differences, a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    found = comparisons(Ledger(parser.parse_args().results).runs())
    scores = {
        (comparison.protocol, comparison.task, row.name): comparison.scores(row)
        for comparison in found
        for row in comparison.rows
        if row.role in ("method", "control")
    }
    for task in sorted({task for protocol, task, _ in scores if protocol == RESET}):
        names = [name for protocol, of, name in scores if (protocol, of) == (RESET, task)]
        differences = [paired(scores[RESET, task, n], scores[KEPT, task, n]) for n in names]
        adjusted = holm([difference.p for difference in differences])
        print(f"{task}: {RESET} − {KEPT}")
        for name, difference, p in zip(names, differences, adjusted, strict=True):
            half = difference.interval.high - difference.mean
            pairs = f"{difference.pairs} pairs, p = {p:.2g}"
            print(f"  {name:28} {difference.mean:+.2f} ± {half:.2f}  ({pairs})")


if __name__ == "__main__":
    main()
