"""Batch norm of maps: what the search measured is what is applied, and what follows is tame."""

import copy
from dataclasses import replace

import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import site_of
from growth.test_field_laws import GRADMAX, RANDOM, TINY, UNPROJECTED, outputs
from torch import nn

from nas_bench.growth import grow

METHODS = {"tiny": TINY, "no projection": UNPROJECTED, "random": RANDOM}
CONV = nn.Conv2d


def paths():
    """Layers of a site for maps of 3 channels, by name."""
    return {
        "plain": [CONV(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                  CONV(4, 3, 3, padding=1)],
        "max pooled": [CONV(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                       CONV(4, 3, 3, padding=1)],
        "average pooled": [CONV(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.Tanh(),
                           nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)],
        "around depthwise": [CONV(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU6(),
                             problems.depthwise(4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(),
                             CONV(4, 3, 1)],
    }  # fmt: skip


PATHS = pytest.mark.parametrize("name", paths())


def problem(name, samples=64):
    """A network whose batch norms have seen its data, by training mode's own averages."""
    stage = problems.built(7, (3, 4, 4), paths()[name], samples=samples)
    for norm in norms(stage.model):
        norm.momentum = 0.1
    with torch.no_grad():
        for _ in range(200):
            stage.model.train()(stage.x)
    stage.model.eval()
    return stage


def norms(model):
    return [module for module in model if isinstance(module, nn.BatchNorm2d)]


def grown(stage, method, **options):
    after = stage.own()
    (event,) = grow(after.model, after.batches(16), after.loss, method, neurons=3, where="each",
                    sites=[site_of(after)], **options)  # fmt: skip
    return after, event


def loss_of(stage, training=False):
    with torch.no_grad():
        return float(stage.loss(outputs(stage.model, stage.x, training), stage.y))


@pytest.mark.slow
@PATHS
@pytest.mark.parametrize("method", METHODS)
def test_the_step_applied_is_the_step_measured_in_eval_mode(name, method):
    stage = problem(name)
    after, event = grown(stage, METHODS[method], fill=True)
    assert event.added == 3
    gained = loss_of(stage) - loss_of(after)
    assert event.measured == pytest.approx(gained, rel=1e-9, abs=1e-9 * loss_of(stage))


@pytest.mark.slow
@PATHS
@pytest.mark.parametrize("method", METHODS)
def test_in_training_mode_the_step_is_the_same_within_batch_noise(name, method):
    """Up to 3e-4 of the change on all 64 samples, where the running variance is the unbiased one,
    and up to 3e-2 in batches of 32."""
    stage = problem(name)
    after, event = grown(stage, METHODS[method], fill=True)
    assert event.added == 3
    change = outputs(after.model, stage.x) - outputs(stage.model, stage.x)
    for size, noise in ((64, 1e-3), (32, 5e-2)):
        parts = [outputs(after.model, x, True) - outputs(stage.model, x, True)
                 for x in stage.x.split(size)]  # fmt: skip
        assert float((torch.cat(parts) - change).norm() / change.norm()) < noise


def naive(model, count):
    """New channels by batch norm's own beginnings: weight 1, bias 0, moments 0 and 1."""
    model = copy.deepcopy(model)
    for norm in norms(model):
        with torch.no_grad():
            norm.weight[-count:], norm.bias[-count:] = 1.0, 0.0
            norm.running_mean[-count:], norm.running_var[-count:] = 0.0, 1.0
    return model


@PATHS
def test_zero_fan_in_keeps_the_function_and_starts_at_the_root_of_eps(name):
    stage = problem(name)
    after, event = grown(stage, GRADMAX)
    assert event.added == 3
    for training in (False, True):
        expected = outputs(stage.model, stage.x, training)
        torch.testing.assert_close(outputs(after.model, stage.x, training), expected)
    for norm in norms(after.model):
        roots = torch.full_like(norm.weight[-3:], norm.eps**0.5)
        torch.testing.assert_close(norm.weight[-3:], roots)
        assert torch.equal(norm.bias[-3:], torch.zeros_like(norm.bias[-3:]))


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-2),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
}


def trained(model, stage, optimizer, steps):
    """A copy of the network after so many steps on all data."""
    model = copy.deepcopy(model).train()
    descent = OPTIMIZERS[optimizer](model.parameters())
    for _ in range(steps):
        descent.zero_grad()
        stage.loss(model(stage.x), stage.y).backward()
        descent.step()
    return model


def moved(model, stage, optimizer, training):
    """How far outputs move by one step."""
    after = trained(model, stage, optimizer, 1)
    return float((outputs(after, stage.x, training) - outputs(model, stage.x, training)).norm())


@pytest.mark.slow
@PATHS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_step_after_zero_fan_in_is_as_tame_as_without_growth(name, optimizer):
    """At most 1.24 times as far, in both modes; with weight 1, 2 to 71 times in training mode."""
    stage = problem(name)
    after, _ = grown(stage, GRADMAX)
    for training in (False, True):
        usual = moved(stage.model, stage, optimizer, training)
        assert 0.9 < moved(after.model, stage, optimizer, training) / usual < 1.5
    assert moved(naive(after.model, 3), stage, optimizer, True) > 2 * usual


@pytest.mark.slow
@PATHS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", ["tiny", "random", "gradmax"])
def test_training_goes_on(name, optimizer, method):
    """The loss falls with every step, and after zero fan-in no less than without growth."""
    stage = problem(name)
    after, _ = grown(stage, {**METHODS, "gradmax": GRADMAX}[method])
    losses = [loss_of(after, True)]
    for steps in (1, 2):
        model = trained(after.model, stage, optimizer, steps)
        assert all(bool(values.isfinite().all()) for values in model.state_dict().values())
        losses.append(loss_of(replace(stage, model=model), True))
    assert losses[2] < losses[1] < losses[0] <= loss_of(stage, True) * (1 + 1e-6)
    if method == "gradmax":
        usual = replace(stage, model=trained(stage.model, stage, optimizer, 2))
        assert losses[2] <= loss_of(usual, True) + 1e-4
