"""The neurons of TINY against the laws of Proposition 3.2."""

import copy
from dataclasses import replace

import oracles
import pytest
import torch
from gromo.modules.linear_growing_module import LinearGrowingModule
from growth import problems
from growth.problems import statistics
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import moment
from repetitions import examples
from torch import nn

from nas_bench.growth import Need
from nas_bench.methods.tiny import Tiny

RIDGED = Tiny(significance=False, ridge=0.1)
ALL_NEURONS = Tiny(significance=False, ridge=0)
UNPROJECTED = Tiny(projection=False, significance=False, ridge=0)


def neurons(stage, method=ALL_NEURONS, k=100, site=None):
    generator = torch.Generator().manual_seed(0)
    needs = method.needs(problems.site_of(stage, site)) | problems.EVERYTHING
    return method.propose(statistics(stage, needs=needs, site=site), k, generator)


def outs(new):
    """ω, shape (k, d): linear sites have one tap."""
    assert new.fan_out.shape[1] == 1
    return new.fan_out[:, 0]


def size(rows):
    return oracles.norm2(rows.goal) ** 0.5


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("projection", [True, False])
def test_gains_are_the_sample_space_singular_values(name, projection):
    """Law 1."""
    stage = problems.ALL[name]
    rows = stage.rows()
    new = neurons(stage, Tiny(projection=projection, significance=False, ridge=0))
    expected = oracles.gains(rows, None if projection else rows.goal)
    kept = int((expected > 1e-9 * size(rows)).sum())
    assert len(new) == kept
    torch.testing.assert_close(new.gains, expected[:kept], rtol=1e-6, atol=1e-9 * size(rows))


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("projection", [True, False])
def test_bottleneck_falls_by_the_squared_gains(name, projection):
    """Laws 2 and 3, for every number of neurons; without projection for v itself."""
    stage = problems.ALL[name]
    rows = stage.rows()
    goal = oracles.residual_goal(rows) if projection else rows.goal
    new = neurons(stage, Tiny(projection=projection, significance=False, ridge=0))
    for k in range(1, len(new) + 1):
        added = oracles.contribution(rows, new.fan_in[:k], outs(new)[:k])
        total = float(new.gains[:k].square().sum())
        fall = oracles.norm2(goal) - oracles.norm2(goal - added)
        assert fall == pytest.approx(total, rel=1e-6)
        assert float((goal * added).sum()) == pytest.approx(len(rows) * total, rel=1e-6)


@pytest.mark.parametrize("name", problems.ALL)
def test_neurons_are_orthogonal_in_their_own_metrics(name):
    """α_jᵀ S α_k = λ_k δ_jk and ω_j·ω_k = λ_k δ_jk  (law 6)."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage)
    S = moment(rows.inputs, rows.inputs)
    diagonal = torch.diag(new.gains)
    tolerance = 1e-6 * float(new.gains.max())
    torch.testing.assert_close(new.fan_in @ S @ new.fan_in.T, diagonal, rtol=1e-5, atol=tolerance)
    torch.testing.assert_close(outs(new) @ outs(new).T, diagonal, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("name", problems.ALL)
def test_all_neurons_together_are_the_least_squares_fit(name):
    """Law 7: Σ ω αᵀ b₂ is the projection of v_p on b₂, and Ψ_R its residual."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage)
    v_p, Q = oracles.residual_goal(rows), oracles.basis(rows.inputs)
    fit = (Q @ (Q.T @ oracles.flat(v_p))).reshape(v_p.shape)
    added = oracles.contribution(rows, new.fan_in, outs(new))
    torch.testing.assert_close(added, fit, rtol=1e-4, atol=1e-6 * size(rows))
    if name != "awkward":
        S, N = moment(rows.inputs, rows.inputs), moment(rows.inputs, v_p)
        torch.testing.assert_close(outs(new).T @ new.fan_in, N.T @ torch.linalg.inv(S))


@pytest.mark.parametrize("name", problems.ALL)
def test_fan_ins_solve_the_generalised_eigenproblem(name):
    """N Nᵀ α_k = λ_k² S α_k  (law 8), in units of the features."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage)
    S = moment(rows.inputs, rows.inputs)
    N = moment(rows.inputs, oracles.residual_goal(rows))
    units = S.diagonal().sqrt().clamp(min=1e-300)
    left = (N @ (N.T @ new.fan_in.T)) / units[:, None]
    right = (S @ new.fan_in.T) * new.gains.square() / units[:, None]
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7 * float(left.abs().max()))


@pytest.mark.parametrize("name", problems.ALL)
def test_update_of_existing_weights_is_part_of_the_step(name):
    """δW* comes with projection unless it is left out; it alone reaches Ψ."""
    stage = problems.ALL[name]
    rows, update = stage.rows(), neurons(stage).weight_update
    moved = oracles.update_contribution(rows, update)
    assert oracles.norm2(rows.goal - moved) == pytest.approx(oracles.bottleneck(rows), rel=1e-6)
    alone = neurons(stage, Tiny(update=False, significance=False, ridge=0))
    assert alone.weight_update is None
    torch.testing.assert_close(alone.gains, neurons(stage).gains)
    assert neurons(stage, UNPROJECTED).weight_update is None


@pytest.mark.parametrize("name", ["tanh", "no bias", "cross-entropy, relu", "gelu"])
def test_gromo_finds_the_same_gains(name):
    """The TINY authors' own library as a witness on linear pairs."""
    stage = problems.ALL[name]
    expected = gromo_gains(stage)
    new = neurons(stage)
    torch.testing.assert_close(new.gains, expected[: len(new)], rtol=1e-8, atol=1e-12)


def gromo_gains(stage):
    first, activation, second = stage.model
    cpu, default = torch.device("cpu"), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        grown = LinearGrowingModule(
            first.in_features, first.out_features, use_bias=first.bias is not None,
            post_layer_function=activation, device=cpu,
        )  # fmt: skip
        following = LinearGrowingModule(
            second.in_features, second.out_features, use_bias=second.bias is not None,
            previous_module=grown, device=cpu,
        )  # fmt: skip
        grown.layer.load_state_dict(first.state_dict())
        following.layer.load_state_dict(second.state_dict())
        following.init_computation()
        loss = stage.loss(following(grown(stage.x)), stage.y) * len(stage.x)
        loss.backward()
        following.update_computation()
        following.compute_optimal_updates(
            numerical_threshold=1e-12, statistical_threshold=0, dtype=torch.float64
        )
    finally:
        torch.set_default_dtype(default)
    return following.eigenvalues_extension


def remixed(stage, mixing, shift):
    """The same network reading x·mixing + shift, its first layer undoing it."""
    model = copy.deepcopy(stage.model)
    first = model[0]
    with torch.no_grad():
        first.weight.copy_(torch.linalg.solve(mixing, first.weight.T).T)
        if first.bias is not None:
            first.bias -= first.weight @ shift
    return replace(stage, model=model, x=stage.x @ mixing + shift)


@given(seed=st.integers(0, 1000), condition=st.floats(1.0, 1e3), shift=st.floats(-3, 3))
@settings(max_examples=examples(25), derandomize=True)
def test_gains_are_invariant_under_linear_maps_of_the_inputs(seed, condition, shift):
    """Law 9, and that the network computes the same afterwards."""
    stage = problems.problem(seed % 7, samples=50)
    generator = torch.Generator().manual_seed(seed)
    U, _, V = torch.linalg.svd(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    scales = torch.linspace(0, 1, 5, dtype=torch.float64)
    mixing = U @ torch.diag(condition**-scales) @ V
    other = remixed(stage, mixing, torch.full((5,), shift, dtype=torch.float64))
    torch.testing.assert_close(other.model(other.x), stage.model(stage.x))
    expected, new = neurons(stage), neurons(other)
    torch.testing.assert_close(new.gains, expected.gains, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("power", [-6, 6])
@pytest.mark.parametrize("which", [slice(None), slice(0, 1), slice(1, 4)], ids=str)
def test_units_of_the_inputs_change_nothing(power, which):
    """Law 16: neither how many are kept nor the functions α_kᵀ b₂."""
    stage = problems.problem(2, samples=50)
    units = torch.ones(5, dtype=torch.float64)
    units[which] = 10.0**power
    zero = torch.zeros(5, dtype=torch.float64)
    other = remixed(stage, torch.diag(units), zero)
    expected, new = neurons(stage), neurons(other)
    assert len(new) == len(expected)
    torch.testing.assert_close(new.gains, expected.gains, rtol=1e-6, atol=0)
    before = stage.rows().inputs @ expected.fan_in.T
    after = other.rows().inputs @ new.fan_in.T
    torch.testing.assert_close(after.abs(), before.abs(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("method", [ALL_NEURONS, Tiny(ridge=0)], ids=["all", "significant"])
def test_units_of_the_loss_change_only_scales(factor, method):
    """Law 16."""
    stage = problems.problem(2, samples=200)
    stage = replace(stage, y=stage.y + 3 * stage.x[:, 1:4])
    other = replace(stage, loss=lambda out, y: factor * stage.loss(out, y))
    expected, new = neurons(stage, method), neurons(other, method)
    assert len(new) == len(expected) > 0
    torch.testing.assert_close(new.gains / factor, expected.gains, rtol=1e-6, atol=0)
    root = factor**0.5
    torch.testing.assert_close((new.fan_in / root).abs(), expected.fan_in.abs())
    torch.testing.assert_close((new.fan_out / root).abs(), expected.fan_out.abs())
    torch.testing.assert_close(new.weight_update / factor, expected.weight_update)


def test_adjacent_sites_get_the_same_proposals_as_alone():
    """Law 17: the proposals are functions of the statistics, which test_statistics compares."""
    stage = problems.deep()
    for site in (("0", "2"), ("2", "4")):
        rows = stage.rows(site)
        new = neurons(stage, site=site)
        expected = oracles.gains(rows)[: len(new)]
        torch.testing.assert_close(new.gains, expected, rtol=1e-6, atol=1e-12)


def test_fewer_neurons_than_asked_come_where_the_rank_ends():
    """Rank N is at most d − 1 before a softmax head, at most rank S − 1 with both biases."""
    softmax = problems.problem(1, loss="cross_entropy", samples=100, sizes=(8, 4, 3))
    assert len(neurons(softmax)) == 2
    narrow = problems.problem(1, samples=100, sizes=(2, 1, 6))
    assert len(neurons(narrow)) == 2
    bare = problems.problem(1, samples=100, sizes=(2, 1, 6), bias=False)
    assert len(neurons(bare)) == 2


def test_the_best_come_first_and_no_more_than_asked():
    stage = problems.problem(3, samples=100)
    everything, two = neurons(stage), neurons(stage, k=2)
    assert len(two) == 2
    assert bool((everything.gains.diff() <= 0).all())
    torch.testing.assert_close(two.fan_in, everything.fan_in[:2])
    assert len(neurons(stage, k=0)) == 0


def test_proposals_are_pure():
    stage = problems.problem(3, samples=100)
    measured = statistics(stage, needs=problems.EVERYTHING | Need.SAMPLES)
    state = torch.get_rng_state()
    first = Tiny(ridge=0).propose(measured, 3, torch.Generator().manual_seed(1))
    again = Tiny(ridge=0).propose(measured, 3, torch.Generator().manual_seed(1))
    assert torch.equal(first.fan_in, again.fan_in)
    assert first.threshold == again.threshold
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["tanh", "batch norm", "tokens", "flatten", "awkward"])
def test_single_precision_finds_the_same_leading_neurons(name):
    stage = problems.ALL[name]
    expected, new = neurons(stage), neurons(stage.cast(torch.float32))
    assert 0 < len(new) <= len(expected)
    kept = min(2, len(new))
    torch.testing.assert_close(new.gains[:kept], expected.gains[:kept], rtol=1e-3, atol=1e-4)


def test_single_precision_keeps_no_false_directions():
    """With dependent features a cut of 1e-10 keeps rounding (five directions of ten)."""
    torch.manual_seed(0)
    x = torch.randn(400, 10, dtype=torch.float64)
    x = torch.cat([x, x @ torch.randn(10, 10, dtype=torch.float64)], dim=1)
    stage = problems.problem(4, samples=400, sizes=(20, 4, 15))
    stage = replace(stage, x=x)
    single = statistics(stage.cast(torch.float32), 50)
    assert single.whitening.shape[1] == 11
    assert statistics(stage, 50).whitening.shape[1] == 11
    assert len(neurons(stage.cast(torch.float32))) == len(neurons(stage)) == 10


def test_a_perfect_network_proposes_nothing():
    stage = problems.problem(3)
    perfect = replace(stage, y=stage.model(stage.x).detach())
    assert len(neurons(perfect)) == 0
    assert len(neurons(perfect, Tiny(ridge=0))) == 0


def test_dead_inputs_are_no_obstacle():
    stage = problems.problem(3)
    dead = replace(stage, x=torch.zeros_like(stage.x))
    new = neurons(dead)
    assert torch.isfinite(new.fan_in).all()
    assert len(new) == 0
    unbiased = problems.problem(3, bias=False, activation=nn.Tanh())
    assert len(neurons(replace(unbiased, x=torch.zeros_like(unbiased.x)))) == 0


def ridged_root(S, ridge, constant):
    """(S + ρ s̄ I)^{-1/2} of living features, explicitly; the constant 1 last has no ridge."""
    power = S.diagonal().clone()
    if constant:
        power[-1] = 0
    alive = power > 1e-24 * power.max()
    S = S + ridge * power[alive].mean() * torch.diag(alive.double())
    values, vectors = torch.linalg.eigh(S)
    kept = values > 1e-12 * values[-1]
    return vectors[:, kept] * values[kept].rsqrt() @ vectors[:, kept].T


@pytest.mark.parametrize("name", [name for name in problems.ALL if name != "awkward"])
def test_the_ridge_is_that_of_ridge_regression(name):
    """δW* minimises E‖v − δW b₁‖² + ρ s̄₁‖δW‖², and N, λ, α, ω follow from it and S + ρ s̄ I."""
    stage = problems.ALL[name]
    rows, found = stage.rows(), statistics(stage).ridged(0.1)
    inputs, hidden = rows.inputs.flatten(0, -2), rows.hidden.flatten(0, -2)
    goal, n = rows.goal.flatten(0, -2), len(stage.x)
    root = ridged_root(hidden.T @ hidden / n, 0.1, found.next_bias)
    update = (root @ root @ hidden.T @ goal / n).T
    torch.testing.assert_close(found.weight_update, update, rtol=1e-6, atol=1e-8)
    N = inputs.T @ (goal - hidden @ update.T) / n
    T = ridged_root(inputs.T @ inputs / n, 0.1, found.grown_bias)
    u, gains, wh = torch.linalg.svd(T @ N, full_matrices=False)
    new = neurons(stage, RIDGED, k=2)
    torch.testing.assert_close(new.gains, gains[:2], rtol=1e-6, atol=1e-9)
    step = torch.einsum("kp,kd->pd", new.fan_in, outs(new))
    expected = (T @ u[:, :2]) * gains[:2] @ wh[:2]
    torch.testing.assert_close(step, expected, rtol=1e-5, atol=1e-8)


def test_a_ridge_keeps_what_nearly_silent_and_nearly_collinear_units_are_read_with_small():
    """Exactly, an input of rms 1e-3 is read with weights of thousands."""
    stage = problems.problem(3, samples=200)
    stage = replace(stage, x=stage.x.clone())
    stage.x[:, 0] *= 1e-4
    stage.x[:, 1] = stage.x[:, 2] + 1e-4 * stage.x[:, 1]
    exact, ridged = neurons(stage, k=2), neurons(stage, Tiny(significance=False), k=2)
    assert exact.fan_in.abs().max() > 100 * ridged.fan_in.abs().max()
    assert float(ridged.gains[0]) <= float(exact.gains[0])


def fisher_root(rows, shrinkage):
    """E^{-1/2} of E = E[v vᵀ], shrunk towards the sphere."""
    E = moment(rows.goal, rows.goal)
    sphere = torch.eye(len(E), dtype=E.dtype) * E.trace() / len(E)
    values, vectors = torch.linalg.eigh((1 - shrinkage) * E + shrinkage * sphere)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize("shrinkage", [0.1, 1.0])
def test_with_fisher_neurons_are_those_of_goals_in_its_metric(name, projection, shrinkage):
    """S^{-1/2} N E^{-1/2} = Σ λ u wᵀ; Σ ω αᵀ = E^{-1/2} (Σ λ w uᵀ) S^{-1/2}."""
    stage = problems.ALL[name]
    rows = stage.rows()
    method = Tiny(
        projection=projection, significance=False, ridge=0, fisher=True, shrinkage=shrinkage
    )
    new, root = neurons(stage, method), fisher_root(rows, shrinkage)
    goal = oracles.residual_goal(rows) if projection else rows.goal
    expected = oracles.gains(rows, goal @ root)
    torch.testing.assert_close(new.gains, expected[: len(new)], rtol=1e-6, atol=1e-9)
    assert float(expected[len(new) :].sum()) < 1e-6
    scaled = replace(rows, goal=goal @ root)
    fit = oracles.basis(rows.inputs) @ (oracles.basis(rows.inputs).T @ oracles.flat(scaled.goal))
    added = oracles.contribution(rows, new.fan_in, outs(new))
    torch.testing.assert_close(oracles.flat(added), fit @ root, rtol=1e-5, atol=1e-7)


def test_a_sphere_for_fisher_matrix_changes_nothing_but_the_unit():
    """With all of it shrunk away only the size of the goals is lost."""
    stage = problems.ALL["tanh"]
    plain, round_ = (
        neurons(stage),
        neurons(stage, replace(ALL_NEURONS, fisher=True, shrinkage=1.0)),
    )
    unit = float(moment(stage.rows().goal, stage.rows().goal).trace() / 3) ** 0.5
    torch.testing.assert_close(round_.gains * unit, plain.gains)
    torch.testing.assert_close(round_.fan_in.abs() * unit**0.5, plain.fan_in.abs())


@pytest.mark.parametrize("name", ["tanh", "tokens", "flatten"])
@pytest.mark.parametrize("projection", [True, False])
def test_significance_is_tested_in_fishers_metric(name, projection):
    """The unit in which an output is measured decides nothing, as its noise has that unit too."""
    stage = problems.ALL[name]
    found = [
        neurons(problem, Tiny(fisher=True, shrinkage=0.0, ridge=0, projection=projection))
        for problem in (stage, in_other_units(stage))
    ]
    assert len(found[0]) == len(found[1])
    assert found[0].draws == found[1].draws
    assert found[0].threshold == pytest.approx(found[1].threshold, rel=1e-6)


def in_other_units(stage):
    """The same network but for its outputs, one of which counts a thousand times as much."""
    last = copy.deepcopy(stage.model)
    scale = torch.ones(stage.y.shape[-1], dtype=torch.float64)
    scale[0] = 1000.0
    return replace(stage, model=last, loss=lambda outputs, y: stage.loss(
        outputs + (scale - 1) * (outputs - outputs.detach()), y))  # fmt: skip


def test_fisher_is_not_for_exact_neurons_and_shares_are_shares():
    with pytest.raises(ValueError, match="tiny takes exact or fisher, not both"):
        Tiny(exact=True, fisher=True)
    with pytest.raises(ValueError, match="shrinkage is 2, expected a share from 0 to 1"):
        Tiny(fisher=True, shrinkage=2)
    with pytest.raises(ValueError, match="give fisher=true, too"):
        Tiny(shrinkage=0.5)
