"""Fingerprints: micro-trials whose numbers stand still as long as the behaviour version does."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

from nas_bench import plugins
from nas_bench.execution.worker import reset
from nas_bench.trials.config import Budget, Schedule, TrialConfig, Twin
from nas_bench.trials.inputs import budget as parsed
from nas_bench.trials.measurement import record
from nas_bench.trials.messages import GrowthRecord, Message, Record
from nas_bench.trials.pause import Pause
from nas_bench.trials.schedule import first_widths
from nas_bench.trials.trial import Start, Trial

CASES = Path(__file__).with_name("cases.yaml")
PROJECTIONS = 8
RELATIVE, ABSOLUTE = 1e-7, 1e-10
FLOAT32 = 1e-3
"""Relative tolerance of losses in float32, where only counts are compared beside them."""

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Fingerprint:
    """One micro-trial.

    Attributes:
        name: of the case.
        config: of the trial; of a twin, of its original.
        twin: how a twin of it is matched, which is then what is measured; None without.
    """

    name: str
    config: TrialConfig
    twin: str | None

    @property
    def exact(self) -> bool:
        """Whether it runs in float64, so that every number is compared."""
        return "float32" not in self.config.task


@cache
def fingerprints() -> dict[str, Fingerprint]:
    """Every case, by name."""
    plugins.load_path(Path(__file__).with_name("micro_tasks.py"))
    cases: Sequence[Mapping[str, Any]] = yaml.safe_load(CASES.read_text("utf-8"))
    return {case["name"]: _fingerprint(**case) for case in cases}


def measured(fingerprint: Fingerprint) -> Numbers:
    """What comes out of a micro-trial: what it said, and its weights."""
    config = fingerprint.config
    trial, said = _run(config, None, None)
    original: list[Record | GrowthRecord] = []
    if fingerprint.twin:
        final = said[-1]
        assert isinstance(final, Record)
        flops = final.train_flops + final.growth_flops
        budget = Budget(steps=final.step) if fingerprint.twin == "steps" else Budget(flops=flops)
        twin = config.model_copy(update={"twin": Twin(of=config.id, match=fingerprint.twin)})
        original = said
        trial, said = _run(twin, final.widths, budget)
    return {"said": [_values(m) for m in (*original, *said)], "weights": _weights(trial)}


def moved(then: Numbers, now: Numbers, *, exact: bool, relative: float = RELATIVE) -> list[str]:
    """The numbers that are not what they were, one line each.

    What messages did not say then has not moved: to record more is no other behaviour.

    Args:
        then: as accepted.
        now: as measured.
        exact: whether all numbers are compared, else counts and FLOPs, and losses roughly.
        relative: tolerance of numbers.
    """
    before, after = dict(_flat(then)), dict(_flat(now))
    tolerance = relative if exact else FLOAT32
    known = {_field(name) for name in before}
    names = [name for name in {**before, **after} if _field(name) in known]
    return [
        f"{name} was {before.get(name)}, is {after.get(name)}"
        for name in names
        if _compared(name, exact)
        and not _alike(name, before.get(name), after.get(name), tolerance)
    ]


def _fingerprint(
    name: str, method: str, network: str, kind: str, where: str, *, optimizer: str = "adam",
    policy: str = "transplant", budget: str = "10 steps", twin: str | None = None, seed: int = 0,
    augmentation: str = "none", decay: str = "constant", precision: str = "float64",
    batch_growth: bool = False, limit: str | None = None, schedule: Mapping[str, Any] = {},
) -> Fingerprint:  # fmt: skip
    options = f"network_kind={network}" + ("" if precision == "float64" else ",precision=float32")
    same = kind == "same_target"
    growths = 4 if where == "turn" else 2
    config = TrialConfig(
        protocol="fingerprint",
        version=1,
        kind=kind,  # pyright: ignore[reportArgumentType]
        task=plugins.canonical(f"micro[{options}]", "task"),
        method=plugins.canonical(method, "method"),
        seed=seed,
        budget=parsed(budget),
        schedule=Schedule(
            every=2 if where == "turn" else 4,
            first=1,
            unit="steps",
            where=where,  # pyright: ignore[reportArgumentType]
            neurons=2,
            growths=growths,
            max_parameters="target" if limit and not same else None,
        ).model_copy(update=dict(schedule)),
        recipe={
            "optimizer": optimizer,
            "learning_rate": 0.05 if optimizer == "sgd" else 0.01,
            "momentum": 0.9 if optimizer == "sgd" else 0.0,
            "weight_decay": 0.01 if optimizer == "adamw" else 0.0,
            "augmentation": augmentation,
            "decay": decay,
            "batch_growth": batch_growth,
        },
        validation=0.2,
        optimizer_policy=policy,  # pyright: ignore[reportArgumentType]
    )
    return Fingerprint(name, config, twin)


def _run(
    config: TrialConfig, widths: Sequence[int] | None, budget: Budget | None
) -> tuple[Trial, list[Record | GrowthRecord]]:
    task, method = plugins.task(config.task), plugins.method(config.method)
    grows = method.grows and widths is None
    begin = tuple(widths or first_widths(task, method, config.start))
    reset(config)
    trial = Trial(
        Start(
            config, budget or config.budget, task, method if grows else None, begin, Path(), "cpu"
        )
    )
    return trial, list(_said(trial))


def _said(trial: Trial) -> Iterator[Record | GrowthRecord]:
    """Growth events, and full records: at the start, after each epoch and growth, at the end."""
    epochs, growths = -1, 0
    trial.grid.every = 1.0  # FLOP: there is a pause after each step
    for message in trial.run():
        now, grown = trial.now, len(trial.now.progress.growths)
        passed = isinstance(message, Pause) and math.floor(now.epoch + 1e-9) > epochs
        ends = isinstance(message, Record) and message.final
        if passed or ((ends or isinstance(message, Pause)) and grown > growths):
            epochs, growths = math.floor(now.epoch + 1e-9), grown
            yield record(now, trial.data, full=True)
        if ends or isinstance(message, GrowthRecord):
            yield message


def _values(message: Message) -> dict[str, Any]:
    """What a message says, without clocks and digests."""
    return {k: v for k, v in asdict(message).items() if k not in ("seconds", "weights")}


def _weights(trial: Trial) -> dict[str, Any]:
    """The norm of each tensor, and products of all of them with random directions."""
    state = {n: t.detach().double() for n, t in trial.model.state_dict().items() if t.ndim}
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    generator = torch.Generator().manual_seed(len(flat))
    shape = (PROJECTIONS, len(flat))
    directions = torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5
    return {
        "norms": {name: float(tensor.norm()) for name, tensor in state.items()},
        "projections": (directions @ flat).tolist(),
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in pairs:
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _field(name: str) -> str:
    """The field of a message; of other numbers the name."""
    parts = name.split(".")
    return parts[2] if parts[0] == "said" else name


def _compared(name: str, exact: bool) -> bool:
    counts = ("step", "widths", "added", "filled", "proposed", "flops", "status", "parameters")
    return exact or name.split(".")[-1].endswith("_loss") or any(c in name for c in counts)


def _alike(name: str, then: Any, now: Any, relative: float) -> bool:
    if not isinstance(then, float) or not isinstance(now, int | float) or "flops" in name:
        return then == now
    return math.isclose(then, now, rel_tol=relative, abs_tol=ABSOLUTE)


def as_stored(value: Any) -> Any:
    """Numbers as a file keeps them: twelve digits are a hundred thousand times the tolerance."""
    if isinstance(value, dict):
        return {name: as_stored(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_stored(part) for part in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value
