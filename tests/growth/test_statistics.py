"""Site statistics are the definitions, and measuring them leaves no trace."""

import copy
from dataclasses import fields, replace

import oracles
import pytest
import torch
from growth import field_problems, problems
from growth.problems import EVERYTHING, site_of, statistics
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import moment
from repetitions import examples
from torch import nn

from nas_bench.growth.measure import measure
from nas_bench.growth.method import Need
from nas_bench.growth.tracing import find_sites


def close(actual, left, right, tolerance=1e-9, size=None):
    """Equal to E[left rightᵀ] up to rounding, of the size of its two factors."""
    norms = [
        x.flatten(0, 1).square().sum(0).sqrt() for x in (left, right if size is None else size)
    ]
    scale = (torch.outer(*norms) / len(left)).clamp(min=1e-300)
    expected = moment(left, right) / scale
    torch.testing.assert_close(actual / scale, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", problems.ALL)
def test_sums_are_their_definitions(name):
    stage = problems.ALL[name]
    rows, measured = stage.rows(), statistics(stage, 17)
    assert measured.count == len(rows)
    assert measured.positions == rows.inputs.shape[1]
    for actual, left, right in [
        (measured.covariance, rows.inputs, rows.inputs),
        (measured.hidden_covariance, rows.hidden, rows.hidden),
        (measured.hidden_cross, rows.inputs, rows.hidden),
        (measured.cross_covariance, rows.inputs, rows.goal),
        (measured.hidden_goal, rows.hidden, rows.goal),
        (measured.goal_covariance, rows.goal, rows.goal),
    ]:
        close(actual, left, right)


@pytest.mark.parametrize("name", problems.ALL)
def test_solutions_are_those_of_least_squares_in_sample_space(name):
    stage = problems.ALL[name]
    rows, measured = stage.rows(), statistics(stage)
    v_p = oracles.residual_goal(rows)
    fitted = oracles.update_contribution(rows, measured.weight_update)
    torch.testing.assert_close(rows.goal - fitted, v_p, rtol=1e-6, atol=1e-8)
    assert measured.bottleneck == pytest.approx(oracles.norm2(v_p), rel=1e-8)
    torch.testing.assert_close(measured.residual_goal_covariance, moment(v_p, v_p))
    N = measured.residual_cross_covariance
    close(N, rows.inputs, v_p, size=rows.goal)


@pytest.mark.parametrize("name", problems.ALL)
def test_the_residual_is_orthogonal_to_the_hidden_layer(name):
    """B₁ᵀV_p = 0, and E‖v‖² − E‖v_p‖² = tr(δW* M)  (law 5)."""
    stage = problems.ALL[name]
    rows, measured = stage.rows(), statistics(stage)
    update = measured.weight_update
    v_p = rows.goal - oracles.update_contribution(rows, update)
    angles = moment(rows.hidden, v_p) / oracles.norm2(rows.hidden) ** 0.5
    assert float(angles.abs().max()) < 1e-8 * oracles.norm2(rows.goal) ** 0.5
    gained = oracles.norm2(rows.goal) - measured.bottleneck
    assert gained == pytest.approx(float((update @ measured.hidden_goal).trace()), rel=1e-8)


@pytest.mark.parametrize("ridge", [1e-3, 0.1])
@pytest.mark.parametrize("name", problems.ALL)
def test_a_ridge_is_a_few_samples_that_ask_for_weights_of_0(name, ridge):
    """Of δW* and of the gains; the constant 1 and dead features have none (§1)."""
    stage = problems.ALL[name]
    rows, measured = stage.rows(), statistics(stage).ridged(ridge)
    constant = measured.next_bias
    update = oracles.weight_update(rows, ridge, constant=constant)
    torch.testing.assert_close(measured.weight_update, update, rtol=1e-7, atol=1e-9)
    v_p = oracles.residual_goal(rows, ridge, constant=constant)
    assert measured.bottleneck == pytest.approx(oracles.norm2(v_p), rel=1e-8)
    close(measured.residual_cross_covariance, rows.inputs, v_p, size=rows.goal)
    silent = oracles.ridge_rows(rows.inputs, ridge, constant=measured.grown_bias)
    Q = oracles.ridged_basis(rows.inputs, silent)
    expected = torch.linalg.svdvals(Q.T @ oracles.flat(v_p)) / len(rows) ** 0.5
    gains = torch.linalg.svdvals(measured.whitening.T @ measured.residual_cross_covariance)
    size = oracles.norm2(rows.goal) ** 0.5
    torch.testing.assert_close(gains, expected[: len(gains)], rtol=1e-6, atol=1e-9 * size)


@pytest.mark.parametrize("name", problems.ALL)
def test_gains_are_the_sample_space_singular_values(name):
    """λ = svdvals(Qᵀ V_p)/√n  (law 1)."""
    stage = problems.ALL[name]
    rows, measured = stage.rows(), statistics(stage)
    gains = torch.linalg.svdvals(measured.whitening.T @ measured.residual_cross_covariance)
    expected = oracles.gains(rows)
    size = oracles.norm2(rows.goal) ** 0.5
    assert measured.whitening.shape[1] == oracles.rank(rows.inputs)
    torch.testing.assert_close(gains, expected[: len(gains)], rtol=1e-6, atol=1e-9 * size)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_goals_are_per_sample_whatever_the_reduction(reduction):
    stage = problems.problem(5)
    site = site_of(stage)
    given = nn.MSELoss(reduction=reduction)
    measured = measure(stage.model, [site], stage.batches(7), given, {site.name: EVERYTHING})
    own = problems.Problem(stage.model, stage.x, stage.y, given, stage.site, stage.activation)
    rows = own.rows()
    expected = moment(rows.inputs, rows.goal)
    torch.testing.assert_close(measured[site.name].cross_covariance, expected)


@pytest.mark.parametrize("name", ["tanh", "batch norm", "tokens", "flatten", "awkward"])
def test_single_precision_agrees_to_single_precision(name):
    stage = problems.ALL[name]
    exact, rows = statistics(stage), stage.rows()
    measured = statistics(stage.cast(torch.float32), 13)
    assert measured.covariance.dtype == torch.float64
    close(measured.covariance, rows.inputs, rows.inputs, 1e-5)
    expected = torch.linalg.svdvals(exact.whitening.T @ exact.residual_cross_covariance)
    gains = torch.linalg.svdvals(measured.whitening.T @ measured.residual_cross_covariance)
    size = float(exact.goal_covariance.trace()) ** 0.5
    assert measured.whitening.shape[1] == exact.whitening.shape[1]
    torch.testing.assert_close(gains, expected[: len(gains)], rtol=1e-2, atol=1e-3 * size)


@pytest.mark.parametrize("name", ["tanh", "tokens, cross-entropy", "batch norm", "awkward"])
def test_statistics_of_two_halves_added_are_those_of_the_whole(name):
    """Law 14."""
    stage = problems.ALL[name]
    site, batches = site_of(stage), stage.batches(10)
    needs = {site.name: EVERYTHING}

    def part(some):
        return measure(stage.model, [site], some, stage.loss, needs)[site.name]

    whole = part(batches)
    merged = part(batches[:2]) + part(batches[2:])
    assert merged.count == whole.count
    for field in fields(whole.sums):
        expected = getattr(whole.sums, field.name)
        actual = getattr(merged.sums, field.name)
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(merged.weight_update, whole.weight_update, rtol=1e-6, atol=1e-9)


def test_statistics_of_different_weights_or_sites_do_not_add():
    stage, other = problems.deep(0), problems.deep(1)
    first = statistics(stage)
    with pytest.raises(ValueError, match="weights"):
        first + statistics(other)
    with pytest.raises(ValueError, match="sites"):
        first + statistics(stage, site=("2", "4"))


def test_adjacent_sites_measured_together_are_the_same_as_alone():
    """Law 17."""
    stage = problems.deep()
    sites = find_sites(stage.model, stage.x[:2])
    assert len(sites) == 2
    together = measure(
        stage.model, sites, stage.batches(), stage.loss, {s.name: EVERYTHING for s in sites}
    )
    for site in sites:
        alone = statistics(stage, site=(site.grown, site.next))
        both = together[site.name]
        assert torch.equal(both.covariance, alone.covariance)
        assert torch.equal(both.residual_cross_covariance, alone.residual_cross_covariance)


@given(
    seed=st.integers(0, 100),
    batch=st.integers(1, 40),
    copies=st.integers(1, 3),
    tokens=st.sampled_from([None, 1, 3]),
    bias=st.booleans(),
)
@settings(max_examples=examples(25), derandomize=True)
def test_gains_do_not_see_batches_order_or_duplicates(seed, batch, copies, tokens, bias):
    """Law 9."""
    stage = problems.problem(seed, samples=40, tokens=tokens, bias=bias)
    order = torch.randperm(40 * copies, generator=torch.Generator().manual_seed(seed))
    x, y = stage.x.repeat(copies, *[1] * (stage.x.dim() - 1))[order], stage.y
    y = y.repeat(copies, *[1] * (y.dim() - 1))[order]
    shuffled = problems.Problem(stage.model, x, y, stage.loss, stage.site, stage.activation)
    measured = statistics(shuffled, batch)
    gains = torch.linalg.svdvals(measured.whitening.T @ measured.residual_cross_covariance)
    expected = oracles.gains(stage.rows())
    torch.testing.assert_close(gains, expected[: len(gains)], rtol=1e-7, atol=1e-9)


def snapshot(model):
    """Everything that measuring must leave alone, as comparable values."""
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "grad": {k: None if p.grad is None else p.grad.clone() for k, p in
                 model.named_parameters()},
        "training": [m.training for m in model.modules()],
        "flags": [p.requires_grad for p in model.parameters()],
        "rng": torch.get_rng_state(),
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
    }  # fmt: skip


def same(before, after):
    for key in ("state", "grad"):
        for name, value in before[key].items():
            other = after[key][name]
            assert (value is None and other is None) or torch.equal(value, other), (key, name)
    assert torch.equal(before["rng"], after["rng"])
    for key in ("training", "flags", "hooks"):
        assert before[key] == after[key]


@pytest.mark.parametrize("needs", [EVERYTHING, EVERYTHING | Need.SAMPLES, Need.INPUTS], ids=str)
def test_measuring_leaves_the_model_as_it_was(needs):
    stage = copy.deepcopy(problems.ALL["batch norm"])
    stage.model.train()
    stage.model[2].eval()
    stage.model[0].weight.grad = torch.ones_like(stage.model[0].weight)
    stage.model[4].bias.requires_grad_(False)
    before = snapshot(stage.model)
    statistics(stage, 20, needs)
    same(before, snapshot(stage.model))


def test_a_failure_inside_the_pass_still_leaves_the_model_as_it_was():
    stage = copy.deepcopy(problems.ALL["batch norm"])
    stage.model.train()
    before = snapshot(stage.model)

    def failing(_outputs, _targets):
        raise ArithmeticError("no loss today")

    site = site_of(stage)
    with pytest.raises(ArithmeticError):
        measure(stage.model, [site], stage.batches(), failing, {site.name: EVERYTHING})
    same(before, snapshot(stage.model))


def test_dropout_is_off_and_batch_norm_in_eval_mode():
    stage = copy.deepcopy(problems.ALL["batch norm"])
    quiet = statistics(stage)
    stage.model.train()
    assert torch.equal(statistics(stage).covariance, quiet.covariance)
    assert torch.equal(statistics(stage).cross_covariance, quiet.cross_covariance)


def test_frozen_networks_and_callers_without_gradients_can_be_measured():
    stage = copy.deepcopy(problems.ALL["tanh"])
    expected = statistics(stage).cross_covariance
    for parameter in stage.model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(statistics(stage).cross_covariance, expected)


class NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, *_):
        raise AssertionError("a backward pass was made")


@pytest.mark.parametrize(
    "needs", [Need.NOTHING, Need.INPUTS, Need.HIDDEN, Need.SAMPLES, Need.INPUTS | Need.HIDDEN]
)
def test_only_goals_cost_a_backward_pass(needs):
    stage = problems.problem()
    site = site_of(stage)

    def guarded(outputs, targets):
        return stage.loss(NoBackward.apply(outputs), targets)

    measure(stage.model, [site], stage.batches(), guarded, {site.name: needs})
    with pytest.raises(AssertionError, match="backward"):
        measure(stage.model, [site], stage.batches(), guarded, {site.name: Need.GOAL})


def test_what_was_not_declared_cannot_be_read():
    measured = statistics(problems.problem(), needs=Need.INPUTS)
    measured.covariance  # noqa: B018
    for name in ("cross_covariance", "hidden_covariance", "weight_update", "goal_covariance"):
        with pytest.raises(ValueError, match="needs"):
            getattr(measured, name)


@pytest.mark.parametrize(
    ("declared", "missing"),
    [
        (Need.GOAL, "declare Need.HIDDEN in"),
        (Need.HIDDEN, "declare Need.GOAL in"),
        (Need.INPUTS, "declare Need.HIDDEN and Need.GOAL in"),
    ],
)
def test_only_needs_that_were_not_declared_are_asked_for(declared, missing):
    (stage, *_) = field_problems.ALL.values()
    measured = field_problems.statistics(stage, needs=declared)
    with pytest.raises(ValueError, match=missing):
        _ = measured.hidden_goal


def test_a_ridge_bounds_what_nearly_silent_and_nearly_equal_features_are_read_with():
    """Exact, their weights grow as 1/δ; the exact statistics stay as they were."""
    sizes = {}
    for tiny in (1e-2, 1e-4):
        stage = problems.problem(samples=90)
        with torch.no_grad():
            stage.model[0].weight[1] = stage.model[0].weight[0] + tiny
            stage.model[0].weight[2] *= tiny
            stage.model[0].bias[:3] = 0.0
        measured = statistics(stage)
        exact, tamed = (s.weight_update.norm() for s in (measured, measured.ridged(1e-3)))
        assert torch.equal(measured.ridged(0).weight_update, measured.weight_update)
        sizes[tiny] = float(exact), float(tamed)
    assert sizes[1e-4][0] > 30 * sizes[1e-2][0]
    assert sizes[1e-4][1] < 10 * sizes[1e-2][1]


def test_activations_that_work_in_place_change_nothing():
    stage = problems.deep(activation=nn.ReLU)
    expected = statistics(stage)
    model = copy.deepcopy(stage.model)
    model[1], model[3] = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
    inplace = problems.Problem(model, stage.x, stage.y, stage.loss, stage.site, stage.activation)
    measured = statistics(inplace)
    assert torch.equal(measured.hidden_cross, expected.hidden_cross)
    assert torch.equal(measured.cross_covariance, expected.cross_covariance)


def test_samples_are_rows_of_the_data_and_seeded():
    stage = problems.ALL["tokens"]
    site, rows = site_of(stage), stage.rows()
    needs = {site.name: EVERYTHING | Need.SAMPLES}

    def sampled(batch, seed):
        data = stage.batches(batch)
        return measure(stage.model, [site], data, stage.loss, needs, seed=seed)[site.name].samples

    drawn, again, split = sampled(60, 0), sampled(60, 0), sampled(7, 0)
    assert torch.equal(drawn.inputs, again.inputs)
    assert not torch.equal(drawn.inputs, sampled(60, 1).inputs)
    torch.testing.assert_close(drawn.inputs, split.inputs)
    for i in range(len(drawn.inputs)):
        distances = (rows.inputs - drawn.inputs[i]).flatten(1).abs().amax(1)
        j = int(distances.argmin())
        torch.testing.assert_close(drawn.inputs[i], rows.inputs[j])
        torch.testing.assert_close(drawn.hidden[i], rows.hidden[j])
        torch.testing.assert_close(drawn.goals[i], rows.goal[j])


def part_of(stage, x, seed):
    """The goals and samples of the stage from some of its data."""
    site, part = site_of(stage), replace(stage, x=x, y=stage.y[: len(x)])
    needs = {site.name: Need.GOAL | Need.SAMPLES}
    found = measure(part.model, [site], part.batches(100), part.loss, needs, seed=seed)
    return found[site.name]


@pytest.mark.parametrize(
    ("tokens", "samples", "kept"),
    [(None, 300, 300), (None, 5200, 5000), (100, 300, 200)],
    ids=["all", "5000 samples", "20 000 rows"],
)
def test_samples_of_two_parts_added_are_as_many_as_of_the_whole(tokens, samples, kept):
    """At most 5000 samples and 20 000 rows, some of either part."""
    stage = problems.problem(samples=samples, tokens=tokens)
    half = samples // 2
    parts = part_of(stage, stage.x[:half], 1), part_of(stage, stage.x[half:], 2)
    merged, whole = (parts[0] + parts[1]).samples, part_of(stage, stage.x, 0).samples
    for sample in (merged, whole):
        assert len(sample.keys) == kept
        assert sample.inputs.shape == (kept, tokens or 1, 6)
        assert sample.hidden.shape == (kept, tokens or 1, 5)
        assert sample.goals.shape == (kept, tokens or 1, 3)
    first = {tuple(row.tolist()) for row in stage.x[:half].flatten(1)}
    of_first = sum(tuple(x[:, :-1].flatten().tolist()) in first for x in merged.inputs)
    assert kept / 3 < of_first < 2 * kept / 3


def test_no_data_is_an_error_that_says_so():
    stage = problems.problem()
    site = site_of(stage)
    with pytest.raises(ValueError, match="empty"):
        measure(stage.model, [site], [], stage.loss, {site.name: EVERYTHING})


def test_what_was_not_measured_names_every_need_it_has():
    stage = problems.deep(0)
    site = site_of(stage)
    found = measure(stage.model, [site], stage.batches(10), stage.loss, {site.name: Need.INPUTS})
    with pytest.raises(ValueError, match=r"declare Need\.HIDDEN and Need\.GOAL in"):
        _ = found[site.name].hidden_goal
    with pytest.raises(ValueError, match=r"declare Need\.GOAL in"):
        _ = found[site.name].cross_covariance
