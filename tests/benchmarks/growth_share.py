"""What one growth at every site costs, in epochs of training: seconds on a device.

    python tests/benchmarks/growth_share.py --device cuda [--network resnet18]

A trial of two epochs on random images, as many as CIFAR-100 has, with one growth after the first:
from the task's seed widths to its target widths, as in protocol `standard`, with its recipe.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.random_images import NETWORKS, images

from nas_bench import plugins
from nas_bench.execution.worker import reset
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.start import Start
from nas_bench.trials.trial import Trial

EPOCHS = 2


def share(network: str, method: str, samples: int, device: str) -> dict[str, Any]:
    """Seconds by clock of the trial, and growth in epochs of training."""
    task = images(network, samples)
    config = TrialConfig(
        protocol="benchmark", version=1, kind="same_target", task="random_images", method=method,
        seed=0, budget=Budget(epochs=EPOCHS), schedule=Schedule(growths=1, every=1),
        evaluations=1, full_evaluations=1,
    )  # fmt: skip
    reset(config)
    grower = plugins.method(method)
    start = Start(config, config.budget, task, grower, task.seed_widths, Path(), device)
    *_, last = Trial(start).run()
    growth = last.seconds.charged - last.seconds.train
    return {
        "network": network,
        "method": method,
        "samples": samples,
        "seconds": asdict(last.seconds),
        "widths": last.widths,
        "growth_in_epochs": growth / (last.seconds.train / EPOCHS),
        "growth_flops_share": last.growth_flops / (last.growth_flops + last.train_flops),
    }


def main() -> None:
    """Print what each method costs, and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--network", default="resnet18", choices=NETWORKS)
    parser.add_argument("--methods", default="random_growth,tiny,gradmax")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    for method in asked.methods.split(","):
        found.append(share(asked.network, method, asked.samples, asked.device))
        print(json.dumps(found[-1]), flush=True)
        if asked.json:
            asked.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
