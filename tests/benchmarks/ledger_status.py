"""How long `nas-bench status` takes on a ledger of many finished trials.

    python tests/benchmarks/ledger_status.py --trials 3000 --repeats 5

The ledger is made up, but written by the `Ledger` itself. Without checksums (`--old`) every line
of every curve is parsed, as for results of versions that did not write them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import synthetic

from nas_bench.results import files
from nas_bench.results.environment import core_hash
from nas_bench.results.ledger import Ledger


def fabricate(folder: Path, trials: int, old: bool) -> None:
    """A finished trial of every method of `synthetic`, seed after seed."""
    methods = list(synthetic.SETTINGS)
    files.synchronise = lambda path: None  # the disk may be slow, this is not measured
    sources = {"core": core_hash(), "method": "0" * 16, "task": "0" * 16}
    synthetic.ENVIRONMENT |= {"sources": sources}  # so that status compares them with today's
    ledger = Ledger(folder)
    for number in range(trials):
        config = synthetic.trial(methods[number % len(methods)], number // len(methods))
        synthetic.run(ledger, config)
        if old:
            path = ledger.trial_folder(config) / "run.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "checksums": {}}))


def main() -> None:
    """Print the median of the wall times of a whole process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--old", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fabricate(Path(folder), options.trials, options.old)
        command = [sys.executable, "-m", "nas_bench", "status", "--results", folder]
        times = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
    print(
        f"{options.trials} trials: median {statistics.median(times):.2f} s, "
        f"from {min(times):.2f} to {max(times):.2f} s"
    )


if __name__ == "__main__":
    main()
