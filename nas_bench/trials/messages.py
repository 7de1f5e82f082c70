"""What a running trial says: plain values, the only things that cross processes."""

import math
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nas_bench.text import escaped

_LONGEST = {"error": 200, "message": 10_000, "traceback": 100_000}
"""Letters of what a failure says."""
_NO_GROWTH = ("train", "evaluation")
SiteStatus = Literal[
    "added", "rejected", "not significant", "not chosen", "not possible", "too expensive",
    "updated",
]  # fmt: skip


def score(accuracy: float | None, loss: float) -> float:
    """What decides between trials, higher is better: accuracy, else the negative loss.

    Minus infinity where that is not finite.
    """
    found = -loss if accuracy is None else accuracy
    return found if math.isfinite(found) else -math.inf


@dataclass(frozen=True)
class Seconds:
    """Separate clocks of a trial, in seconds; only `train` and the growth clocks are its cost."""

    train: float = 0.0
    statistics: float = 0.0
    decomposition: float = 0.0
    line_search: float = 0.0
    widening: float = 0.0
    trigger: float = 0.0
    evaluation: float = 0.0

    @property
    def growth(self) -> float:
        """All clocks but training and evaluation."""
        return sum(value for name, value in vars(self).items() if name not in _NO_GROWTH)

    @property
    def charged(self) -> float:
        """All clocks but evaluation, which is for the reader, not for the network."""
        return sum(vars(self).values()) - self.evaluation


@dataclass(frozen=True)
class Record:
    """One measured point of a trial.

    FLOPs are multiply-adds. `train_flops` and `growth_flops` are totals since the start,
    `trigger_flops` the part of growth that the trigger's looks took, `flops` is per sample at
    inference. Accuracies are in [0, 1], None for regression. Scores of
    training and validation are of at most 1 000 samples, the same in every trial. Those of the
    whole validation split (`full_…`) and of the test split are None but in full evaluations. (In
    earlier results `validation_…` are of the whole split, test scores are in every record, and
    training scores of 10 000 samples.) The final record has the SHA-256 of all parameters and
    buffers in `weights`. `redraws` first networks were dead before the trial's own was drawn.
    """

    step: int
    epoch: float
    samples: int
    train_flops: float
    growth_flops: float
    seconds: Seconds
    parameters: int
    flops: float
    widths: tuple[int, ...]
    train_loss: float
    validation_loss: float
    test_loss: float | None
    train_accuracy: float | None
    validation_accuracy: float | None
    test_accuracy: float | None
    final: bool = False
    weights: str | None = None
    redraws: int = 0
    full_validation_loss: float | None = None
    full_validation_accuracy: float | None = None
    trigger_flops: float = 0.0

    @property
    def validation_score(self) -> float:
        """What searches go by, higher is better; of the whole split where that was scored."""
        if self.full_validation_loss is not None:
            return score(self.full_validation_accuracy, self.full_validation_loss)
        return score(self.validation_accuracy, self.validation_loss)


@dataclass(frozen=True)
class GrowthRecord:
    """One attempt to grow one site.

    Attributes:
        step: optimiser steps done before it.
        site: name of the grown layer.
        asked: neurons asked for; `proposed` came back, `dropped` by the threshold,
            `added` from the method, `filled` by the harness with zero fan-out.
        status: what became of it: "updated" where δW* was applied and no neuron added.
        gains: λ of the neurons proposed.
        threshold: significance threshold on λ, or None; at least so much where nothing was
            significant, since null draws end when that is known. `draws` of them were made.
        amplitude: ε* of the neurons' line search, or None if none was made.
        scale: γ, the factor that makes their step as large as the activity at ε = 1.
        predicted: first-order drop of the loss, measured: the drop on the minibatch.
        score: what sites were ranked by, None if they were not.
        widths: of all sites afterwards.
        statistics_samples: n, and whether it was clipped (D.1).
        flops: multiply-adds by part; seconds: by part.
        update_amplitude: ε* of the update δW* of existing weights, None where none was applied;
            `update_scale`: its γ; `update_norm`: ‖δW*‖ as proposed.
        grown_update_norm: of the update of the grown layer's existing rows, as proposed; None
            without one, and where it was not yet recorded.
        next_norm_before: ‖W‖ of the next layer, `next_norm_after`: the same after the growth; None
            where they were not yet recorded.
        warning: what may make the next training steps unstable, or None.

    Of a growth that was "too expensive", and so undone, the update's values, `scale`,
    `next_norm_after` and `warning` say what had been tried.
    """

    step: int
    site: str
    asked: int
    proposed: int
    dropped: int
    added: int
    filled: int
    status: SiteStatus
    gains: tuple[float, ...]
    threshold: float | None
    amplitude: float | None
    scale: float | None
    predicted: float | None
    measured: float | None
    score: float | None
    widths: tuple[int, ...]
    statistics_samples: int
    statistics_clipped: bool
    flops: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    update_amplitude: float | None = None
    update_scale: float | None = None
    update_norm: float | None = None
    next_norm_before: float | None = None
    next_norm_after: float | None = None
    warning: str | None = None
    draws: int | None = None
    grown_update_norm: float | None = None


FailureStatus = Literal["failed", "oom", "diverged", "timeout", "preempted", "not applicable"]


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result; texts from outside are escaped, long ones lose their middle."""

    status: FailureStatus
    error: str
    message: str
    traceback: str

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            object.__setattr__(self, name, escaped(_cut(getattr(self, name), longest)))


def _cut(text: str, longest: int) -> str:
    """Both ends of what is longer: a traceback ends with what was raised."""
    end = longest // 2
    return text if len(text) <= longest else f"{text[:end]}\n…\n{text[-end:]}"


def raised_at(traceback: str) -> str:
    """Where someone's own code raised, as `mine.py:12`; empty where a traceback has no such."""
    frames = re.findall(r'^ *File "([^"]+)", line (\d+)', traceback, re.MULTILINE)
    own = [(Path(file).name, line) for file, line in frames if _is_own(file)]
    return ":".join(own[-1]) if own else ""


def _is_own(file: str) -> bool:
    """Whether a file is no library's, nor of this package."""
    libraries = {"site-packages", "dist-packages", Path(os.__file__).parent.name}
    ours = f"{Path(__file__).parents[1]}{os.sep}"
    return not (file.startswith((ours, "<")) or libraries & set(Path(file).parts))


@dataclass(frozen=True)
class Resumed:
    """A trial goes on from a checkpoint.

    Attributes:
        messages: everything that it had said by then, as JSON-able values.
        step: optimiser steps done by then.
    """

    messages: tuple[dict[str, Any], ...]
    step: int


Message = Record | GrowthRecord | Failure | Resumed


def as_dict(message: Message) -> dict[str, Any]:
    """The message as JSON-able values, with its `type`."""
    kind = {
        Record: "record", GrowthRecord: "growth", Failure: "failure", Resumed: "resumed",
    }[type(message)]  # fmt: skip
    values = {
        name: asdict(value) if isinstance(value, Seconds) else value
        for name, value in vars(message).items()
    }
    return {"type": kind, **values}
