"""Running trials of a ledger a second time, to see whether the same comes out."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from nas_bench import plugins
from nas_bench.discovery import PluginKind
from nas_bench.execution import Settings
from nas_bench.execution.sweep import sweep
from nas_bench.results.agreement import disagreement
from nas_bench.results.environment import device_class
from nas_bench.results.ledger import Ledger
from nas_bench.results.merging import copy
from nas_bench.results.reading import CURVE, Run, checksum
from nas_bench.results.staleness import is_stale
from nas_bench.results.verified import Verified
from nas_bench.specs import parse
from nas_bench.trials.config import TrialConfig


def chosen(runs: Sequence[Run], count: int, seed: int) -> list[Run]:
    """So many random trials with a result that ends the same way again, or all such trials.

    Of stale results another end is expected, so they are left out where there are others.
    """
    whole = [r for r in runs if r.status == "ok" and r.config and r.config.reproducible]
    good = [run for run in whole if not is_stale(run)] or whole
    good.sort(key=lambda run: run.id)
    return random.Random(seed).sample(good, min(count, len(good)))


def verified(run: Run, ledger: Ledger, settings: Settings) -> Verified:
    """Run a trial again, in a ledger of its own in this process, and compare.

    Bits are compared where instruction set, threads, torch, device, data and code are the same,
    else final scores within the tolerance. A twin gets the widths and the budget of the
    original that the ledger has.

    Raises:
        ValueError: if it cannot be run again; the message is one sentence.
    """
    if run.config is None:
        raise ValueError(f"it cannot be run again: {run.reason}")
    _require_plugins(run.config)
    with tempfile.TemporaryDirectory(prefix="nas-bench-verify-") as folder:
        again = Ledger(Path(folder))
        if run.config.twin is not None:
            copy(_original(run.config, ledger), again.folder)
        sweep([run.config], again, "inline", _on_its_device(run, settings))
        second = again.run(run.config)
    if second is None:
        raise ValueError("it did not run again")
    return _compared(run, second)


def _require_plugins(config: TrialConfig) -> None:
    """Refuse what is only known from a file that was not given.

    Raises:
        ValueError: naming it.
    """
    named: dict[PluginKind, str] = {
        "method": config.method, "task": config.task, "trigger": config.schedule.when,
    }  # fmt: skip
    for kind, spec in named.items():
        if (name := parse(spec).name) not in plugins.plugins(kind):
            raise ValueError(
                f"there is no {kind} {name} here: give the file that it comes from with --plugin, "
                "or install its package"
            )


def _on_its_device(run: Run, settings: Settings) -> Settings:
    """The device asked for; auto is one as the trial ran on, if there is one here."""
    if settings.device != "auto":
        return settings
    device = device_class(run.environment.get("device", "cpu"))
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return replace(settings, device=device if there.get(device) else "cpu")


def _original(config: TrialConfig, ledger: Ledger) -> Run:
    known = {run.id: run for run in ledger.glances()}
    original = known.get(config.twin.of) if config.twin else None
    if original is None or original.status != "ok":
        raise ValueError("its original has no result here, so it cannot be run again")
    return original


def _compared(run: Run, second: Run) -> Verified:
    reasons, found = disagreement(run, second)
    return Verified(
        id=run.id,
        curve=checksum(run.source.read(CURVE)),
        reproduced=not found,
        compared="tolerance" if reasons else "bits",
        because=tuple(reasons),
        differences=tuple(found),
        when=second.finished or "",
        environment=second.environment,
    )
