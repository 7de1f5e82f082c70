"""Sign, scale, amplitude and prediction against explicitly widened copies of the network."""

import copy
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import random_neurons
from growth.problems import statistics
from torch import nn

from nas_bench.growth import amplitude as engine

UPDATES = pytest.mark.parametrize("updated", [True, False], ids=["update", "neurons only"])
NAMES = [name for name in problems.ALL if name != "awkward"]


def search(stage):
    site = problems.site_of(stage)
    return engine.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)[site.name]


def searched(stage, new, zero):
    gamma = engine.scale(statistics(stage), new)
    return engine.line_search(search(stage), new, gamma, allow_zero=zero)


def pair(new):
    return new.fan_in, new.fan_out[:, 0]


def stepped(stage, new, amplitude):
    return oracles.stepped(
        stage.model, stage.site, pair(new), stage.activation, amplitude, new.weight_update
    )


def loss_after(stage, new, amplitude):
    network = stepped(stage, new, amplitude)
    return oracles.loss_value(network, stage.x, stage.y, stage.loss)


@UPDATES
@pytest.mark.parametrize("name", problems.ALL)
def test_losses_of_candidates_are_those_of_explicit_networks(name, updated):
    stage = problems.ALL[name]
    new, found = random_neurons(stage, updated=updated), search(stage)
    for amplitude in (0.0, 0.1, 3.0):
        scaled = engine.with_amplitude(new, amplitude)
        expected = loss_after(stage, new, amplitude)
        assert found.loss_with(found.contribution(scaled)) == pytest.approx(expected, rel=1e-9)


@UPDATES
@pytest.mark.parametrize("name", problems.ALL)
def test_scale_makes_the_step_as_large_as_the_activity(name, updated):
    """γ = ‖a‖/‖v_new + δW* b₁‖."""
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    expected = oracles.step_scale(rows, *pair(new), new.weight_update)
    assert engine.scale(statistics(stage), new) == pytest.approx(expected, rel=1e-6)


def test_scale_is_one_where_there_is_no_activity():
    stage = problems.problem(0)
    nn.init.zeros_(stage.model[2].weight)
    nn.init.zeros_(stage.model[2].bias)
    assert engine.scale(statistics(stage), random_neurons(stage, updated=False)) == 1.0


def test_scale_is_right_where_the_next_layers_activation_works_in_place():
    stage = problems.deep(activation=nn.ReLU)
    model = copy.deepcopy(stage.model)
    model[1], model[3] = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
    new, rows = random_neurons(stage), stage.rows()
    expected = oracles.step_scale(rows, *pair(new), new.weight_update)
    found = statistics(replace(stage, model=model))
    assert engine.scale(found, new) == pytest.approx(expected, rel=1e-9)


@UPDATES
@pytest.mark.parametrize("name", problems.SMOOTH)
def test_predicted_drop_of_smooth_paths_is_the_formula(name, updated):
    """σ′(0) Σ⟨Ñ, α ωᵀ⟩ + tr(δW* M)."""
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    expected = stage.slope * oracles.predicted_drop(rows, *pair(new), None)
    nothing = (new.fan_in[:0], new.fan_out[:0, 0])
    expected += oracles.predicted_drop(rows, *nothing, new.weight_update)
    assert search(stage).predicted_drop(new) == pytest.approx(expected, rel=1e-6, abs=1e-10)


@UPDATES
@pytest.mark.parametrize("name", problems.ALL)
def test_measured_first_order_drop_is_the_predicted_one(name, updated):
    """Law 4 by finite differences, kinks included."""
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    reach = float((rows.inputs @ new.fan_in.T).abs().max())
    epsilon = min(1e-6, (1e-3 / reach) ** 2)
    reach = float(oracles.contribution(rows, *pair(new)).abs().max())
    measured = (loss_after(stage, new, 0.0) - loss_after(stage, new, epsilon)) / epsilon
    predicted = search(stage).predicted_drop(new)
    if name == "awkward":
        assert measured == pytest.approx(predicted, rel=0.05)
    else:
        assert measured == pytest.approx(predicted, rel=2e-3, abs=1e-3 * abs(reach) * 1e-2)


@pytest.mark.parametrize("name", problems.ALL)
def test_signs_are_those_that_brute_force_prefers(name):
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, k=6), stage.rows()
    oriented = search(stage).oriented(new)
    assert oriented.weight_update is new.weight_update
    for k in range(len(new)):
        sign, _ = oracles.best_sign(rows, new.fan_in[k], new.fan_out[k, 0], stage.activation)
        torch.testing.assert_close(oriented.fan_in[k], sign * new.fan_in[k])
        torch.testing.assert_close(oriented.fan_out[k], sign * new.fan_out[k])


def test_signs_do_not_depend_on_those_proposed():
    """The SVD's signs differ between machines; odd paths and linear ones tie."""
    for stage in (problems.problem(1, activation=nn.ReLU()), problems.problem(1),
                  problems.problem(1, activation=nn.Identity())):  # fmt: skip
        new = random_neurons(stage, k=5)
        flip = torch.tensor([1.0, -1, -1, 1, -1])[:, None].double()
        flipped = replace(new, fan_in=flip * new.fan_in, fan_out=flip[..., None] * new.fan_out)
        found = search(stage)
        torch.testing.assert_close(found.oriented(new).fan_in, found.oriented(flipped).fan_in)
        torch.testing.assert_close(found.oriented(new).fan_out, found.oriented(flipped).fan_out)


@pytest.mark.slow
@UPDATES
@pytest.mark.parametrize("zero", [True, False], ids=["may decline", "must grow"])
@pytest.mark.parametrize("name", NAMES)
def test_line_search_finds_the_amplitude_brute_force_finds(name, zero, updated):
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    step = searched(stage, new, zero)
    gamma = oracles.step_scale(rows, *pair(new), new.weight_update)
    signs = torch.tensor(
        [
            oracles.best_sign(rows, gamma**0.5 * a, gamma**0.5 * o, stage.activation)[0]
            for a, o in zip(*pair(new), strict=True)
        ],
        dtype=torch.float64,
    )
    signed = replace(
        new,
        fan_in=signs[:, None] * new.fan_in,
        fan_out=signs[:, None, None] * new.fan_out,
    )

    def loss(e):
        return loss_after(stage, signed, e * gamma)

    best, least = oracles.line_search(loss, zero)
    assert step.amplitude == best
    assert step.scale == pytest.approx(gamma, rel=1e-6)
    assert step.measured == pytest.approx(loss(0.0) - least, rel=1e-6, abs=1e-9)
    expected = engine.with_amplitude(signed, best * gamma)
    torch.testing.assert_close(step.neurons.fan_in, expected.fan_in)
    torch.testing.assert_close(step.neurons.fan_out, expected.fan_out)
    if updated:
        torch.testing.assert_close(step.neurons.weight_update, expected.weight_update)
    if zero:
        assert step.measured >= 0


def test_ties_go_to_the_smaller_amplitude():
    stage = problems.problem(2)
    new = random_neurons(stage, updated=False)
    silent = replace(new, fan_out=torch.zeros_like(new.fan_out))
    for zero, expected in ((True, 0.0), (False, 2.0**-20)):
        step = searched(stage, silent, zero)
        assert step.amplitude == expected
        assert step.measured == 0


def test_losses_that_overflow_are_never_chosen():
    stage = problems.problem(2, activation=nn.Identity())
    new = random_neurons(stage, updated=False)

    def loss(out, y):
        error = (out - y).square().sum(-1).mean()
        return torch.where(error > 20, error * float("nan"), error)

    own = replace(stage, loss=loss)
    step = searched(own, new, True)
    assert step.amplitude is not None
    assert step.measured >= 0


def test_predictions_scale_with_the_amplitude_chosen():
    stage = problems.problem(4)
    new = random_neurons(stage)
    step = searched(stage, new, False)
    gamma, rows = step.scale, stage.rows()
    expected = gamma * step.amplitude * oracles.predicted_drop(rows, *pair(new), new.weight_update)
    assert step.predicted == pytest.approx(expected, rel=1e-6)


def test_searching_leaves_the_model_as_it_was():
    stage = copy.deepcopy(problems.ALL["batch norm"])
    stage.model.train()
    before = {k: v.clone() for k, v in stage.model.state_dict().items()}
    state = torch.get_rng_state()
    found = search(stage)
    searched(stage, random_neurons(stage), True)
    found.probe(random_neurons(stage))
    assert all(module.training for module in stage.model.modules())
    assert all(p.grad is None for p in stage.model.parameters())
    assert torch.equal(state, torch.get_rng_state())
    for key, value in stage.model.state_dict().items():
        assert torch.equal(before[key], value)


@pytest.mark.parametrize("name", ["tanh", "batch norm, tanh", "tokens", "gelu"])
def test_probes_measure_what_a_step_along_the_new_weights_gradient_gains(name):
    """Zero fan-out: the gradient is on ω alone, and its line search is on explicit networks."""
    stage = problems.ALL[name]
    new = replace(random_neurons(stage, updated=False), fan_out=random_neurons(stage).fan_out * 0)
    probed = search(stage).probe(replace(new, fan_in=new.fan_in.clone()))
    network = oracles.Branched(stage.model, stage.site, *pair(new), stage.activation)
    value = stage.loss(network(stage.x), stage.y)
    (gradient,) = torch.autograd.grad(value, network.fan_out)

    def loss(step):
        fan_out = pair(new)[1] - step * gradient
        moved = oracles.Branched(stage.model, stage.site, new.fan_in, fan_out, stage.activation)
        return oracles.loss_value(moved, stage.x, stage.y, stage.loss)

    z = stage.activation(stage.rows().inputs @ new.fan_in.T)
    unit = float(stage.rows().pre_activity.norm() / (z @ gradient).norm())
    best = float(value.detach()) - min(loss(e * unit) for e in oracles.AMPLITUDES)
    assert probed.measured == pytest.approx(best, rel=1e-6)
    assert probed.measured > 0
    assert probed.predicted == pytest.approx(unit * float(gradient.square().sum()), rel=1e-6)


def test_searching_changes_no_proposal():
    stage = problems.ALL["tanh"]
    new = random_neurons(stage)
    before = copy.deepcopy(new)
    searched(stage, new, True)
    search(stage).probe(new)
    for name in ("fan_in", "fan_out", "weight_update"):
        assert torch.equal(getattr(new, name), getattr(before, name))
        assert not getattr(new, name).requires_grad


@pytest.mark.parametrize("name", ["tanh", "tokens", "batch norm, tanh"])
def test_single_precision_searches_agree(name):
    stage = problems.ALL[name]
    new = random_neurons(stage)
    exact = searched(stage, new, True)
    single = stage.cast(torch.float32)
    step = searched(single, new, True)
    assert step.amplitude == exact.amplitude
    assert step.measured == pytest.approx(exact.measured, rel=1e-3, abs=1e-6)


def test_amplitudes_are_the_powers_of_two_from_16_down():
    """ε ∈ {2^j, j = 4 … −20}; 0 is added where nothing may be added."""
    assert sorted(engine.AMPLITUDES) == oracles.AMPLITUDES[1:]
    assert max(engine.AMPLITUDES) == 16


@pytest.mark.parametrize("name", ["tanh", "no bias", "tokens", "batch norm"])
def test_the_scale_from_a_pass_is_the_one_from_the_statistics(name):
    """Random neurons need no S: their γ comes from a forward pass."""
    stage = problems.ALL[name]
    site, new = problems.site_of(stage), random_neurons(stage, updated=True)
    passed = engine.measured_scales(stage.model, {site: new}, stage.batches(), stage.loss)
    assert passed[site.name] == pytest.approx(engine.scale(statistics(stage), new), rel=1e-9)
