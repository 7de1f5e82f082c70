"""A results folder as a real run leaves it, with made-up numbers, written by the Ledger itself."""

import math
import random
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Budget, Kind, Schedule, TrialConfig
from nas_bench.trials.messages import Failure, GrowthRecord, Record, Seconds, as_dict

ENVIRONMENT = {"nas_bench": "0.1.0", "python": "3.11.7", "cpu": {"model": "a CPU", "cores": 2}}

SETTINGS = {
    "tiny": (96.5, (30, 20), 0.18),
    "gradmax": (95.6, (30, 20), 0.09),
    "north_preactivation": (95.1, (28, 22), 0.06),
    "random_growth": (93.2, (30, 20), 0.01),
    "tiny[update=false]": (95.9, (29, 20), 0.17),
    "random_growth[update=true]": (94.9, (30, 20), 0.12),
    "fixed": (97.1, (30, 20), 0.0),
    "fixed[size=seed]": (32.0, (1, 1), 0.0),
}
"""Final accuracy in percent, final widths, share of growth in the cost."""


def trial(method: str = "tiny", seed: int = 0, **fields: Any) -> TrialConfig:
    defaults: dict[str, Any] = {
        "protocol": "smoke",
        "version": 1,
        "kind": "same_target",
        "task": "digits",
        "budget": Budget(epochs=12),
        "schedule": Schedule(every=2, growths=4),
    }
    return TrialConfig(method=method, seed=seed, **(defaults | fields))


def records(
    config: TrialConfig,
    spread: float = 0.4,
    regression: bool = False,
    points: int = 12,
    earlier: bool = True,
) -> list[Record]:
    """A learning curve that saturates at the method's accuracy.

    Whole splits are scored in every record of earlier results, else in every fourth and the last.
    """
    best, widths, share = SETTINGS.get(config.method, (90.0, (20, 15), 0.05))
    chance = random.Random(f"{config.method} {config.seed}")
    best += chance.gauss(0, spread)
    found = []
    for point in range(points + 1):
        grown = 1.0 if config.method.startswith("fixed") else point / points
        now = tuple(max(1, round(width * grown)) for width in widths)
        if config.kind == "free":
            now = tuple(width + chance.randint(0, 4) for width in now)
        parameters = 65 * now[0] + (now[0] + 1) * now[1] + (now[1] + 1) * 10
        accuracy = best - (best - 10) * math.exp(-6 * point / points) + chance.gauss(0, 0.2)
        accuracy = min(max(accuracy, 5.0), 100.0) / 100
        train = 3.0 * parameters * 1437 * point * (0.5 + grown / 2)
        loss = -math.log(max(accuracy - 0.02, 0.01)) + 1e-3
        pause = share * point / 9
        scores = (None, None, None) if regression else (accuracy, accuracy - 0.01, accuracy - 0.02)
        found.append(
            Record(
                step=15 * point,
                epoch=float(point),
                samples=1437 * point,
                train_flops=train,
                growth_flops=train * share,
                seconds=Seconds(0.11 * point, pause, pause, pause, pause, 0.05 * point),
                parameters=parameters,
                flops=float(parameters - now[0] - now[1] - 10),
                widths=now,
                train_loss=loss * 0.9,
                validation_loss=loss,
                test_loss=loss * 1.1,
                train_accuracy=scores[0],
                validation_accuracy=scores[1],
                test_accuracy=scores[2],
            )
        )
    last = found[-1]
    if not earlier:
        found = [seldom(r) if place % 4 else full(r) for place, r in enumerate(found[:-1])]
        found.append(full(last))
    return [*found[:-1], replace(found[-1], final=True)]


def full(record: Record) -> Record:
    """The same, with a score of the whole validation split that is a point above the sample's."""
    accuracy, loss = record.validation_accuracy, record.validation_loss
    return replace(
        record,
        full_validation_loss=0.9 * loss,
        full_validation_accuracy=None if accuracy is None else accuracy + 0.01,
    )


def seldom(record: Record) -> Record:
    """The same, without scores of whole splits."""
    return replace(record, test_loss=None, test_accuracy=None)


def growth(step: int, added: int = 7) -> GrowthRecord:
    return GrowthRecord(
        step=step,
        site="layers.1",
        asked=7,
        proposed=7,
        dropped=7 - added,
        added=added,
        filled=7 - added,
        status="added",
        gains=tuple(0.5 / (i + 1) for i in range(added)),
        threshold=0.01,
        amplitude=0.5,
        scale=1.2,
        predicted=0.05,
        measured=0.04,
        score=None,
        widths=(8, 6),
        statistics_samples=500,
        statistics_clipped=True,
        flops={"statistics": 1e6, "decomposition": 2e5, "line_search": 3e6},
        seconds={"statistics": 0.01, "decomposition": 0.002, "line_search": 0.03},
    )


def run(ledger: Ledger, config: TrialConfig, **options: Any) -> None:
    """A trial that ends well."""
    begin(ledger, config)
    for record in records(config, **options):
        if config.method != "fixed" and record.step in (30, 60, 90):
            ledger.write(config, as_dict(growth(record.step)))
        ledger.write(config, as_dict(record))
    ledger.finish(config)


def fail(ledger: Ledger, config: TrialConfig, message: str = "the loss is NaN at step 75") -> None:
    """A trial that diverges after five records."""
    begin(ledger, config)
    for record in records(config)[:5]:
        ledger.write(config, as_dict(record))
    failure = Failure("diverged", "DivergedError", message, "Traceback …")
    ledger.write(config, as_dict(failure))
    ledger.finish(config)


def refuse(ledger: Ledger, config: TrialConfig) -> None:
    """A trial of a method that cannot grow its network."""
    begin(ledger, config)
    reason = f"{config.method} cannot grow 'layers.1': it follows a softmax"
    refused = Failure("not applicable", "NotApplicableError", reason, "")
    ledger.write(config, as_dict(refused))
    ledger.finish(config)


def begin(ledger: Ledger, config: TrialConfig) -> None:
    ledger.write(config, {"type": "started", "environment": ENVIRONMENT})


def sweep(folder: Path, seeds: int = 3, kind: Kind = "same_target") -> Ledger:
    """Every method of SETTINGS; the last seed of gradmax diverges."""
    shutil.copytree(_swept(seeds, kind).name, folder, dirs_exist_ok=True)
    return Ledger(folder)


@cache
def _swept(seeds: int, kind: Kind) -> tempfile.TemporaryDirectory[str]:
    """The same for all tests of a worker, which is written once."""
    folder = tempfile.TemporaryDirectory(prefix="swept-")
    ledger = Ledger(Path(folder.name))
    for method in SETTINGS:
        for seed in range(seeds):
            config = trial(method, seed, kind=kind)
            is_cut = method == "gradmax" and seed == seeds - 1
            (fail if is_cut else run)(ledger, config)
    return folder
