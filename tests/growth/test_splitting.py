"""Splitting steepest descent against Hessians of networks whose neurons are halved."""

import copy
import math
from dataclasses import replace

import oracles
import pytest
import torch
from growth import field_problems, problems
from growth.growing import grown, mean_loss
from growth.test_grown_update import STAGES, after, search_of, site_of
from torch import nn
from torch.func import functional_call

from nas_bench.growth import Activity, SiteError, measure
from nas_bench.methods.splitting import SHARPNESS, Splitting

LATE = ["field max pool, padded", "field depthwise", "field adaptive max"]
POOLED = field_problems.built(4, (2, 6, 6), [
    nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2)])  # fmt: skip
SPLIT = {name: stage for name, stage in {**STAGES, "field tanh, max pool": POOLED}.items()
         if name not in LATE}  # fmt: skip
SMOOTH = [name for name in SPLIT if "relu" not in name and "selu" not in name and name not in (
    "batch norm", "field batch norm", "field inner", "field max pool", "field flatten, pooled",
    "field pointwise")]  # fmt: skip
"""Stages whose activations are twice differentiable."""


def proposal(stage, method, k=50, size=None):
    site = site_of(stage)
    found = measure(stage.model, [site], stage.batches(size), stage.loss,
                    {site.name: method.needs(site)})[site.name]  # fmt: skip
    return method.propose(found, k, torch.Generator().manual_seed(0))


def halved_loss(stage, neuron):
    """The loss as a function of δ, where a neuron is the mean of two, at θ + δ and θ − δ."""
    model = copy.deepcopy(stage.model).eval()
    grown_layer, following = (model.get_submodule(name) for name in stage.site)
    state = {name: p.detach() for name, p in model.named_parameters()}
    features = grown_layer.weight[0].numel()

    def moved(delta):
        weight = grown_layer.weight.detach().flatten(1)
        row = torch.eye(len(weight), dtype=delta.dtype)[neuron][:, None]
        new = {f"{stage.site[0]}.weight": (weight + row * delta[:features]).view_as(
            grown_layer.weight)}  # fmt: skip
        if grown_layer.bias is not None:
            new[f"{stage.site[0]}.bias"] = grown_layer.bias.detach() + row[:, 0] * delta[features]
        return state | new

    def loss(delta):
        read = []
        handle = following.register_forward_pre_hook(lambda _, x: read.append(x[0]))
        for sign in (1, -1):
            functional_call(model, moved(sign * delta), stage.x)
        handle.remove()
        mean = (read[0] + read[1]) / 2
        with following.register_forward_pre_hook(lambda _, x: (mean,)):
            return stage.loss(functional_call(model, state, stage.x), stage.y)

    return loss


def width(stage):
    return len(stage.model.get_submodule(stage.site[0]).weight)


def inputs(stage):
    layer = stage.model.get_submodule(stage.site[0])
    return layer.weight[0].numel() + (layer.bias is not None)


@pytest.mark.parametrize("name", SMOOTH)
def test_gains_and_directions_are_those_of_the_hessian_of_halves(name):
    """S_i is the second derivative of the loss by δ: brute force, pooling and taps included."""
    stage = SPLIT[name]
    zero = torch.zeros(inputs(stage), dtype=torch.float64)
    hessians = [
        torch.autograd.functional.hessian(halved_loss(stage, i), zero) for i in range(width(stage))
    ]
    lowest = torch.stack([torch.linalg.eigvalsh(h)[0] for h in hessians])
    expected = sorted((-float(x) for x in lowest if x < -1e-9), reverse=True)
    new = proposal(stage, Splitting())
    assert new.gains.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-10)
    for neuron, gain in zip(new.copied.tolist(), new.gains, strict=True):
        move = new.grown_update[neuron]
        assert float(move.norm()) == pytest.approx(0.01)
        torch.testing.assert_close(hessians[neuron] @ move, -gain * move, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["cross-entropy, relu", "batch norm"])
def test_the_kink_of_relu_bends_as_softplus_does(name):
    stage = problems.ALL[name]
    rows, model = stage.rows(), copy.deepcopy(stage.model).eval()
    z, weight = model[0](stage.x).detach(), model[-1].weight.detach()
    norm = model[1] if len(model) > 3 else None
    scale, shift = torch.ones(width(stage)).double(), torch.zeros(width(stage)).double()
    if norm is not None:
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias.detach() - norm.running_mean * scale
    lowest = []
    for i in range(width(stage)):
        S = torch.zeros(6, 6, dtype=torch.float64)
        for n, x in enumerate(oracles.flat(rows.inputs)):
            at = float(scale[i] * z[n, i] + shift[i])
            bend = SHARPNESS / (math.exp(SHARPNESS * at) + 2 + math.exp(-SHARPNESS * at))
            slope = -float(oracles.flat(rows.goal)[n] @ weight[:, i])
            S += slope * bend * float(scale[i]) ** 2 * torch.outer(x, x) / len(z)
        lowest.append(float(torch.linalg.eigvalsh(S)[0]))
    expected = sorted((-x for x in lowest if x < 0), reverse=True)
    assert proposal(stage, Splitting()).gains.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SPLIT)
def test_gradients_of_existing_rows_are_those_of_autograd(name):
    stage = SPLIT[name]
    site = site_of(stage)
    needs = {site.name: Activity.needed(site, "this")}
    found = measure(stage.model, [site], stage.batches(25), stage.loss, needs)[site.name]
    model = copy.deepcopy(stage.model).eval()
    stage.loss(model(stage.x), stage.y).backward()
    layer = model.get_submodule(stage.site[0])
    expected = layer.weight.grad.flatten(1)
    if layer.bias is not None:
        expected = torch.cat((expected, layer.bias.grad[:, None]), 1)
    torch.testing.assert_close(Activity(found).row_gradients, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", SPLIT)
def test_small_splits_keep_the_function(name, training):
    stage = SPLIT[name]
    new = proposal(stage, Splitting(epsilon=1e-8))
    assert len(new) > 0
    before, now = copy.deepcopy(stage.model).train(training), after(stage, new).train(training)
    for module in (m for model in (before, now) for m in model.modules()):
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()
    torch.testing.assert_close(now(stage.x), before(stage.x))


@pytest.mark.parametrize("name", [name for name in SMOOTH if "max pool" not in name])
def test_the_loss_falls_by_half_of_the_gains_times_the_square_of_epsilon(name):
    stage, epsilon = SPLIT[name], 1e-3
    new, found = proposal(stage, Splitting(epsilon=epsilon)), search_of(SPLIT[name])
    drop = found.seen.loss - found.loss_with(found.change(found.part(new)))
    assert drop == pytest.approx(epsilon**2 / 2 * float(new.gains.sum()), rel=0.02)


@pytest.mark.parametrize("name", ["tanh", "tokens", "field conv", "field flatten"])
def test_rayleigh_quotients_find_the_same_splits(name):
    stage = SPLIT[name]
    exact, fast = proposal(stage, Splitting()), proposal(stage, Splitting(fast=True, products=50))
    assert fast.copied.tolist() == exact.copied.tolist()
    torch.testing.assert_close(fast.gains, exact.gains, rtol=1e-6, atol=0)
    torch.testing.assert_close(fast.grown_update.abs(), exact.grown_update.abs(), rtol=1e-3,
                               atol=1e-7)  # fmt: skip
    few = proposal(stage, Splitting(fast=True, products=4))
    assert float(few.gains.sum()) <= float(exact.gains.sum()) + 1e-12
    assert float(few.gains[0]) > 0.7 * float(exact.gains[0])


def test_splits_do_not_depend_on_batches_seeds_order_or_the_unit_of_the_loss():
    stage = problems.ALL["tanh"]
    new = proposal(stage, Splitting())
    for other in (
        proposal(stage, Splitting(), size=7),
        proposal(replace(stage, x=stage.x.flip(0), y=stage.y.flip(0)), Splitting()),
        proposal(replace(stage, loss=lambda a, b: 5 * stage.loss(a, b)), Splitting()),
    ):
        torch.testing.assert_close(other.gains / other.gains[0], new.gains / new.gains[0])
        torch.testing.assert_close(other.grown_update.abs(), new.grown_update.abs())
    order, model = torch.tensor([2, 0, 3, 1]), copy.deepcopy(stage.model)
    with torch.no_grad():
        for parameter, dim in ((model[0].weight, 0), (model[0].bias, 0), (model[2].weight, 1)):
            parameter.copy_(parameter.index_select(dim, order))
    permuted = proposal(replace(stage, model=model), Splitting())
    torch.testing.assert_close(permuted.gains, new.gains)
    assert torch.equal(order[permuted.copied], new.copied)


def test_neurons_that_nobody_reads_and_bends_that_nobody_wants_are_not_split():
    stage = problems.problem(0)
    with torch.no_grad():
        stage.model[2].weight[:, 1] = 0.0
    assert 1 not in proposal(stage, Splitting()).copied
    linear = problems.problem(0, activation=nn.Identity())
    convex = problems.problem(0, activation=nn.ReLU(), sizes=(5, 4, 1))
    with torch.no_grad():  # every sample's output is too large, and every neuron makes it larger
        convex.model[2].weight.abs_()
    convex = replace(convex, y=convex.model(convex.x).detach() - 1)
    for stage in (linear, convex):
        new = proposal(stage, Splitting())
        assert len(new) == 0
        assert not new.updates
        _, (event,) = grown(stage, Splitting(), neurons=3)
        assert event.status == "not possible"


def test_a_network_grows_by_splits_and_is_filled_up():
    stage = problems.ALL["cross-entropy, relu"]
    found, (event,) = grown(stage, Splitting(epsilon=0.1), neurons=9, fill=True)
    assert event.added <= 4
    assert event.added + event.filled == 9
    assert event.measured == pytest.approx(mean_loss(stage) - mean_loss(found), rel=1e-6)


@pytest.mark.parametrize("name", LATE)
def test_activations_behind_pooling_are_refused_with_the_reason(name):
    with pytest.raises(SiteError, match="comes behind what mixes positions"):
        proposal(STAGES[name], Splitting())


def test_matrices_that_are_too_large_are_refused_with_the_cure(monkeypatch):
    monkeypatch.setattr("nas_bench.methods.splitting.ENTRIES", 100)
    with pytest.raises(SiteError, match=r"4 matrices of 6 × 6 .* take splitting\[fast=true\]"):
        proposal(problems.problem(), Splitting())


@pytest.mark.parametrize("fast", [False, True])
def test_a_split_costs_what_its_products_cost(fast):
    """z and ∂ℓ/∂h; S_i and its eigenvectors, or a few products and small eigenproblems."""
    n, p, h, d, steps = 60, 6, 4, 3, 5
    stage = problems.problem(samples=n)
    _, (event,) = grown(stage, Splitting(fast=fast, products=steps))
    goals = n * (5 * h + h * d) + n * d * (5 + h + d)
    assert event.flops["statistics"] == goals
    parts = n * p * h + n * d * h + n * h
    if fast:
        orthogonal = sum(2 * 2 * h * p * (j + 1) for j in range(steps))
        small = h * steps**2 * p + h * 9 * steps**3 / 2 + h * steps * p
        parts += steps * 2 * n * p * h + orthogonal + small
    else:
        parts += h * n * p**2 + h * 9 * p**3 / 2
    assert event.flops["decomposition"] == parts


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epsilon": 0.0}, "epsilon is 0.0"), ({"epsilon": 2.0}, "epsilon is 2.0"),
     ({"products": 0}, "products is 0"), ({"samples": 10**6}, "samples is 1000000")],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Splitting(**options)
