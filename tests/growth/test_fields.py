"""Statistics of sites between fields are the definitions of §3, enumerated (law 13)."""

from dataclasses import replace

import fields
import oracles
import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import EVERYTHING, SUMS, statistics
from hypothesis import HealthCheck, given, settings
from repetitions import examples

from nas_bench.growth.measure import measure
from nas_bench.growth.method import Need

STAGES = pytest.mark.parametrize("name", problems.ALL)
SMOOTH = pytest.mark.parametrize("name", problems.SMOOTH)


def drawn(thorough):
    """Over so many random networks, the same ones every time; everyday over some of them."""
    own = settings(
        max_examples=examples(thorough),
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    return lambda test: given(problems.networks())(own(test))


def norms(rows):
    """√E of the square of each feature, summed over positions."""
    return (rows.flatten(0, -2).square().sum(0) / len(rows)).sqrt()


def close(actual, expected, left, right, tolerance=1e-9):
    """Equal up to rounding, of the size of the factors whose norms are given."""
    scale = torch.outer(left, right).clamp(min=1e-300)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=tolerance)


def check_sums(rows, measured, tolerance=1e-9):
    """S, Ñ, S₁ and M against their enumeration."""
    u, b, v = norms(rows.inputs), norms(rows.hidden), norms(rows.goal)
    tapped = v.repeat(rows.taps)
    assert (measured.count, measured.taps) == (len(rows), rows.taps)
    close(measured.covariance, fields.covariance(rows), u, u, tolerance)
    N = fields.cross_covariance(rows, rows.goal)
    close(measured.cross_covariance, N, u, tapped, tolerance)
    S = torch.einsum("nqm,nqk->mk", rows.hidden, rows.hidden) / len(rows)
    close(measured.hidden_covariance, S, b, b, tolerance)
    M = torch.einsum("nqm,nqd->md", rows.hidden, rows.goal) / len(rows)
    close(measured.hidden_goal, M, b, v, tolerance)


def check_solutions(rows, measured):
    """δW*, Ψ, E v_p v_pᵀ and N against least squares in sample space."""
    v_p, size = fields.residual_goal(rows), oracles.norm2(rows.goal)
    fitted = fields.updated(rows, measured.weight_update)
    torch.testing.assert_close(rows.goal - fitted, v_p, rtol=1e-6, atol=1e-7 * size**0.5)
    expected = torch.einsum("nqd,nqe->de", v_p, v_p) / len(rows)
    found = measured.residual_goal_covariance
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9 * size)
    assert measured.bottleneck == pytest.approx(oracles.norm2(v_p), rel=1e-7, abs=1e-9 * size)
    u, v = norms(rows.inputs), norms(rows.goal).repeat(rows.taps)
    N = fields.cross_covariance(rows, v_p)
    close(measured.residual_cross_covariance, N, u, v, 1e-7)


@STAGES
def test_explicit_taps_are_the_operations_of_torch(name):
    """The oracle itself: enumerated taps against convolutions with the new weights."""
    stage = problems.ALL[name]
    new = problems.random_neurons(stage)
    expected = fields.change(problems.branched(stage, new, stand=fields.linear), stage.x)
    added = fields.contribution(stage.rows, new.fan_in, new.fan_out)
    added = added + fields.updated(stage.rows, new.weight_update)
    torch.testing.assert_close(added, expected)


@drawn(60)
def test_explicit_taps_of_random_networks_are_the_operations_of_torch(stage):
    """The oracle itself, wherever kernels, strides, paddings and windows fall."""
    new = problems.random_neurons(stage)
    expected = fields.change(problems.branched(stage, new, stand=fields.linear), stage.x)
    added = fields.contribution(stage.rows, new.fan_in, new.fan_out)
    added = added + fields.updated(stage.rows, new.weight_update)
    torch.testing.assert_close(added, expected)


@STAGES
def test_present_channels_are_what_the_next_layer_reads(name):
    """The oracle itself: W b₁ = a, and W u(r) the grown layer's own output."""
    stage = problems.ALL[name]
    rows = stage.rows
    for layer, read in zip(stage.layers, (rows.patches, rows.hidden), strict=True):
        weight = layer.weight.detach().flatten(1)
        if layer.bias is not None:
            weight = torch.cat([weight, layer.bias.detach()[:, None]], 1)
        value = read @ weight.T
        if layer is stage.layers[1]:
            torch.testing.assert_close(value, rows.pre_activity)
        else:
            first = stage.model[: int(stage.site[0]) + 1]
            own = fields.as_map(first(stage.x).detach()).flatten(2).transpose(1, 2)
            torch.testing.assert_close(value, own)


@SMOOTH
def test_goals_are_the_slope_of_the_loss_along_explicit_branches(name):
    """The oracle itself: n dL/dε = −σ′(0) ⟨v, v_new⟩ on a network with real new channels."""
    stage = problems.ALL[name]
    new = problems.random_neurons(stage, updated=False)

    def loss(epsilon):
        network = problems.branched(stage, new, epsilon)
        return oracles.loss_value(network, stage.x, stage.y, stage.loss)

    added = fields.contribution(stage.rows, new.fan_in, new.fan_out)
    predicted = stage.slope * float((stage.rows.goal * added).sum()) / len(stage.x)
    assert fields.measured_drop(loss) == pytest.approx(predicted, rel=1e-5, abs=1e-8)


@STAGES
def test_sums_are_explicit_enumerations(name):
    """Law 13: S, Ñ, S₁ and M, over (position, tap), whether or not maps are kept for N."""
    stage = problems.ALL[name]
    check_sums(stage.rows, statistics(stage, 9))
    check_sums(stage.rows, statistics(stage, 9, SUMS))


@STAGES
def test_solutions_are_those_of_least_squares_in_sample_space(name):
    stage = problems.ALL[name]
    check_solutions(stage.rows, statistics(stage, 9))


@pytest.mark.slow
@drawn(80)
def test_statistics_of_random_networks_are_explicit_enumerations(stage):
    """Law 13, with stride, padding, dilation, pooling, flatten and depthwise in the path."""
    measured = statistics(stage, 7, EVERYTHING | Need.PATCHES)
    check_sums(stage.rows, measured)
    check_sums(stage.rows, statistics(stage, None, SUMS))
    check_solutions(stage.rows, measured)
    check_patches(stage.rows, measured)


def check_patches(rows, measured, tolerance=1e-9):
    """Σ_r u uᵀ, each position once."""
    gram = torch.einsum("nrp,nrk->pk", rows.patches, rows.patches) / len(rows)
    size = norms(rows.patches)
    close(measured.patch_covariance, gram, size, size, tolerance)


@STAGES
def test_patches_are_counted_once_whatever_the_next_layer_reads(name):
    stage = problems.ALL[name]
    check_patches(stage.rows, statistics(stage, 9, Need.PATCHES))


def test_positions_that_taps_read_twice_count_twice():
    """S and the unweighted Gram are different things wherever taps overlap or skip."""
    measured = statistics(problems.ALL["conv"], needs=EVERYTHING | Need.PATCHES)
    ratio = measured.covariance.diagonal() / measured.patch_covariance.diagonal()
    assert float(ratio.min()) > 4
    assert float(ratio.max()) < 9
    single = statistics(problems.ALL["pointwise"], needs=EVERYTHING | Need.PATCHES)
    torch.testing.assert_close(single.covariance, single.patch_covariance)


@STAGES
def test_gains_are_those_of_whitening_in_sample_space(name):
    """Singular values of S^{-1/2} N, S^{-1/2} from an SVD of the enumerated taps."""
    stage = problems.ALL[name]
    measured = statistics(stage)
    found = torch.linalg.svdvals(measured.whitening.T @ measured.residual_cross_covariance)
    expected = fields.gains(stage.rows, fields.residual_goal(stage.rows))
    assert measured.whitening.shape[1] == oracles.rank(stage.rows.inputs.flatten(1, 2))
    size = oracles.norm2(stage.rows.goal) ** 0.5
    torch.testing.assert_close(found, expected[: len(found)], rtol=1e-6, atol=1e-8 * size)


@STAGES
def test_the_residual_is_orthogonal_to_what_the_next_layer_reads(name):
    """B₁ᵀV_p = 0, and E‖v‖² − E‖v_p‖² = tr(δW* M)  (law 5)."""
    stage = problems.ALL[name]
    rows, measured = stage.rows, statistics(stage)
    update = measured.weight_update
    v_p = rows.goal - fields.updated(rows, update)
    angles = torch.einsum("nqm,nqd->md", rows.hidden, v_p) / len(rows)
    scale = torch.outer(norms(rows.hidden), norms(rows.goal))
    assert bool((angles.abs() <= 1e-8 * scale).all())
    gained = oracles.norm2(rows.goal) - measured.bottleneck
    assert gained == pytest.approx(float((update @ measured.hidden_goal).trace()), rel=1e-7)


@STAGES
def test_statistics_of_two_halves_added_are_those_of_the_whole(name):
    """Law 14."""
    stage = problems.ALL[name]
    site, batches, every = problems.site_of(stage), stage.batches(5), EVERYTHING | Need.PATCHES

    def part(some):
        return measure(stage.model, [site], some, stage.loss, {site.name: every})[site.name]

    whole, merged = part(batches), part(batches[:2]) + part(batches[2:])
    assert (merged.count, merged.taps) == (whole.count, whole.taps)
    for name in ("covariance", "cross_covariance", "hidden_covariance", "hidden_goal",
                 "patch_covariance"):  # fmt: skip
        expected = getattr(whole, name)
        size = float(expected.abs().max())
        torch.testing.assert_close(getattr(merged, name), expected, rtol=1e-9, atol=1e-12 * size)
    check_solutions(stage.rows, merged)


@drawn(15)
def test_batches_and_order_change_nothing(stage):
    """Law 9: whole, one by one, and backwards."""
    rows, expected = stage.rows, statistics(stage)
    back = replace(stage, x=stage.x.flip(0), y=stage.y.flip(0))
    u, v = norms(rows.inputs), norms(rows.goal).repeat(rows.taps)
    for found in (statistics(stage, 1), statistics(back, 5)):
        close(found.covariance, expected.covariance, u, u)
        close(found.cross_covariance, expected.cross_covariance, u, v)
        N = expected.residual_cross_covariance
        close(found.residual_cross_covariance, N, u, v, 1e-7)


@STAGES
def test_single_precision_agrees_to_single_precision(name):
    stage = problems.ALL[name]
    measured = statistics(stage.cast(torch.float32), 9, EVERYTHING | Need.PATCHES)
    assert measured.covariance.dtype == torch.float64
    check_sums(stage.rows, measured, 1e-5)
    check_patches(stage.rows, measured, 1e-5)


@STAGES
def test_measuring_leaves_the_network_as_it_was(name):
    stage = problems.ALL[name].own()
    stage.model.train()
    before = {key: value.clone() for key, value in stage.model.state_dict().items()}
    state = torch.get_rng_state()
    statistics(stage, 9, EVERYTHING | Need.PATCHES | Need.SAMPLES)
    assert all(torch.equal(before[k], v) for k, v in stage.model.state_dict().items())
    assert all(module.training for module in stage.model.modules())
    assert all(p.grad is None for p in stage.model.parameters())
    assert torch.equal(state, torch.get_rng_state())
