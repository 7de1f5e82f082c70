"""How much slower a packed ledger is read than one of folders.

    python tests/benchmarks/packed_reading.py --trials 3000 --repeats 7

The ledger is made up, but written by the `Ledger` itself. Both are read in turn, in one process
and after each other, so that a disturbance of the machine hits both; the ratio is the median of
those of the pairs. Asked for: at most 1.3, for a glance (status, plan) and for reading all
(report, verify).
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ledger_status import fabricate

from nas_bench.results.ledger import Ledger
from nas_bench.results.packing import pack
from nas_bench.results.reading import Run


def seconds(read: Callable[[Ledger], list[Run]], folder: Path, trials: int) -> float:
    """How long one reading takes, from a ledger that was not opened before."""
    start = time.perf_counter()
    runs = read(Ledger(folder))
    spent = time.perf_counter() - start
    assert len(runs) == trials
    return spent


def main() -> None:
    """Print the medians of both and of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders, packs = Path(name, "folders"), Path(name, "packs")
        fabricate(folders, options.trials, old=False)
        shutil.copytree(folders, packs)
        for outcome in pack(packs):
            print(f"{outcome.place}: {outcome.trials} trials in {outcome.bytes / 1e6:.1f} MB")
        for what, read in (("glance", Ledger.glances), ("read all", Ledger.runs)):
            pairs = [
                (seconds(read, folders, options.trials), seconds(read, packs, options.trials))
                for _ in range(options.repeats + 1)
            ][1:]
            ones, others = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(other / one for one, other in pairs)
            print(f"{what}: folders {ones:.2f} s, packed {others:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
