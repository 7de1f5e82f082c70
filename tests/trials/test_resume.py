"""A trial cut at any point goes on bit for bit."""

import hashlib
import io
import itertools
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from repetitions import examples
from torch import nn
from trials.test_convolutional_trials import Ten
from trials.test_trial import Bent, trial

from nas_bench.tasks.image_arrays import ImageArrays
from nas_bench.training.mlp import mlp
from nas_bench.training.randomness import seed_all
from nas_bench.training.task import Recipe
from nas_bench.trials import trial as module
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.messages import as_dict
from nas_bench.trials.pause import Pause

SGD = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-2, "decay": "cosine"}


@dataclass(frozen=True)
class Dropping(Bent):
    """Draws from the global generator at every step."""

    name: ClassVar[str] = "dropping"

    def network(self, widths):
        first, *_ = widths
        return nn.Sequential(
            nn.Linear(10, first), nn.BatchNorm1d(first), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(first, 1),
        )  # fmt: skip


@dataclass(frozen=True)
class Augmented(Ten):
    recipe: ClassVar[Recipe] = replace(Ten.recipe, augmentation="crop_flip", batch_size=40)

    seed_widths: tuple[int, ...] = (1, 1, 2, 2, 2)
    target_widths: tuple[int, ...] = (3, 3, 4, 4, 5)


@dataclass(frozen=True)
class Wide(Bent):
    """Two hidden layers."""

    name: ClassVar[str] = "wide"

    seed_widths: tuple[int, ...] = (1, 2)
    target_widths: tuple[int, ...] = (5, 4)

    def network(self, widths):
        return mlp(10, widths, 1)


FREE = Schedule(where="best", neurons=2, every=20, unit="steps")
PASSES = Schedule(neurons=2, growths=3, first=0, every=0)
TURN = Schedule(where="turn", growths=4, first=0, every=5, unit="steps")
SHORT = {"budget": Budget(epochs=4), "schedule": Schedule(growths=2, every=1)}
TWO = {"growths": 2, "every": 5, "unit": "steps"}
LOOKS = {"budget": Budget(steps=50)}
CASES = {
    "tiny": ("tiny", Bent(), SHORT),
    "gradmax": ("gradmax", Bent(), SHORT),
    "random, sgd": ("random_growth", Bent(), {**SHORT, "recipe": SGD}),
    "dropout, batch norm": ("north_preactivation[candidates=50]", Dropping(), SHORT),
    "net2net, batch norm": ("net2net", Dropping(), SHORT),
    "fixed": (None, Dropping(), {"budget": Budget(epochs=2)}),
    "free": ("tiny", Bent(), {"kind": "free", "schedule": FREE, "budget": Budget(steps=70)}),
    "flops": ("tiny", Bent(), {"kind": "free", "schedule": FREE, "budget": Budget(flops=3e6)}),
    "growing batches": ("gradmax", Bent(), {**SHORT, "recipe": {"batch_growth": True}}),
    "zeros": ("tiny", Bent(), {**SHORT, "optimizer_policy": "zeros"}),
    "per_entry": ("tiny", Bent(), {**SHORT, "optimizer_policy": "per_entry"}),
    "copied": ("net2net", Bent(), {**SHORT, "optimizer_policy": "copied"}),
    "reset": ("tiny", Bent(), {**SHORT, "optimizer_policy": "reset"}),
    "plateau": ("tiny", Bent(), LOOKS | {"schedule": Schedule(when="plateau[window=2]", **TWO)}),
    "north": ("tiny", Bent(), LOOKS | {"schedule": Schedule(when="north", **TWO)}),
    "significant": ("tiny", Bent(), LOOKS | {"schedule": Schedule(when="significant", **TWO)}),
    "new rates by norm": ("tiny", Bent(), {**SHORT, "schedule": Schedule(new_rate="norm", **TWO)}),
    "warm-up": ("tiny", Bent(), {**SHORT, "schedule": Schedule(new_rate="warmup", **TWO)}),
    "restarts": ("tiny", Bent(), {"recipe": SGD, "schedule": Schedule(restart_decay=True, **TWO)}),
    "moved rows": ("splitting", Bent(seed_widths=(3,)), SHORT),
    "passes": ("tiny", Wide(), {"kind": "free", "schedule": PASSES, "budget": Budget(steps=20)}),
    "turn": ("random_growth", Wide(), {"schedule": TURN, "budget": Budget(steps=30)}),
}


@pytest.fixture(autouse=True)
def _pause_after_every_step(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_EVERY", 0.0)


def without_clocks(message):
    return {key: value for key, value in as_dict(message).items() if key != "seconds"}


def weights(running):
    digest = hashlib.sha256()
    for name, tensor in sorted(running.model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def followed(running, cut=None):
    """The messages until a pause (counted from 0), and how many pauses there were."""
    messages, pauses = [], 0
    for message in running.run():
        if not isinstance(message, Pause):
            messages.append(without_clocks(message))
        elif pauses == cut:
            return messages, pauses
        else:
            pauses += 1
    return messages, pauses


def states(running, cuts):
    """How many messages came before each of these pauses, and the state there; all messages."""
    messages, pauses, kept = [], 0, {}
    for message in running.run():
        if not isinstance(message, Pause):
            messages.append(without_clocks(message))
            continue
        if pauses in cuts:
            kept[pauses] = len(messages), reloaded(running.state())
        pauses += 1
    return kept, messages


def reloaded(state):
    """The state as another process reads it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_resumes(make, cuts=None):
    seed_all(1)
    whole = make()
    expected, pauses = followed(whole)
    assert pauses > 3
    cuts = set(cuts(pauses) if cuts else range(pauses))
    seed_all(1)
    watched = make()
    kept, messages = states(watched, cuts)
    assert (messages, weights(watched), kept.keys()) == (expected, weights(whole), cuts)
    for cut, (before, state) in kept.items():
        seed_all(cut + 1000)
        second = make()
        second.restore(state)
        after, _ = followed(second)
        assert after == expected[before:]
        assert weights(second) == weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_trial_cut_anywhere_goes_on_bit_for_bit(name):
    method, task, changes = CASES[name]
    cuts = lambda pauses: sorted({*range(0, pauses, max(1, pauses // examples(12))), pauses - 1})  # noqa: E731
    assert_resumes(lambda: trial(method, task, **changes), cuts)


@pytest.mark.slow
def test_right_before_and_after_every_growth():
    method, task, changes = CASES["free"]
    growing = range(17, 24), range(37, 44)
    assert_resumes(lambda: trial(method, task, **changes), lambda _: itertools.chain(*growing))


def test_between_passes_of_growth_before_training():
    method, task, changes = CASES["passes"]
    assert_resumes(lambda: trial(method, task, **changes), lambda _: range(5))


@pytest.mark.slow
def test_a_budget_of_seconds_goes_on_with_the_seconds_that_were_spent(monkeypatch):
    """By a clock that ticks once at every look."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1024)
    changes = {"kind": "free", "schedule": FREE, "budget": Budget(seconds=0.2)}
    make = lambda: trial("tiny", Bent(), **changes)  # noqa: E731
    _, pauses = followed(make())
    assert 40 < pauses < 200
    assert_resumes(make, lambda pauses: (0, 19, 20, pauses // 2, pauses - 1))


@pytest.mark.slow
def test_convolutional_trials_go_on_bit_for_bit():
    schedule = Schedule(where="best", neurons=2, every=2, unit="steps")
    changes = {
        "kind": "free", "schedule": schedule, "budget": Budget(steps=4),
        "statistics_factor": 1e-6, "evaluations": 1,
    }  # fmt: skip
    assert_resumes(
        lambda: trial("gradmax", Augmented(), **changes), lambda pauses: (0, 2, pauses - 1)
    )


def test_pauses_change_no_bits(monkeypatch):
    seed_all(1)
    often, _ = followed(trial("tiny", Dropping(), **SHORT))
    monkeypatch.setattr(module, "PAUSE_EVERY", 1e9)
    seed_all(1)
    seldom, _ = followed(trial("tiny", Dropping(), **SHORT))
    assert often == seldom


def test_the_state_holds_nothing_that_could_be_executed():
    running = trial("gradmax", Dropping(), **SHORT)
    followed(running, 5)
    assert set(reloaded(running.state())) >= {"model", "optimizer", "generators", "spent"}


def test_a_restored_network_lies_in_memory_as_the_one_that_was_kept(tmp_path):
    """Where a layer reads one channel, its strides decide by which kernel it is computed."""
    x, y = torch.rand(300, 8, 8).numpy(), torch.randint(10, (300,)).numpy()
    np.savez(tmp_path / "grey.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    task = ImageArrays(path=str(tmp_path / "grey.npz"), seed_widths=(1, 2, 2, 2, 3))
    schedule = Schedule(where="each", neurons=2, every=5, unit="steps", growths=1)
    options = {"kind": "free", "schedule": schedule, "budget": Budget(steps=7)}
    running, other = (trial("random_growth", task, **options) for _ in range(2))
    for _ in running.run():
        pass
    other.restore(reloaded(running.state()))
    kept, restored = (x.model.state_dict() for x in (running, other))
    assert {k: v.stride() for k, v in restored.items()} == {k: v.stride() for k, v in kept.items()}
