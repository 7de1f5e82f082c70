"""Streamed folders of JPEGs: images a second by number of workers, and memory as a folder grows.

python tests/benchmarks/streamed_images.py --images 4000
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import pictures
import torch

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
    options = parser.parse_args()
    print(f"{'images':>8} {'workers':>8} {'steps: images/s':>16} {'scored/s':>9} {'MB more':>8}")
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        for share in (10, 1):
            each = options.images // share // len(pictures.CLASSES)
            place = pictures.folder(Path(folder) / str(share), each, side=options.side)
            for workers in (0, 1, 2):
                os.environ[WORKERS_VARIABLE] = str(workers)
                _print(place, workers)


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
