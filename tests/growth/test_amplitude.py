"""Sign, scale, amplitude and prediction against explicitly widened copies of the network."""

import copy
import math
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import random_neurons
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas_bench.growth import amplitude as engine
from nas_bench.growth import bracketing

UPDATES = pytest.mark.parametrize("updated", [True, False], ids=["update", "neurons only"])
NAMES = [name for name in problems.ALL if name != "awkward"]


def search(stage):
    site = problems.site_of(stage)
    return engine.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)[site.name]


def searched(stage, new):
    """The step by the whole grid of amplitudes."""
    return engine.line_search(search(stage), replace(new, line_search="grid"))


def oriented(found, new):
    return found.oriented(found.part(new)).neurons


def pair(new):
    return new.fan_in, new.fan_out[:, 0]


def scale(stage, new):
    return search(stage).scale(search(stage).part(new))


def predicted(stage, new):
    return search(stage).predicted_drop(search(stage).part(new))


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
        assert found.loss_with(found.change(found.part(scaled))) == pytest.approx(
            expected, rel=1e-9
        )


@UPDATES
@pytest.mark.parametrize("name", problems.ALL)
def test_scale_makes_the_step_as_large_as_the_activity(name, updated):
    """γ = ‖a‖/‖v_new + δW* b₁‖."""
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    expected = oracles.step_scale(rows, *pair(new), new.weight_update)
    assert scale(stage, new) == pytest.approx(expected, rel=1e-6)


def test_scale_is_one_where_there_is_no_activity():
    stage = problems.problem(0)
    nn.init.zeros_(stage.model[2].weight)
    nn.init.zeros_(stage.model[2].bias)
    assert scale(stage, random_neurons(stage, updated=False)) == 1.0


def test_scale_is_right_where_the_next_layers_activation_works_in_place():
    stage = problems.deep(activation=nn.ReLU)
    model = copy.deepcopy(stage.model)
    model[1], model[3] = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
    new, rows = random_neurons(stage), stage.rows()
    expected = oracles.step_scale(rows, *pair(new), new.weight_update)
    found = search(replace(stage, model=model))
    assert found.scale(found.part(new)) == pytest.approx(expected, rel=1e-9)


@UPDATES
@pytest.mark.parametrize("name", problems.SMOOTH)
def test_predicted_drop_of_smooth_paths_is_the_formula(name, updated):
    """σ′(0) Σ⟨Ñ, α ωᵀ⟩ + tr(δW* M)."""
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, updated=updated), stage.rows()
    expected = stage.slope * oracles.predicted_drop(rows, *pair(new), None)
    nothing = (new.fan_in[:0], new.fan_out[:0, 0])
    expected += oracles.predicted_drop(rows, *nothing, new.weight_update)
    assert predicted(stage, new) == pytest.approx(expected, rel=1e-6, abs=1e-10)


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
    promised = predicted(stage, new)
    if name == "awkward":
        assert measured == pytest.approx(promised, rel=0.05)
    else:
        assert measured == pytest.approx(promised, rel=2e-3, abs=1e-3 * abs(reach) * 1e-2)


@pytest.mark.parametrize("name", problems.ALL)
def test_signs_are_those_that_brute_force_prefers(name):
    stage = problems.ALL[name]
    new, rows = random_neurons(stage, k=6), stage.rows()
    turned = oriented(search(stage), new)
    assert turned.weight_update is new.weight_update
    for k in range(len(new)):
        sign, _ = oracles.best_sign(rows, new.fan_in[k], new.fan_out[k, 0], stage.activation)
        torch.testing.assert_close(turned.fan_in[k], sign * new.fan_in[k])
        torch.testing.assert_close(turned.fan_out[k], sign * new.fan_out[k])


def test_signs_do_not_depend_on_those_proposed():
    """The SVD's signs differ between machines; odd paths and linear ones tie."""
    for stage in (problems.problem(1, activation=nn.ReLU()), problems.problem(1),
                  problems.problem(1, activation=nn.Identity())):  # fmt: skip
        new = random_neurons(stage, k=5)
        flip = torch.tensor([1.0, -1, -1, 1, -1])[:, None].double()
        flipped = replace(new, fan_in=flip * new.fan_in, fan_out=flip[..., None] * new.fan_out)
        found = search(stage)
        torch.testing.assert_close(oriented(found, new).fan_in, oriented(found, flipped).fan_in)
        torch.testing.assert_close(oriented(found, new).fan_out, oriented(found, flipped).fan_out)


def signed(stage, new, gamma):
    """The neurons with the signs that brute force prefers at ε = 1."""
    rows = stage.rows()
    pairs = zip(*pair(new), strict=True)
    signs = torch.tensor(
        [
            oracles.best_sign(rows, gamma**0.5 * a, gamma**0.5 * o, stage.activation)[0]
            for a, o in pairs
        ],
        dtype=torch.float64,
    )
    return replace(
        new, fan_in=signs[:, None] * new.fan_in, fan_out=signs[:, None, None] * new.fan_out
    )


def check_search(stage, new, step, gamma, candidates):
    """One line search against explicit networks; returns the neurons that it should give."""
    turned = signed(stage, new, gamma)
    losses = {e: loss_after(stage, turned, e * gamma) for e in candidates}
    best = min(losses, key=lambda e: (losses[e], e))
    assert step.amplitude == best
    assert step.scale == pytest.approx(gamma, rel=1e-6)
    assert step.measured == pytest.approx(losses[0.0] - losses[best], rel=1e-6, abs=1e-9)
    expected = engine.with_amplitude(turned, best * gamma)
    assert len(step.neurons) == (len(new) if best else 0)
    if best:
        torch.testing.assert_close(step.neurons.fan_in, expected.fan_in)
        torch.testing.assert_close(step.neurons.fan_out, expected.fan_out)
    return expected


@pytest.mark.slow
@pytest.mark.parametrize("largest", [1.0, 16.0])
@pytest.mark.parametrize("name", NAMES)
def test_line_search_finds_the_amplitude_brute_force_finds(name, largest):
    stage = problems.ALL[name]
    new = replace(random_neurons(stage, updated=False), largest_amplitude=largest)
    gamma = oracles.step_scale(stage.rows(), *pair(new), None)
    candidates = [e for e in oracles.AMPLITUDES if e <= largest]
    check_search(stage, new, searched(stage, new), gamma, candidates)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_with_a_shared_amplitude_the_update_is_part_of_the_one_step(name):
    stage = problems.ALL[name]
    new = replace(random_neurons(stage), update_amplitude="shared")
    gamma = oracles.step_scale(stage.rows(), *pair(new), new.weight_update)
    step = searched(stage, new)
    expected = check_search(stage, new, step, gamma, oracles.AMPLITUDES_TO_ONE)
    assert (step.update_amplitude, step.update_scale) == (step.amplitude, step.scale)
    if step.amplitude:
        torch.testing.assert_close(step.neurons.weight_update, expected.weight_update)


def updated_alone(stage, new, factor):
    """The network with the weight update times a factor, as a problem of its own."""
    network = copy.deepcopy(stage.model).eval()
    following = network.get_submodule(problems.site_of(stage).next)
    features = following.weight.shape[1]
    with torch.no_grad():
        following.weight += factor * new.weight_update[:, :features]
        if following.bias is not None:
            following.bias += factor * new.weight_update[:, features]
    return replace(stage, model=network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_update_is_searched_first_and_the_neurons_in_the_updated_network(name):
    """Two line searches in a row equal those of explicit networks, if one gains nothing."""
    stage = problems.ALL[name]
    new = random_neurons(stage)
    nothing = (new.fan_in[:0], new.fan_out[:0, 0])
    gamma = oracles.step_scale(stage.rows(), *nothing, new.weight_update)
    alone = replace(new, weight_update=None)
    start = loss_after(stage, new, 0.0)
    losses = {
        e: oracles.loss_value(updated_alone(stage, new, e * gamma).model, stage.x, stage.y,
                              stage.loss)
        for e in oracles.AMPLITUDES_TO_ONE
    }  # fmt: skip
    best = min(losses, key=lambda e: (losses[e], e))
    step = searched(stage, new)
    assert step.update_amplitude == best
    assert step.update_scale == pytest.approx(gamma, rel=1e-6)
    after = updated_alone(stage, new, best * gamma)
    found = replace(step, measured=step.measured - (start - losses[best]))
    own = oracles.step_scale(after.rows(), *pair(alone), None)
    check_search(after, alone, found, own, oracles.AMPLITUDES_TO_ONE)
    if best:
        torch.testing.assert_close(step.neurons.weight_update, best * gamma * new.weight_update)


@pytest.mark.parametrize("name", ["tanh", "tokens", "batch norm, tanh", "cross-entropy, relu"])
def test_to_the_letter_the_neurons_are_searched_without_the_update_and_it_is_applied_as_it_is(
    name,
):
    stage = problems.ALL[name]
    new = replace(random_neurons(stage), update_amplitude="one")
    alone = searched(stage, replace(new, weight_update=None))
    step = searched(stage, new)
    assert (step.amplitude, step.scale) == (alone.amplitude, alone.scale)
    assert (step.update_amplitude, step.update_scale) == (1.0, 1.0)
    assert torch.equal(step.neurons.weight_update, new.weight_update)
    torch.testing.assert_close(step.neurons.fan_in, alone.neurons.fan_in)
    start = loss_after(stage, new, 0.0)
    end = loss_after(stage, replace(alone.neurons, weight_update=new.weight_update), 1.0)
    assert step.measured == pytest.approx(start - end, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("mode", ["search", "one", "shared"])
@pytest.mark.parametrize("name", ["tanh", "tokens", "batch norm"])
def test_an_update_without_neurons_is_a_step(name, mode):
    stage = problems.ALL[name]
    new = replace(random_neurons(stage), update_amplitude=mode)
    step = searched(stage, new.update_alone())
    factor = step.update_amplitude * step.update_scale
    assert len(step.neurons) == 0
    end = updated_alone(stage, new, factor)
    start = loss_after(stage, new, 0.0)
    gained = start - oracles.loss_value(end.model, stage.x, stage.y, stage.loss)
    assert step.measured == pytest.approx(gained, rel=1e-6, abs=1e-9)
    assert mode == "one" or step.measured >= 0


@pytest.mark.parametrize("name", NAMES)
def test_beside_any_neurons_the_update_gains_what_it_gains_alone(name):
    """A control that is one: the drop with random neurons is at least that of δW* alone."""
    stage = problems.ALL[name]
    new = replace(random_neurons(stage), weight_update=problems.statistics(stage).weight_update)
    alone = searched(stage, new.update_alone())
    assert searched(stage, new).measured >= alone.measured - 1e-12


def test_ties_go_to_the_smaller_amplitude():
    stage = problems.problem(2)
    new = random_neurons(stage, updated=False)
    step = searched(stage, replace(new, fan_out=torch.zeros_like(new.fan_out)))
    assert step.amplitude == 0
    assert step.measured == 0
    assert len(step.neurons) == 0


def test_losses_that_overflow_are_never_chosen():
    stage = problems.problem(2, activation=nn.Identity())
    new = random_neurons(stage, updated=False)

    def loss(out, y):
        error = (out - y).square().sum(-1).mean()
        return error if error <= 20 else error.new_tensor(float("nan"))

    own = replace(stage, loss=loss)
    step = searched(own, new)
    assert step.amplitude is not None
    assert step.measured >= 0


def test_predictions_scale_with_the_amplitudes_chosen():
    stage = problems.problem(4)
    new = replace(random_neurons(stage), update_amplitude="shared")
    step = searched(stage, new)
    gamma, rows = step.scale, stage.rows()
    expected = gamma * step.amplitude * oracles.predicted_drop(rows, *pair(new), new.weight_update)
    assert step.predicted == pytest.approx(expected, rel=1e-6)
    apart = replace(new, update_amplitude="search")
    nothing = (new.fan_in[:0], new.fan_out[:0, 0])
    step = searched(stage, apart)
    factor = step.update_scale * step.update_amplitude
    after = updated_alone(stage, apart, factor)
    expected = factor * oracles.predicted_drop(rows, *nothing, new.weight_update)
    expected += (
        step.scale * step.amplitude * oracles.predicted_drop(after.rows(), *pair(new), None)
    )
    assert step.predicted == pytest.approx(expected, rel=1e-6)


def test_searching_leaves_the_model_as_it_was():
    stage = copy.deepcopy(problems.ALL["batch norm"])
    stage.model.train()
    before = {k: v.clone() for k, v in stage.model.state_dict().items()}
    state = torch.get_rng_state()
    found = search(stage)
    searched(stage, random_neurons(stage))
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
    best = float(value.detach()) - min(loss(e * unit) for e in oracles.AMPLITUDES_TO_ONE)
    assert probed.measured == pytest.approx(best, rel=1e-6)
    assert probed.measured > 0
    assert probed.predicted == pytest.approx(unit * float(gradient.square().sum()), rel=1e-6)


def test_searching_changes_no_proposal():
    stage = problems.ALL["tanh"]
    new = random_neurons(stage)
    before = copy.deepcopy(new)
    searched(stage, new)
    search(stage).probe(new)
    for name in ("fan_in", "fan_out", "weight_update"):
        assert torch.equal(getattr(new, name), getattr(before, name))
        assert not getattr(new, name).requires_grad


@pytest.mark.parametrize("name", ["tanh", "tokens", "batch norm, tanh"])
def test_single_precision_searches_agree(name):
    stage = problems.ALL[name]
    new = random_neurons(stage)
    exact = searched(stage, new)
    single = stage.cast(torch.float32)
    step = searched(single, new)
    assert step.amplitude == exact.amplitude
    assert step.measured == pytest.approx(exact.measured, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("largest", [1.0, 5.0, 16.0, 2.0**-20])
def test_the_grid_holds_the_powers_of_two_up_to_the_largest_and_0(largest):
    """ε ∈ {0} ∪ {2^j, j = −20 … 4}."""
    found = search(problems.ALL["tanh"]).losses(lambda _: torch.zeros(()), 0.0, largest, grid=True)
    assert list(found) == [e for e in oracles.AMPLITUDES if e <= largest]


@given(
    best=st.floats(-25, 4), top=st.integers(-20, 4), slope=st.floats(-10, 10),
    power=st.floats(1.3, 4),
)  # fmt: skip
def test_bracketing_finds_the_lowest_of_losses_that_fall_and_rise(best, top, slope, power):
    """s ε − c ε^power, a parabola and others."""
    exponents, s = bracketing.exponents_up_to(2.0**top), 2.0**slope
    tried = []

    def loss(j):
        tried.append(j)
        return 3 - s * 2.0**j * (1 - 2.0 ** ((j - best) * (power - 1)) / power)

    def drop(losses):
        return max(0.0, 3 - min(losses))

    found = bracketing.bracketed(loss, exponents, 3.0, s)
    assert list(found) == tried
    assert len(found) <= 10
    assert drop(found.values()) >= 0.99 * drop([loss(j) for j in exponents]) - 1e-13


def test_where_every_amplitude_makes_it_worse_bracketing_goes_down_to_the_smallest():
    found = bracketing.bracketed(lambda j: 2.0**j, range(-20, 1), 0.0, -1.0)
    assert sorted(found) == [-17, -13, -9, -5, -1]


def test_losses_that_overflow_are_bracketed_from_below():
    found = bracketing.bracketed(
        lambda j: math.inf if j > -14 else (j + 15) ** 2 - 9, range(-20, 1), 0.0, 1.0
    )
    assert min(found, key=lambda j: found[j]) == -15


@pytest.mark.parametrize("name", NAMES)
def test_by_default_amplitudes_are_bracketed(name):
    """The same step from fewer losses, in every problem here."""
    stage = problems.ALL[name]
    new = random_neurons(stage)
    step, whole = engine.line_search(search(stage), new), searched(stage, new)
    assert (step.amplitude, step.update_amplitude) == (whole.amplitude, whole.update_amplitude)
    assert step.measured == pytest.approx(whole.measured, rel=1e-9)
