"""What an optimiser that starts anew at every growth changes, from a ledger.

    python tests/benchmarks/optimizer_policy.py results/published

Each method of `lite-reset` against itself in `lite`, paired by seed: percent of test accuracy, p
and interval of the sign-flip test among the methods of a task (max-T).
"""

import argparse
from collections import defaultdict
from pathlib import Path

from nas_bench.report.comparison import comparisons
from nas_bench.report.statistics import TESTABLE, answers
from nas_bench.report.statistics.differences import differences
from nas_bench.results.ledger import Ledger
from nas_bench.text import difference, p_equals

KEPT, RESET = "lite", "lite-reset"


def main() -> None:
    """Print the differences, a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    for task, scores in scores_by_task(parser.parse_args().results).items():
        kept, reset = scores[KEPT], scores[RESET]
        rows = {name: differences(reset[name], kept[name]) for name in reset if name in kept}
        print(f"{task}: {RESET} − {KEPT}")
        for (name, row), found in zip(rows.items(), answers([*rows.values()]), strict=True):
            ends = found.interval and (found.interval.low, found.interval.high)
            tested = "not testable" if row.size < TESTABLE else p_equals(found.p)
            shown = difference(float(row.mean()), ends, "accuracy")
            print(f"  {name:34} {shown}  ({row.size} pairs, {tested})")


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
