"""Streamed folders of JPEGs: images a second by number of workers, and memory as a folder grows.

    python tests/benchmarks/streamed_images.py --images 4000
    python tests/benchmarks/streamed_images.py --images 3000 --kills 5

With kills, a sweep of one epoch on the larger folder is killed with -9 so often within it, given
again each time, and compared with one that nobody killed. The exit code is 1 if a final weight, a
record or a growth event differs.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pictures
import torch
from benchmarks.crashes import Sweep, Tally, compare, kill_drivers

from nas_bench.tasks.image_folder import ImageFolder
from nas_bench.training.evaluation import score
from nas_bench.training.order import DataOrder
from nas_bench.training.soundness import loaded
from nas_bench.training.streaming import WORKERS_VARIABLE

STEPS, BATCH = 30, 50


def main() -> None:
    """Print one line a folder and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4000, help="of the larger folder")
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--kills", type=int, default=0, help="within the only epoch of a trial")
    options = parser.parse_args()
    if options.kills:
        sys.exit(not _killed(options.images, options.side, options.kills))
    print(f"{'images':>8} {'workers':>8} {'steps: images/s':>16} {'scored/s':>9} {'MB more':>8}")
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        for share in (10, 1):
            each = options.images // share // len(pictures.CLASSES)
            place = pictures.folder(Path(folder) / str(share), each, side=options.side)
            for workers in (0, 1, 2):
                os.environ[WORKERS_VARIABLE] = str(workers)
                _print(place, workers)


def epoch(images: Path, results: Path, batch: int) -> Sweep:
    """One trial of one epoch on a folder, which grows twice within it."""
    widths = "seed_widths=[1,1,1,1,1],target_widths=[3,3,3,3,3]"
    return Sweep(
        results, "inline", epochs=1, seeds="0", methods="random_growth",
        tasks=f"image_folder[path={images},size=16,{widths}]",
        schedule={"where": "each", "growths": 2, "every": 10, "unit": "steps"},
        settings=(f"recipe={json.dumps({'batch_size': batch})}", "evaluations=4"),
    )  # fmt: skip


def _killed(images: int, side: int, kills: int) -> bool:
    """Print what kills within an epoch cost; whether nothing differs."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        each = images // len(pictures.CLASSES)
        place = pictures.folder(Path(folder) / "mine", each, side=side)
        whole, cut = (epoch(place, Path(folder) / name, 20) for name in ("whole", "cut"))
        whole.finish()
        kill_drivers(cut, ["after a checkpoint"] * kills, random.Random(0), tally)
        compare(whole.folder, cut.folder, tally)
        (run,) = cut.folder.glob("*/*/*/*/*/run.json")
        step = json.loads(run.read_text("utf-8"))["environment"].get("resumed_at_step", 0)
    print(
        f"{images} images: {tally.kills.total()} kills within an epoch, {tally.attempts} attempts "
        f"beyond the first, the last from step {step}; rows lost {tally.lost}, double "
        f"{tally.double}, other {len(tally.other)}"
    )
    return tally.good


def _print(place: Path, workers: int) -> None:
    before = memory()
    task = ImageFolder(path=str(place))
    train, _ = loaded(task, Path())
    feed = train.feed(DataOrder(len(train), torch.Generator()), "0/sample")
    start = time.perf_counter()
    for step in range(STEPS):
        feed.next(BATCH, step * BATCH)
    trained = time.perf_counter()
    some = train.at(torch.arange(min(len(train), STEPS * BATCH)))
    score(task.network(task.seed_widths), some, task.loss)
    scored = len(some) / (time.perf_counter() - trained)
    more = (memory() - before) / 2**20
    speed = STEPS * BATCH / (trained - start)
    print(f"{len(train):8} {workers:8} {speed:16.0f} {scored:9.0f} {more:8.1f}")


def memory() -> int:
    """Of this process and its workers, in bytes, what they share counted once."""
    total = 0
    own = str(os.getpid())
    for process in Path("/proc").iterdir():
        try:
            status = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
            if process.name == own or (process.name.isdigit() and status[1] == own):
                lines = (process / "smaps_rollup").read_text("utf-8").splitlines()
                total += sum(int(line.split()[1]) << 10 for line in lines if line[:4] == "Pss:")
        except OSError:
            continue
    return total


if __name__ == "__main__":
    main()
