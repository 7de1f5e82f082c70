"""Firefly's promises against what the engine and brute force make of them."""

import copy

import oracles
import pytest
import torch
from growth import problems
from growth.growing import grown, mean_loss
from growth.test_grown_update import after, search_of
from growth.test_splitting import LATE, SPLIT, STAGES, proposal, width
from torch import nn

from nas_bench.growth import NewNeurons, SiteError
from nas_bench.methods.firefly import Firefly

FEW = Firefly(candidates=5, steps=3)
SOME = ["tanh", "tokens", "batch norm, tanh", "field batch norm, tanh", "field average pool"]
PLAIN = [name for name in SPLIT if "max pool" not in name and "flatten, pooled" not in name]


@pytest.mark.parametrize("name", PLAIN)
def test_gains_are_the_drops_that_goals_promise_of_the_step(name):
    """First order in what the next layer reads: the sum over neurons, exactly."""
    new, found = proposal(SPLIT[name], FEW), search_of(SPLIT[name])
    assert {-1} < set(new.copied.tolist())  # both kinds
    with torch.no_grad():
        promised = found.first_order_drop(found.change(found.part(new)))
    assert promised == pytest.approx(float(new.gains.sum()), rel=1e-6)


@pytest.mark.parametrize("name", SOME)
def test_a_small_step_lowers_the_loss_as_promised_and_keeps_the_function(name):
    stage = SPLIT[name]
    method = Firefly(candidates=5, steps=3, epsilon=1e-5, birth=1e-5)
    new, found = proposal(stage, method), search_of(stage)
    drop = found.seen.loss - found.loss_with(found.change(found.part(new)))
    assert drop == pytest.approx(float(new.gains.sum()), rel=0.02)
    for training in (False, True):
        before, now = copy.deepcopy(stage.model).train(training), after(stage, new).train(training)
        for module in (m for model in (before, now) for m in model.modules()):
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.eval()
        torch.testing.assert_close(now(stage.x), before(stage.x), rtol=1e-3, atol=1e-3)


def test_a_new_neurons_fan_out_is_the_best_of_its_size():
    """No fan-out of the same norm promises more, and none of the pool more than those chosen."""
    stage = problems.ALL["tanh"]
    rows, new = stage.rows(), proposal(stage, FEW)
    v, fresh = oracles.flat(rows.goal), new.copied < 0
    size = 0.01 * stage.model[2].weight.detach().norm(dim=0).mean()
    for alpha, omega, gain in zip(
        new.fan_in[fresh], new.fan_out[fresh, 0], new.gains[fresh], strict=True
    ):
        wanted = torch.tanh(oracles.flat(rows.inputs) @ alpha) @ v / len(v)
        assert float(omega.norm()) == pytest.approx(float(size))
        assert float(wanted @ omega) == pytest.approx(float(size * wanted.norm()))
        assert float(gain) == pytest.approx(float(size * wanted.norm()))
    assert torch.equal(proposal(stage, FEW, k=3).gains, new.gains[:3])
    assert bool((new.gains.diff() <= 0).all())


@pytest.mark.parametrize("name", PLAIN)
def test_a_birth_adds_at_most_its_share_of_what_a_present_neuron_adds(name):
    """By networks with one neuron more, or one fan-out of zeros."""
    stage = SPLIT[name]
    following = stage.site[1]

    def read(model):
        seen = []
        with model.get_submodule(following).register_forward_hook(
            lambda *call: seen.append(call[2])
        ):
            model.eval()(stage.x)
        return seen[0].detach()

    def without(neuron):
        model = copy.deepcopy(stage.model)
        weight = model.get_submodule(following).weight
        with torch.no_grad():
            taps = weight.flatten(1).unflatten(1, (width(stage), -1))
            taps[:, neuron] = 0
        return model

    new, before = proposal(stage, Firefly(candidates=5, steps=3, birth=0.5)), read(stage.model)
    present = [(before - read(without(neuron))).norm() for neuron in range(width(stage))]
    for birth in (new.copied < 0).nonzero().flatten().tolist():
        one = [birth]
        alone = NewNeurons(new.fan_in[one], new.fan_out[one], new.gains[one])
        added = float((read(after(stage, alone)) - before).norm())
        assert 0 < added <= 0.5 * float(torch.stack(present).mean()) * (1 + 1e-6)


def test_ascent_raises_what_is_promised_and_never_lowers_it():
    stage = problems.ALL["cross-entropy, relu"]
    best = [float(proposal(stage, Firefly(candidates=5, steps=s)).gains[0]) for s in (0, 3, 30)]
    assert best[0] < best[1] < best[2]


@pytest.mark.parametrize("name", ["tanh", "cross-entropy, relu"])
def test_candidates_that_meet_at_one_optimum_are_one_neuron(name):
    """All are kept that have an activity of their own, and no two that share one."""
    stage, method = problems.ALL[name], Firefly(candidates=40, steps=30)
    new = proposal(stage, method, k=60)
    inputs, activation = oracles.flat(stage.rows().inputs), stage.model[1]
    h = activation(inputs @ new.fan_in[new.copied < 0].T)
    h = h / h.norm(dim=0)
    alike = (h.T @ h).fill_diagonal_(0)
    assert 0 < h.shape[1] < 40
    assert float(alike.max()) <= 0.951


def test_splits_are_as_large_as_epsilon_says_and_of_both_signs():
    stage, rows = problems.ALL["tanh"], problems.ALL["tanh"].model[0]
    whole = torch.cat((rows.weight, rows.bias[:, None]), 1).detach()
    new = proposal(stage, Firefly(epsilon=0.2, candidates=5))
    assert int((new.copied >= 0).sum()) > 1
    for place in (new.copied >= 0).nonzero().flatten():
        neuron = int(new.copied[place])
        move = new.grown_update[neuron]
        assert float(move.norm()) == pytest.approx(0.2 * float(whole.norm(dim=1).mean()))
        torch.testing.assert_close(new.fan_in[place], whole[neuron] - move)
        old = stage.model[2].weight.detach()[:, neuron]
        torch.testing.assert_close(new.fan_out[place, 0], old / 2)
        torch.testing.assert_close(new.weight_update[:, neuron], -old / 2)


def test_without_a_goal_nothing_is_proposed_and_dead_layers_get_new_neurons():
    stage = problems.problem(0)
    stage.y.copy_(stage.model(stage.x).detach())
    new = proposal(stage, FEW)
    assert len(new) == 0
    assert not new.updates
    dead = problems.problem(3, activation=nn.ReLU())
    with torch.no_grad():
        for parameter in dead.model[0].parameters():
            parameter.zero_()
        dead.model[0].bias.fill_(-1.0)
    new = proposal(dead, FEW, k=3)
    assert 0 < len(new) <= 3
    assert new.copied is None
    assert bool(new.fan_in.isfinite().all())


def test_a_network_grows_by_both_kinds_and_seeds_decide_alone():
    stage = problems.ALL["batch norm"]
    (first, (event,)), (again, _), (other, _) = (
        grown(stage, FEW, neurons=8, seed=s) for s in (0, 0, 1)
    )
    assert 4 < event.added <= 8
    assert width(first) == 4 + event.added
    assert event.measured == pytest.approx(mean_loss(stage) - mean_loss(first), rel=1e-6)
    assert torch.equal(first.model[0].weight, again.model[0].weight)
    assert not torch.equal(first.model[0].weight, other.model[0].weight)


@pytest.mark.parametrize("steps", [0, 4])
def test_it_costs_its_products_and_their_gradients(steps):
    n, p, h, d, c = 60, 6, 4, 3, 7
    _, (event,) = grown(
        problems.problem(samples=n), Firefly(candidates=c, steps=steps), neurons=2, where="each"
    )
    splits = n * p * h * 2  # forward, and back to the rows
    new = 2 * n * c * (p + d)
    distinct = n * c * p + c * c * n
    once = n * p * h + n * d * h + n * c * (p + d) + distinct
    assert event.flops["decomposition"] == once + (steps + 1) * (splits + new)


@pytest.mark.parametrize("name", LATE)
def test_activations_behind_pooling_are_refused_with_the_reason(name):
    with pytest.raises(SiteError, match=r"firefly looks at .* comes behind what mixes positions"):
        proposal(STAGES[name], FEW)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epsilon": 0.0}, "epsilon is 0.0"), ({"birth": 1.5}, "birth is 1.5"),
     ({"candidates": 0}, "candidates is 0"),
     ({"steps": -1}, "steps is -1")],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Firefly(**options)
