"""One growth event of every method at sites with a map, derived again from the state before."""

import copy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import field_charges as charges
import field_events as events
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Generator, Tensor, nn
from trials.test_rederived import Definition, close, definitions, told
from trials.test_resume import reloaded
from trials.test_trial import trial

from nas_bench.tasks.digits import Digits
from nas_bench.tasks.image_arrays import ImageArrays
from nas_bench.training.resnet import EverySecondPixel, Residual
from nas_bench.training.task import Samples, Task
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.messages import GrowthRecord
from nas_bench.trials.pause import Pause

NEURONS, SEARCH_SAMPLES, CHUNK = 3, 500, 500
SEED = 12
"""Of a trial in which no two amplitudes are as good as each other to within rounding."""


@dataclass(frozen=True)
class Blocks(Digits):
    """Digits as images, and two residual blocks, the second with batch norm."""

    name: ClassVar[str] = "blocks"

    seed_widths: tuple[int, ...] = (2, 3)
    target_widths: tuple[int, ...] = (8, 8)

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        train, _ = super().load(folder)
        images, labels = train.inputs.unflatten(1, (1, 8, 8)), train.targets
        return Samples(images[:900], labels[:900]), Samples(images[900:], labels[900:])

    def network(self, widths):
        first, second = widths
        thin = nn.Sequential(
            nn.Conv2d(4, first, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(first, 4, 3, padding=1)
        )
        normed = nn.Sequential(
            nn.Conv2d(4, second, 3, padding=1, bias=False), nn.BatchNorm2d(second), nn.ReLU(),
            nn.Conv2d(second, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5),
        )  # fmt: skip
        skip = nn.Sequential(nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5))
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
            Residual(thin, EverySecondPixel()), Residual(normed, skip),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 10),
        )  # fmt: skip


SITES = {
    "convnet": {"0": ("2", 64), "2": ("5", 16), "5": ("7", 16), "7": ("11", 4)},
    "blocks": {"2.branch.0": ("2.branch.2", 16), "3.branch.0": ("3.branch.3", 16)},
}
"""The sites with a map of each task: their next layers, and how many positions these read."""
NORTH = "north_preactivation[candidates=400,effective=0.65]"
METHODS = definitions(events, charges) | {
    NORTH: Definition(events.north(400, 0.65), partial(charges.north, candidates=400)),
}
VARIANTS = [name for name in METHODS if "amplitude" in name or "ridge" in name]
CASES = [
    (name, site, method)
    for name, sites in SITES.items()
    for site in sites
    for method in METHODS
    if (name == "blocks" or method not in VARIANTS) and site != "5"
]
"""All sites and methods, but other options of the same methods on one network only, and no site
5, whose path is that of site 0."""


@dataclass(frozen=True)
class Growth:
    """The state right before a growth, the network right after, and what the ledger says."""

    task: Task
    train: Samples
    state: dict[str, Any]
    after: nn.Module
    record: GrowthRecord


@pytest.fixture(autouse=True)
def _one_thread():
    """As every trial has; many small products wait for each other's threads else."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def convnet(tmp_path_factory):
    """Digits as images that people bring, for the network with four convolutions."""
    images, y = load_digits(return_X_y=True)
    x = images.reshape(-1, 8, 8).astype(np.float32)
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=x[:900], y_train=y[:900], x_test=x[900:1000], y_test=y[900:1000])
    return ImageArrays(path=str(path), seed_widths=(2, 3, 3, 2, 3))


@cache
def growths(method: str, task: Task, sites: int) -> dict[str, Growth]:
    """The first growths of a trial, one site after the other, by site."""
    schedule = Schedule(where="turn", neurons=NEURONS, every=12, unit="steps", growths=sites)
    budget = Budget(steps=12 * sites + 1)
    running = trial(method, task, kind="free", schedule=schedule, budget=budget, seed=SEED)
    found, state = {}, {}
    for message in running.run():
        if isinstance(message, Pause):
            state = copy.deepcopy(running.state())
        if isinstance(message, GrowthRecord):
            after = copy.deepcopy(running.model).eval()
            train = running.data.train
            found[message.site] = Growth(task, train, reloaded(state), after, message)
    return found


def samples_of(growth: Growth, method: str, site: tuple[str, str], positions: int) -> int:
    """How many the method wants for its statistics."""
    model = growth.task.network(growth.state["widths"])
    p = events.matrix(model, site[0]).shape[1]
    if method == NORTH:
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        width = len(events.matrix(model, site[0])) + NEURONS
        return 2 * max(width, *(len(module.weight) for module in layers))
    own = METHODS[method].samples
    return own(None, None) if own else max(round(0.01 * p**2 / positions), 500)  # D.1


def scene_of(growth: Growth, site: tuple[str, str], samples: int) -> events.Scene:
    """What that growth saw: samples and seeds are drawn from the trial's stream of growth."""
    model, train = growth.task.network(growth.state["widths"]), growth.train
    model.load_state_dict(growth.state["model"])
    stream = Generator()
    stream.set_state(growth.state["growth"])
    drawn = [torch.randperm(len(train), generator=stream)[:n] for n in (samples, SEARCH_SAMPLES)]
    parts = [(train.inputs[i], train.targets[i]) for i in drawn[0].split(CHUNK)]
    search = train.inputs[drawn[1]], train.targets[drawn[1]]
    seed = int(torch.randint(2**31, (), generator=stream))
    return events.scene_of(model, site, parts, search, nn.CrossEntropyLoss(), seed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "site", "method"), CASES)
def test_an_event_on_maps_is_what_its_definition_says(name, site, method, convnet):
    task, (following, positions) = Blocks() if name == "blocks" else convnet, SITES[name][site]
    growth = growths(method, task, len(SITES[name]))[site]
    wanted = samples_of(growth, method, (site, following), positions)
    samples, record = min(wanted, len(growth.train)), growth.record
    scene = scene_of(growth, (site, following), samples)
    proposed = event = METHODS[method].propose(scene, NEURONS)
    if METHODS[method].search:
        event = METHODS[method].search(scene, proposed)
    k, left = len(proposed.fan_in), len(event.fan_in)
    clipped = wanted > len(growth.train)
    assert (record.statistics_samples, record.statistics_clipped) == (samples, clipped)
    assert (record.proposed, record.added, record.filled) == (k, left, 0)
    told(record, proposed, event)
    assert_grown(growth.after, scene, event)
    before, after = (norm(model, following) for model in (scene.model, growth.after))
    norms = [record.next_norm_before, record.next_norm_after]
    assert norms == pytest.approx([before, after], rel=1e-5)
    assert (record.warning is None) == (after <= 5 * before)
    sizes = charges.Sizes.of(scene, proposed, event)
    moments = charges.widening(sizes, normed=scene.normed and event.copied is None and left > 0)
    widening = {"widening": moments} if left or event.update is not None else {}
    assert record.flops == METHODS[method].charge(sizes) | widening


def norm(model: nn.Module, name: str) -> float:
    """‖W‖ of a layer, without its bias."""
    return float(events.layer(model, name).weight.detach().double().norm())


def assert_grown(after: nn.Module, scene: events.Scene, event: events.Event) -> None:
    """The engine's tensors of a site are those of the definition, each part on its own scale.

    Without fan-in nothing decides a neuron's sign but the machine's singular vectors.
    """
    (fan_in, fan_out, update), expected = grown_parts(after, scene), event.fan_out
    if len(expected) and not event.fan_in.any():
        expected = (fan_out * expected).sum((1, 2), keepdim=True).sign() * expected
    assert close(fan_in, event.fan_in)
    assert close(fan_out, expected)
    assert close(update, torch.zeros_like(update) if event.update is None else event.update)
    for norm, before in zip(events.path_of(after, scene.site), scene.path, strict=True):
        if isinstance(before, nn.BatchNorm2d) and len(event.fan_in):
            for name, values in events.new_norm(scene, event, before).items():
                old, new = getattr(norm, name).split([len(scene.grown), len(event.fan_in)])
                assert torch.equal(old, getattr(before, name).float())
                assert close(new, values), name


def grown_parts(after: nn.Module, scene: events.Scene) -> tuple[Tensor, Tensor, Tensor]:
    """New fan-in, new fan-out (k, taps, d), and what was added to the next layer's weights."""
    first, second = (events.matrix(after, name) for name in scene.site)
    h, taps, bias = len(scene.grown), scene.statistics.rows.taps, scene.layers[1].bias is not None
    assert torch.equal(first[:h], scene.grown)
    old = torch.cat([second[:, : h * taps], second[:, second.shape[1] - bias :]], 1)
    fan_out = events.columns(second, len(first), taps)[h:]
    return first[h:], fan_out, old - scene.next
