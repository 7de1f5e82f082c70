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

from nas_bench.training.task import Samples, Task
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.messages import GrowthRecord
from nas_bench.trials.pause import Pause

NEURONS, SEARCH_SAMPLES = 3, 500
P, OUTPUTS, REJECTED = 11, 4, 9
"""Inputs of the grown layer with the constant, outputs of the next one, and a seed of which random
growth is rejected."""
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


@dataclass(frozen=True)
class Chance(Fourfold):
    """Targets that are noise: nothing is significant once the existing weights are fitted."""

    name: ClassVar[str] = "chance"

    target_widths: tuple[int, ...] = (4,)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        generator = Generator().manual_seed(3)
        x = torch.randn(self.samples + 200, 10, generator=generator)
        y = torch.randn(self.samples + 200, 4, generator=generator)
        return Samples(x[:-200], y[:-200]), Samples(x[-200:], y[-200:])


@dataclass(frozen=True)
class Faint(Fourfold):
    """A next layer that starts almost at zero."""

    name: ClassVar[str] = "faint"

    def network(self, widths):
        model = super().network(widths)
        with torch.no_grad():
            model.next.weight *= 1e-2
        return model


@dataclass(frozen=True)
class Definition:
    """A method, as it is read from the paper.

    Attributes:
        propose: its neurons.
        charge: what an event costs.
        search: of their amplitudes, None if there is none.
        samples: of the statistics batch, of a network's present and proposed width.
        covariance: whether it reads S, which a trial measures at its first growth.
    """

    propose: Any
    charge: Any
    search: Any = None
    samples: Any = None
    covariance: bool = False


def definitions(events: ModuleType, charges: ModuleType) -> dict[str, Definition]:
    """All methods but north, whose size is each test's own; tiny's batch is each test's own."""

    def searched(propose, charge, mode: str | None = None, largest: float = 1.0) -> Definition:
        search = partial(events.searched, update_amplitude=mode or "search", largest=largest)
        return Definition(propose, charges.searched(charge, update_amplitude=mode), search)

    def tiny(charge=charges.tiny, mode: str | None = None, largest: float = 1.0, **options):
        own = searched(events.tiny(**options), charge, mode, largest)
        return replace(own, covariance=True)

    random = events.random_growth
    return {
        "tiny": tiny(mode="search"),
        "tiny[update_amplitude=one]": tiny(mode="one"),
        "tiny[update_amplitude=shared,largest_amplitude=16]": tiny(mode="shared", largest=16),
        "tiny[ridge=0,significance=false]": tiny(
            partial(charges.tiny, tested=False), "search", ridge=0, tested=False
        ),
        "tiny[update=false]": tiny(update=False),
        "tiny[projection=false]": tiny(charges.tiny_unprojected, projected=False),
        "update_only[largest_amplitude=4]": searched(
            events.update_only(), charges.with_update, "search", 4
        ),
        "update_only[update_amplitude=one]": searched(
            events.update_only(), charges.with_update, "one"
        ),
        "random_growth": replace(
            searched(random(), charges.random_growth), samples=lambda _h, _k: 500
        ),
        "random_growth[update=true]": searched(random(update=True), charges.with_update, "search"),
        "gradmax": Definition(events.gradmax, charges.gradmax, samples=lambda _h, _k: 128),
        "net2net": Definition(events.net2net, charges.net2net, samples=lambda _h, _k: 500),
    }


METHODS = definitions(events, charges) | {
    "north_preactivation[candidates=40]": Definition(
        events.north(40),
        partial(charges.north, candidates=40),
        samples=lambda h, k: 2 * max(h + k, OUTPUTS),
    ),
}


@dataclass(frozen=True)
class Growth:
    """The state right before a growth, the network right after, and what the ledger says."""

    task: Task
    state: dict[str, Any]
    after: nn.Module
    record: GrowthRecord


def growth(method: str, task: Task, step: int, **changes: Any) -> Growth:
    """The state right before the growth at a step, the network right after, and its record."""
    changes = {"kind": "free", "schedule": FREE, "budget": Budget(steps=70)} | changes
    running = trial(method, task, **changes)
    state = {}
    for message in running.run():
        if isinstance(message, Pause) and running.spent.step == step and not state:
            state = copy.deepcopy(running.state())
        if isinstance(message, GrowthRecord) and message.step == step:
            return Growth(task, reloaded(state), copy.deepcopy(running.model), message)
    raise AssertionError(f"no growth at step {step}")


def scene_of(growth: Growth, samples: int) -> events.Scene:
    """What that growth saw: samples and seeds are drawn from the trial's stream of growth."""
    state = growth.state
    model = growth.task.network(state["widths"])
    model.load_state_dict(state["model"])
    train = trial(None, growth.task).data.train
    stream = Generator()
    stream.set_state(state["growth"])
    drawn = [torch.randperm(len(train), generator=stream)[:n] for n in (samples, SEARCH_SAMPLES)]
    statistics, search = ((train.inputs[i], train.targets[i]) for i in drawn)
    seed = int(torch.randint(2**31, (), generator=stream))
    return events.scene_of(model, statistics, search, nn.MSELoss(), seed)


def known(*values: float | None) -> dict[int, float]:
    """Those that are not None, by position."""
    return {i: value for i, value in enumerate(values) if value is not None}


def close(found: Tensor, expected: Tensor) -> bool:
    if not expected.numel():
        return not found.numel()
    return bool((found.double() - expected).abs().max() <= 2e-3 * expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_event_is_what_its_definition_says(method):
    step = 30 if METHODS[method].covariance else 60
    assert_defined(growth(method, Fourfold(), step), METHODS[method])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tiny", "tiny[update_amplitude=one]"])
def test_the_update_is_applied_where_no_neuron_is_significant(method):
    found = growth(method, Chance(), 30)
    assert_defined(found, METHODS[method])
    assert (found.record.proposed, found.record.status) == (0, "updated")
    assert found.record.update_amplitude > 0
    assert found.record.next_norm_before != found.record.next_norm_after


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tiny", "random_growth", "update_only[largest_amplitude=4]"])
def test_where_a_width_must_grow_silent_neurons_fill_it_up(method):
    """The random neuron here is rejected: no amplitude lowers the loss."""
    schedule = Schedule(where="each", every=30, unit="steps", growths=2)
    step = 30 if METHODS[method].covariance else 60
    found = growth(method, Chance(), step, kind="same_target", schedule=schedule, seed=REJECTED)
    assert_defined(found, METHODS[method], asked=1, filled=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tiny", "update_only[update_amplitude=one]"])
def test_an_event_warns_of_weights_that_grow_more_than_fivefold(method):
    schedule = FREE.model_copy(update={"first": 1})
    found = growth(method, Faint(), 1, schedule=schedule)
    assert_defined(found, METHODS[method])
    before, after = found.record.next_norm_before, found.record.next_norm_after
    assert after > 5 * before
    for part in ("grown", f"{after / before:.3g}-fold", f"{before:.3g}", f"{after:.3g}"):
        assert part in found.record.warning


def assert_defined(
    found: Growth, method: Definition, asked: int = NEURONS, filled: int = 0
) -> None:
    """Everything that is told of an event, and its network, is what the definition says."""
    record, h = found.record, found.state["widths"][0]
    samples = method.samples(h, asked) if method.samples else 500
    scene = scene_of(found, samples)
    proposed = event = method.propose(scene, asked)
    if method.search:
        event = method.search(scene, proposed)
    k, left = len(proposed.fan_in), len(event.fan_in)
    assert (record.statistics_samples, record.statistics_clipped) == (samples, False)
    assert (record.proposed, record.added, record.filled) == (k, left, filled)
    told(record, proposed, event)
    if filled:
        pairs = zip(
            (event.fan_in, event.fan_out), events.silent_neurons(scene, filled), strict=True
        )
        fan_in, fan_out = (torch.cat(pair) for pair in pairs)
        event = replace(event, fan_in=fan_in, fan_out=fan_out)
    assert_weights(found.after, scene, event)
    before, after = float(norm(scene.next)), float(norm(following(found.after)))
    norms = [record.next_norm_before, record.next_norm_after]
    assert norms == pytest.approx([before, after], rel=1e-5)
    assert (record.warning is None) == (after <= 5 * before)
    sizes = charges.Sizes(
        n=samples, s=SEARCH_SAMPLES, f=P - 1, h=h, d=OUTPUTS, k=k, left=left,
        moved=bool(event.update_amplitude), draws=proposed.draws or 0, tried=event.tried,
        update_tried=event.update_tried,
    )  # fmt: skip
    widening = {"widening": 0} if left + filled or event.update is not None else {}
    assert record.flops == method.charge(sizes) | widening


def told(record: GrowthRecord, proposed: Any, event: Any) -> None:
    """What the ledger says of amplitudes, thresholds and drops is what the definition says."""
    assert (record.amplitude, record.update_amplitude) == (
        event.amplitude, event.update_amplitude,
    )  # fmt: skip
    size = None if proposed.update is None else float(proposed.update.norm())
    expected = known(event.scale, event.threshold, event.update_scale, size)
    found = record.scale, record.threshold, record.update_scale, record.update_norm
    assert known(*found) == pytest.approx(expected, rel=1e-3)
    drops = [event.predicted, event.measured]
    assert [record.predicted, record.measured] == pytest.approx(drops, rel=1e-3, abs=1e-6)
    assert record.draws == proposed.draws
    assert record.gains == pytest.approx(proposed.gains.tolist(), rel=1e-3)


def test_a_network_of_fixed_size_has_no_event():
    running = trial(None, Fourfold(), budget=Budget(steps=70), schedule=FREE, kind="free")
    assert not [message for message in running.run() if isinstance(message, GrowthRecord)]


def norm(weights: Tensor) -> Tensor:
    """‖W‖ of weights whose last column is the bias, without it."""
    return weights[:, :-1].norm()


def following(model: nn.Module) -> Tensor:
    """The next layer's weights, bias last."""
    return events.matrix(model.get_submodule(events.SITE[1]))


def assert_weights(after: nn.Module, scene: events.Scene, event: events.Event) -> None:
    """The engine's weights of both layers are those of the definition.

    Without fan-in nothing decides a neuron's sign but the machine's singular vectors.
    """
    first, second = (events.matrix(after.get_submodule(name)) for name in events.SITE)
    if len(event.fan_in) and not event.fan_in.any():
        fan_out = second[:, -1 - NEURONS : -1].T
        signs = (fan_out * event.fan_out).sum(1, keepdim=True).sign()
        event = replace(event, fan_out=signs * event.fan_out)
    expected = events.grown_weights(scene, event)
    assert close(first, expected[0])
    assert close(second, expected[1])
