"""One growth event of every method, derived again from the state right before it."""

import copy
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import growth_charges as charges
import growth_events as events
import pytest
import torch
from torch import Generator, Tensor, nn
from trials.test_resume import reloaded
from trials.test_trial import Bent, trial

from nas_bench.training.task import Samples
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.messages import GrowthRecord
from nas_bench.trials.pause import Pause

NEURONS, SAMPLES = 3, 500
FREE = Schedule(where="each", neurons=NEURONS, every=30, unit="steps", growths=2)


@dataclass(frozen=True)
class Fourfold(Bent):
    """Four outputs, so that a site has more than one direction."""

    name: ClassVar[str] = "fourfold"

    seed_widths: tuple[int, ...] = (2,)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        generator = Generator().manual_seed(3)
        first, second = (torch.randn(*shape, generator=generator) for shape in ((10, 8), (8, 4)))
        x = torch.randn(self.samples + 200, 10, generator=generator)
        y = (x @ first).relu() @ second
        return Samples(x[:-200], y[:-200]), Samples(x[-200:], y[-200:])

    def network(self, widths):
        layers = {
            "grown": nn.Linear(10, widths[0]), "act": nn.ReLU(), "next": nn.Linear(widths[0], 4)
        }  # fmt: skip
        return nn.Sequential(OrderedDict(layers))


def definitions(events: ModuleType, charges: ModuleType) -> dict[str, tuple[Any, Any]]:
    """How each method proposes, and what an event of it costs; north's size is each test's own."""
    return {
        "tiny": (events.tiny(), charges.tiny),
        "tiny[update=false]": (events.tiny(update=False), partial(charges.tiny, update=False)),
        "tiny[projection=false]": (events.tiny(projected=False), charges.tiny_unprojected),
        "random_growth": (events.random_growth(), charges.random_growth),
        "random_growth[update=true]": (
            events.random_growth(update=True), partial(charges.random_growth, update=True),
        ),
        "gradmax": (events.gradmax, charges.gradmax),
        "net2net": (events.net2net, charges.net2net),
    }  # fmt: skip


METHODS = definitions(events, charges) | {
    "north_preactivation[candidates=40]": (
        events.north(40), partial(charges.north, candidates=40),
    ),
}  # fmt: skip
SEARCHED = ("tiny", "random_growth")


def second_growth(method: str) -> tuple[dict, nn.Module, GrowthRecord]:
    """The state right before the second growth, the network right after, and its record."""
    changes = {"kind": "free", "schedule": FREE, "budget": Budget(steps=70)}
    running = trial(method, Fourfold(), **changes)
    state = {}
    for message in running.run():
        if isinstance(message, Pause) and running.spent.step == 60 and not state:
            state = copy.deepcopy(running.state())
        if isinstance(message, GrowthRecord) and message.step == 60:
            return reloaded(state), copy.deepcopy(running.model), message
    raise AssertionError("the second growth never came")


def scene_of(state: dict) -> events.Scene:
    """What that growth saw: samples and seeds are drawn from the trial's stream of growth."""
    model = Fourfold().network(state["widths"])
    model.load_state_dict(state["model"])
    train = trial(None, Fourfold()).data.train
    stream = Generator()
    stream.set_state(state["growth"])
    drawn = [torch.randperm(len(train), generator=stream)[:SAMPLES] for _ in range(2)]
    statistics, search = ((train.inputs[i], train.targets[i]) for i in drawn)
    seed = int(torch.randint(2**31, (), generator=stream))
    return events.scene_of(model, statistics, search, nn.MSELoss(), seed)


def known(*values: float | None) -> dict[int, float]:
    """Those that are not None, by position."""
    return {i: value for i, value in enumerate(values) if value is not None}


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found.double() - expected).abs().max() <= 2e-3 * expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_event_is_what_its_definition_says(method):
    state, after, record = second_growth(method)
    scene, (propose, charge) = scene_of(state), METHODS[method]
    event = propose(scene, NEURONS)
    if method.startswith(SEARCHED):
        event = events.searched(scene, event)
    k = len(event.fan_in)
    assert (record.proposed, record.added, record.filled) == (k, k, 0)
    assert record.amplitude == event.amplitude
    expected = known(event.scale, event.threshold)
    assert known(record.scale, record.threshold) == pytest.approx(expected, rel=1e-3)
    assert record.measured == pytest.approx(event.measured, rel=1e-3, abs=1e-6)
    assert record.gains == pytest.approx(event.gains.tolist(), rel=1e-3)
    assert_weights(after, scene, event)
    sizes = charges.Sizes(SAMPLES, 10, len(scene.grown), 4, k)
    assert record.flops == charge(sizes) | {"widening": 0}


def test_a_network_of_fixed_size_has_no_event():
    running = trial(None, Fourfold(), budget=Budget(steps=70), schedule=FREE, kind="free")
    assert not [message for message in running.run() if isinstance(message, GrowthRecord)]


def assert_weights(after: nn.Module, scene: events.Scene, event: events.Event) -> None:
    """The engine's weights of both layers are those of the definition.

    Without fan-in nothing decides a neuron's sign but the machine's singular vectors.
    """
    first, second = (events.matrix(after.get_submodule(name)) for name in events.SITE)
    if not event.fan_in.any():
        fan_out = second[:, -1 - NEURONS : -1].T
        signs = (fan_out * event.fan_out).sum(1, keepdim=True).sign()
        event = replace(event, fan_out=signs * event.fan_out)
    grown, following = events.grown_weights(scene, event)
    assert close(first, grown)
    assert close(second, following)
