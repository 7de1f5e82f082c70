"""How much slower a packed ledger is read than one of folders.

    python tests/benchmarks/packed_reading.py --trials 3000 --repeats 7

The ledger is made up, but written by the `Ledger` itself. Both are read after each other in one
process, either first in turn, so that a disturbance of the machine hits both; the ratio is the
median of those of the pairs. On a machine that others use, look at processor time. Asked for: at
most 1.3, for a glance (status, plan) and for reading all (report, verify).
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


def seconds(read: Callable[[Ledger], list[Run]], folder: Path, trials: int) -> tuple[float, float]:
    """Wall and processor time of one reading, of a ledger that was not opened before."""
    start, work = time.perf_counter(), time.process_time()
    runs = read(Ledger(folder))
    spent = time.perf_counter() - start, time.process_time() - work
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
            pairs = []
            for number in range(options.repeats + 1):
                order = (folders, packs) if number % 2 else (packs, folders)
                times = {folder: seconds(read, folder, options.trials) for folder in order}
                pairs.append((times[folders], times[packs]))
            del pairs[0]
            for kind, clock in enumerate(("wall", "processor")):
                times = [(one[kind], other[kind]) for one, other in pairs]
                ones, others = (statistics.median(found) for found in zip(*times, strict=True))
                ratios = sorted(other / one for one, other in times)
                print(
                    f"{what}, {clock}: folders {ones:.2f} s, packed {others:.2f} s, ratio "
                    f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                )


if __name__ == "__main__":
    main()
