"""How often all intervals of a family hold what is true.

    python tests/benchmarks/interval_coverage.py [--tries 1000]

The family is that of methods less `fixed`: its questions share a row. Scores are drawn as in
`error_rates.py`: of equal variances, of variances from 0.1² to 10², and with 10 % dead seeds. All
means are equal, or every second method is 1.5 above the others. Printed is the share of families
of which every interval holds the true difference, which is to be 95 %, and of single intervals.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from error_rates import Draw, dead, drawn, equal, gaps, unequal

from nas_bench.report.statistics import answers

SIZES = ((4, 8), (4, 10), (10, 8), (10, 10), (17, 10))
"""Methods and seeds."""


def main() -> None:
    """Print a line for each shape of scores and number of methods and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000)
    tries = parser.parse_args().tries
    print("scores   methods seeds    equal means: all, single     gaps: all, single")
    for draw in (equal, unequal, dead):
        for methods, seeds in SIZES:
            line = f"{draw.__name__:8} {methods:7} {seeds:5}  "
            for shift, width in ((np.zeros((methods + 1, 1)), 18), (gaps(methods + 1), 12)):
                held = np.array(list(holds(draw, methods, seeds, shift, tries)))
                line += f"{held.all(axis=1).mean():{width}.1%}{held.mean():8.1%}"
            print(line, flush=True)


def holds(
    draw: Draw, methods: int, seeds: int, shift: np.ndarray, tries: int
) -> Iterator[list[bool]]:
    """Of each family, which intervals hold the true difference; those without ends do."""
    for scores in drawn(draw, methods + 1, seeds, tries):
        rows = list((scores + shift)[1:] - (scores + shift)[0])
        true = (shift[1:] - shift[0])[:, 0]
        found = [answer.interval for answer in answers(rows)]
        yield [
            ends is None or ends.low <= gap <= ends.high
            for ends, gap in zip(found, true, strict=True)
        ]


if __name__ == "__main__":
    main()
