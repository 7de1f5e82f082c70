"""What an optimiser that starts anew at every growth changes, from a ledger.

    python tests/benchmarks/optimizer_policy.py results/published

Each method of `lite-reset` against itself in `lite`, paired by seed: percent of test accuracy, p
of the exact sign-flip test with Holm's correction over the methods of a task.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from nas_bench.report.comparison import comparisons
from nas_bench.report.statistics import corrected, paired
from nas_bench.results.ledger import Ledger

KEPT, RESET = "lite", "lite-reset"


def main() -> None:
    """Print the differences, a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    for task, scores in scores_by_task(parser.parse_args().results).items():
        kept, reset = scores[KEPT], scores[RESET]
        names = [name for name in reset if name in kept]
        differences = [paired(reset[name], kept[name]) for name in names]
        print(f"{task}: {RESET} − {KEPT}")
        for name, found, p in zip(names, differences, corrected(differences), strict=True):
            half = found.interval.high - found.mean if found.interval else float("nan")
            tested = "not testable" if p is None else f"p = {p:.2g}"
            print(f"  {name:34} {found.mean:+.2f} ± {half:.2f}  ({found.pairs} pairs, {tested})")


def scores_by_task(folder: Path) -> dict[str, dict[str, dict[str, dict[int, float]]]]:
    """Test accuracies by seed of all that grows; by task, protocol and row."""
    scores: dict[str, dict[str, dict[str, dict[int, float]]]]
    scores = defaultdict(lambda: defaultdict(dict))
    for comparison in comparisons(Ledger(folder).glances()):
        if comparison.protocol in (KEPT, RESET):
            for row in comparison.rows:
                if row.role in ("method", "control"):
                    scores[comparison.task][comparison.protocol][row.name] = comparison.scores(row)
    return scores


if __name__ == "__main__":
    main()
