"""Widening: what is added is what was searched, and what must not change does not."""

import copy
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import outputs, random_neurons, widened
from torch import nn

from nas_bench.growth import amplitude as engine

UPDATES = pytest.mark.parametrize("updated", [True, False], ids=["update", "neurons only"])


@UPDATES
@pytest.mark.parametrize("name", problems.ALL)
def test_widened_networks_compute_what_explicit_ones_do(name, updated):
    """Also behind batch norm: new channels pass it unchanged, in eval mode."""
    stage = problems.ALL[name]
    new = random_neurons(stage, updated=updated)
    explicit = oracles.Branched(
        stage.model, stage.site, new.fan_in, new.fan_out[:, 0], stage.activation,
        new.weight_update,
    )  # fmt: skip
    torch.testing.assert_close(outputs(widened(stage, new), stage.x), explicit(stage.x).detach())


@pytest.mark.parametrize("name", problems.ALL)
def test_the_step_applied_is_the_step_measured(name):
    stage = problems.ALL[name]
    site = problems.site_of(stage)
    searches = engine.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)
    new = random_neurons(stage, updated=True)
    step = engine.line_search(searches[site.name], new)
    after = widened(stage, step.neurons)
    before = oracles.loss_value(copy.deepcopy(stage.model).eval(), stage.x, stage.y, stage.loss)
    gained = before - oracles.loss_value(after.eval(), stage.x, stage.y, stage.loss)
    assert step.measured == pytest.approx(gained, rel=1e-7, abs=1e-10 * abs(before))


@pytest.mark.parametrize("name", ["batch norm", "batch norm, tanh"])
def test_new_channels_of_batch_norm_have_their_own_moments(name):
    stage = problems.ALL[name]
    new = random_neurons(stage, updated=False)
    mean, variance = oracles.channel_moments(stage.rows(), new.fan_in)
    norm = widened(stage, new)[1]
    torch.testing.assert_close(norm.running_mean[-3:], mean)
    torch.testing.assert_close(norm.running_var[-3:], variance)
    torch.testing.assert_close(norm.bias.detach()[-3:], mean)
    torch.testing.assert_close(norm.weight.detach()[-3:], (variance + norm.eps).sqrt())
    assert norm.num_features == 7
    for tensor, old in zip(norm.state_dict().values(), stage.model[1].state_dict().values(),
                           strict=True):  # fmt: skip
        assert torch.equal(tensor[:4] if tensor.dim() else tensor, old)


def test_in_training_mode_the_batch_norm_step_is_the_same_within_batch_noise():
    stage = problems.problem(4, activation=nn.ReLU(), head=problems.with_batch_norm, samples=400)
    new = random_neurons(stage, updated=False)
    norm = stage.model[1]
    with torch.no_grad():
        z = stage.model[0](stage.x)
        norm.running_mean.copy_(z.mean(0))
        norm.running_var.copy_(z.var(0))
    model = widened(stage, new)
    change = outputs(model, stage.x) - outputs(stage.model, stage.x)
    batch = outputs(model, stage.x, True) - outputs(stage.model, stage.x, True)
    assert float((change - batch).norm() / change.norm()) < 0.02


def test_batch_norm_behind_the_activation_is_the_identity_on_new_channels():
    def head(first, activation, second):
        norm = nn.BatchNorm1d(first.out_features, dtype=torch.float64)
        with torch.no_grad():
            norm.weight.uniform_(0.5, 2)
            norm.running_mean.uniform_(-0.5, 0.5)
        return nn.Sequential(first, activation, norm, nn.Tanh(), second)

    stage = problems.problem(4, activation=nn.ReLU(), head=head)
    new = random_neurons(stage, updated=False)
    explicit = oracles.Branched(
        stage.model, stage.site, new.fan_in, new.fan_out[:, 0],
        lambda z: torch.tanh(torch.relu(z)),
    )  # fmt: skip
    model = widened(stage, new)
    torch.testing.assert_close(outputs(model, stage.x), explicit(stage.x).detach())
    z = torch.relu(stage.rows().inputs.flatten(0, 1) @ new.fan_in.T)
    torch.testing.assert_close(model[2].running_mean[-3:], z.mean(0))
    torch.testing.assert_close(model[2].running_var[-3:], z.var(0, unbiased=False))


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("zero", ["fan_in", "fan_out"])
@pytest.mark.parametrize("name", problems.ALL)
def test_zero_fan_in_or_fan_out_keeps_the_function(name, zero, training):
    """Law 12, with and without batch norm."""
    stage = problems.ALL[name]
    new = random_neurons(stage, updated=False)
    silent = replace(new, **{zero: torch.zeros_like(getattr(new, zero))})
    after = outputs(widened(stage, silent), stage.x, training)
    torch.testing.assert_close(after, outputs(stage.model, stage.x, training))


@pytest.mark.parametrize("slopes", [1, 4])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_learned_slopes_are_widened_by_their_mean(slopes, training):
    prelu = nn.PReLU(slopes, dtype=torch.float64)
    with torch.no_grad():
        prelu.weight.copy_(torch.linspace(0.1, 0.7, slopes))
    stage = problems.problem(0, activation=prelu)
    mean = float(prelu.weight.detach().mean())
    new = random_neurons(stage, updated=True)
    explicit = oracles.Branched(
        stage.model, stage.site, new.fan_in, new.fan_out[:, 0],
        lambda z: torch.where(z > 0, z, mean * z), new.weight_update,
    )  # fmt: skip
    after = widened(stage, new)
    torch.testing.assert_close(outputs(after, stage.x, training), explicit(stage.x).detach())
    assert after[1].num_parameters == len(after[1].weight) == (1 if slopes == 1 else 7)


@pytest.mark.parametrize("name", problems.ALL)
def test_widened_layers_know_their_sizes_and_still_train(name):
    stage = problems.ALL[name]
    new = random_neurons(stage, updated=False)
    old = [copy.deepcopy(stage.model).get_submodule(layer) for layer in stage.site]
    model = widened(stage, new)
    grown, following = (model.get_submodule(layer) for layer in stage.site)
    assert grown.out_features == len(grown.weight) == len(old[0].weight) + 3
    assert following.in_features == following.weight.shape[1] == old[1].weight.shape[1] + 3
    assert (grown.bias is None) == (old[0].bias is None)
    assert torch.equal(grown.weight[:-3], old[0].weight)
    assert torch.equal(following.weight[:, :-3], old[1].weight)
    stage.loss(model(stage.x), stage.y).backward()
    assert all(p.grad is not None and p.is_leaf for p in model.parameters())


def test_frozen_parameters_stay_frozen():
    stage = problems.problem(0)
    stage.model[0].weight.requires_grad_(False)
    model = widened(stage, random_neurons(stage, updated=False))
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad


@pytest.mark.parametrize("name", ["tanh", "batch norm", "tokens"])
def test_single_precision_networks_stay_so(name):
    stage = problems.ALL[name]
    new = random_neurons(stage, updated=True)
    single = stage.cast(torch.float32)
    model = widened(single, new)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    expected = outputs(widened(stage, new), stage.x)
    torch.testing.assert_close(outputs(model, single.x).double(), expected, rtol=1e-3, atol=1e-4)


def test_zero_fan_in_behind_batch_norm_stays_tame_after_a_step():
    """Variance 0: a parameter step of 1e-2 must not become outputs of size 1."""
    stage = problems.problem(4, activation=nn.ReLU(), head=problems.with_batch_norm, samples=200)
    new = random_neurons(stage, updated=False)
    model = widened(stage, replace(new, fan_in=torch.zeros_like(new.fan_in)))
    before = outputs(model, stage.x, True)
    with torch.no_grad():
        model[0].weight[-3:] += 1e-2 * torch.randn(3, 5, dtype=torch.float64)
    after = outputs(model, stage.x, True)
    assert float((after - before).norm() / before.norm()) < 0.05
