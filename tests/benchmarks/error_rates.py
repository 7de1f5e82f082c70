"""How often the report finds differences: where there are none, and where there is one.

    python tests/benchmarks/error_rates.py [--tries 2000]

Rows have equal means, or half of them are a gap above the others; all pairs of rows are one
family. Printed is the chance of any false finding (at most 5 % where the test is right about it),
for scores of equal variance, of variances from 0.1² to 10², for 10 % of seeds that are dead in
every row, and for one dead seed in ten in half of the rows alone, whose other seeds make up for
it: equal means of unequal shape, which no test of ten seeds can tell from a difference. Beside it
the share of true gaps of 1.5 sd that are found, and the same with Holm's correction.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from nas_bench.report.statistics import answers, holm, sign_flip

SIZES = ((5, 8), (5, 10), (10, 10), (18, 8), (18, 10))
"""Rows and seeds."""
GAP = 1.5
Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def equal(generator: np.random.Generator, rows: int, seeds: int) -> np.ndarray:
    """Normal scores of one variance: (rows, seeds)."""
    return generator.normal(90, 1, (rows, seeds))


def unequal(generator: np.random.Generator, rows: int, seeds: int) -> np.ndarray:
    """Each row of another variance."""
    return 90 + generator.normal(0, 1, (rows, seeds)) * np.logspace(-1, 1, rows)[:, None]


def dead(generator: np.random.Generator, rows: int, seeds: int) -> np.ndarray:
    """One seed in ten is as bad as an untrained network, whatever the row."""
    scores = unequal(generator, rows, seeds)
    scores[generator.random(scores.shape) < 0.1] = 10
    return scores


def skewed(generator: np.random.Generator, rows: int, seeds: int) -> np.ndarray:
    """Half of the rows lose one seed in ten and are better by as much on the others."""
    scores = equal(generator, rows, seeds)
    lost = generator.random(scores.shape) < 0.1
    scores[::2] = np.where(lost, 10.0, scores + 80 / 9)[::2]
    return scores


def main() -> None:
    """Print a line for each shape of scores and number of rows and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2000)
    tries = parser.parse_args().tries
    print(f"{'scores':8} rows seeds  any false finding  gaps found  gaps found, Holm")
    for draw in (equal, unequal, dead, skewed):
        for rows, seeds in SIZES:
            false = np.mean([any(tested(s)) for s in drawn(draw, rows, seeds, tries)])
            line = f"{draw.__name__:8} {rows:4} {seeds:5} {false:18.1%}"
            if draw is equal:
                found = [seen(s + gaps(rows)) for s in drawn(draw, rows, seeds, tries // 10)]
                line += "{:12.1%}{:18.1%}".format(*np.mean(found, axis=0))
            print(line, flush=True)


def drawn(draw: Draw, rows: int, seeds: int, tries: int) -> Iterator[np.ndarray]:
    """Scores, the same for each run of this script."""
    generator = np.random.default_rng(0)
    return (draw(generator, rows, seeds) for _ in range(tries))


def gaps(rows: int) -> np.ndarray:
    """What half of the rows are better by: (rows, 1)."""
    return np.where(np.arange(rows) % 2, GAP, 0.0)[:, None]


def differences(scores: np.ndarray) -> list[np.ndarray]:
    """Of all pairs of rows."""
    return [scores[j] - scores[i] for i, j in combinations(range(len(scores)), 2)]


def tested(scores: np.ndarray) -> list[bool]:
    """Which pairs are told apart."""
    return [answer.p <= 0.05 for answer in answers(differences(scores))]


def seen(scores: np.ndarray) -> tuple[float, float]:
    """The share of pairs with a gap that max-T finds, and Holm's correction."""
    pairs = combinations(range(len(scores)), 2)
    real = np.array([(i + j) % 2 == 1 for i, j in pairs])
    corrected = holm([sign_flip(row) for row in differences(scores)])
    found = np.array(tested(scores)), np.array(corrected) <= 0.05
    return float(found[0][real].mean()), float(found[1][real].mean())


if __name__ == "__main__":
    main()
