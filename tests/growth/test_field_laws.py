"""The laws of growth on sites between fields, for the methods that grow them."""

import copy
from dataclasses import replace

import fields
import oracles
import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import EVERYTHING, proposal, site_of, statistics
from growth.test_fields import drawn
from torch import nn

from nas_bench import plugins
from nas_bench.growth import amplitude as engine
from nas_bench.growth import grow
from nas_bench.growth.measure import measure
from nas_bench.growth.tracing import find_sites
from nas_bench.growth.widen import new_channel_moments, widen

TINY = plugins.method("tiny[significance=false,ridge=0]")
UNPROJECTED = plugins.method("tiny[projection=false,significance=false,ridge=0]")
GRADMAX = plugins.method("gradmax")
NORTH = plugins.method("north_preactivation[candidates=50]")
RANDOM = plugins.method("random_growth")
RANDOM_UPDATED = plugins.method("random_growth[update=true,ridge=0]")
SILENT = plugins.method("random_growth[zero_fan_out=true]")
NET2NET = plugins.method("net2net")

pytestmark = pytest.mark.slow
STAGES = pytest.mark.parametrize("name", problems.ALL)
UPDATES = pytest.mark.parametrize("updated", [True, False], ids=["update", "neurons only"])
TINIES = pytest.mark.parametrize("method", [TINY, UNPROJECTED], ids=["tiny", "no projection"])
SEARCHED = {"tiny": TINY, "no projection": UNPROJECTED, "random": RANDOM,
            "random, updated": RANDOM_UPDATED}  # fmt: skip
PRESERVING = {"gradmax": GRADMAX, "north": NORTH, "silent": SILENT, "net2net": NET2NET}


def goal_of(stage, method):
    """g: v_p, or v without projection."""
    return stage.rows.goal if method is UNPROJECTED else fields.residual_goal(stage.rows)


def unscaled(new):
    """α and ω before t*, (k, p) and (k, taps·d)."""
    root = new.rescaled**0.5
    return new.fan_in / root, (new.fan_out / root).flatten(1)


def search_of(stage):
    site = site_of(stage)
    batch = stage.x, stage.y
    return engine.Search.at(stage.model, [site], batch, stage.loss)[site.name]


def predicted_drop(stage, new):
    found = search_of(stage)
    return found.predicted_drop(found.part(new))


def loss_of(model, stage):
    return oracles.loss_value(copy.deepcopy(model).eval(), stage.x, stage.y, stage.loss)


def outputs(model, x, training=False):
    """What a network computes, dropout off."""
    model = copy.deepcopy(model).train(training)
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()
    with torch.no_grad():
        return model(x)


def widened(stage, new):
    """A copy of the network with the neurons in it."""
    model, site = stage.own().model, site_of(stage)
    moments = None
    if site.batch_norms and new.copied is None:
        moments = new_channel_moments(model, site, new, stage.batches(9))
    widen(model, site, new, moments)
    return model


def features(stage):
    """The entries of the fan-in that are not its constant."""
    return slice(0, stage.layers[0].weight[0].numel())


def columns(stage):
    """The next layer's weight with one block (taps, d) for each old channel."""
    weight = stage.layers[1].weight.detach().flatten(1)
    return weight.unflatten(1, (-1, stage.rows.taps)).permute(1, 2, 0)


@STAGES
@TINIES
def test_gains_are_those_of_whitening_in_sample_space(name, method):
    stage = problems.ALL[name]
    size = oracles.norm2(stage.rows.goal) ** 0.5
    new = proposal(stage, method, k=100)
    expected = fields.gains(stage.rows, goal_of(stage, method))
    assert len(new) == int((expected > 1e-8 * size).sum()) > 0
    torch.testing.assert_close(new.gains, expected[: len(new)], rtol=1e-6, atol=1e-9 * size)


@STAGES
@TINIES
def test_neurons_agree_with_the_goal_by_the_squared_gains(name, method):
    """Law 3: ⟨g, v_K⟩ = n Σ λ² for every K, before t*."""
    stage = problems.ALL[name]
    goal = goal_of(stage, method)
    for k in range(1, len(proposal(stage, method, k=4)) + 1):
        new = proposal(stage, method, k=k)
        added = fields.contribution(stage.rows, new.fan_in, new.fan_out)
        total = len(stage.x) * float(new.gains.square().sum())
        assert float((goal * added).sum()) / new.rescaled == pytest.approx(total, rel=1e-6)


@STAGES
@TINIES
@pytest.mark.parametrize("k", [1, 3])
def test_the_bottleneck_falls_by_the_squared_gains_times_the_rescaling(name, method, k):
    """Law 2 at t* = ⟨g, v_new⟩/‖v_new‖²; t* ≥ 1 for one neuron, 1 with one tap."""
    stage = problems.ALL[name]
    rows, goal, new = stage.rows, goal_of(stage, method), proposal(stage, method, k=k)
    added = fields.contribution(rows, new.fan_in, new.fan_out)
    fall = oracles.norm2(goal) - oracles.norm2(goal - added)
    total = float(new.gains.square().sum())
    assert fall == pytest.approx(new.rescaled * total, rel=1e-6)
    root = new.rescaled**0.5
    before = fields.rescaling(rows, goal, new.fan_in / root, new.fan_out / root)
    assert new.rescaled == pytest.approx(before, rel=1e-6)
    if rows.taps == 1:
        assert new.rescaled == pytest.approx(1.0, rel=1e-6)
    elif k == 1:
        assert new.rescaled >= 1 - 1e-9


@STAGES
@TINIES
def test_neurons_are_orthogonal_in_their_own_metrics(name, method):
    """Law 6: α_jᵀ S α_k = λ_k δ_jk and ω_j·ω_k = λ_k δ_jk before t*."""
    stage = problems.ALL[name]
    new = proposal(stage, method, k=6)
    alpha, omega = unscaled(new)
    S, diagonal = fields.covariance(stage.rows), torch.diag(new.gains)
    tolerance = 1e-7 * float(new.gains.max())
    torch.testing.assert_close(alpha @ S @ alpha.T, diagonal, rtol=1e-6, atol=tolerance)
    torch.testing.assert_close(omega @ omega.T, diagonal, rtol=1e-6, atol=tolerance)


@STAGES
@TINIES
def test_all_neurons_together_solve_the_normal_equations(name, method):
    """Law 7: S Σ α ωᵀ = N over all of them, before t*; N is in the range of S."""
    stage = problems.ALL[name]
    alpha, omega = unscaled(proposal(stage, method, k=1000))
    S = fields.covariance(stage.rows)
    N = fields.cross_covariance(stage.rows, goal_of(stage, method))
    scale = float(N.abs().max())
    torch.testing.assert_close(S @ alpha.T @ omega, N, rtol=1e-5, atol=1e-6 * scale)


@STAGES
@TINIES
def test_fan_ins_solve_the_generalised_eigenproblem(name, method):
    """Law 8: N Nᵀ α_k = λ_k² S α_k."""
    stage = problems.ALL[name]
    new = proposal(stage, method, k=6)
    alpha, _ = unscaled(new)
    S = fields.covariance(stage.rows)
    N = fields.cross_covariance(stage.rows, goal_of(stage, method))
    left, right = N @ (N.T @ alpha.T), (S @ alpha.T) * new.gains.square()
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7 * float(left.abs().max()))


@STAGES
def test_the_update_of_existing_weights_is_that_of_least_squares(name):
    """Law 5: δW* alone reaches Ψ, and it comes with projection only."""
    stage = problems.ALL[name]
    moved = fields.updated(stage.rows, proposal(stage, TINY).weight_update)
    v_p, size = fields.residual_goal(stage.rows), oracles.norm2(stage.rows.goal)
    torch.testing.assert_close(stage.rows.goal - moved, v_p, rtol=1e-6, atol=1e-7 * size**0.5)
    assert proposal(stage, UNPROJECTED).weight_update is None


@STAGES
@UPDATES
def test_losses_of_steps_are_those_of_explicit_branches(name, updated):
    stage = problems.ALL[name]
    new, found = problems.random_neurons(stage, updated=updated), search_of(stage)
    for epsilon in (0.0, 0.1, 3.0):
        scaled = engine.with_amplitude(new, epsilon)
        expected = loss_of(problems.branched(stage, new, epsilon), stage)
        assert found.loss_with(found.change(found.part(scaled))) == pytest.approx(
            expected, rel=1e-9
        )


def check_first_order(stage, new):
    """Law 4: the predicted drop is −dL/dε of the explicit network, by Richardson in √ε."""

    def loss(epsilon):
        return loss_of(problems.branched(stage, new, epsilon), stage)

    predicted = predicted_drop(stage, new)
    change = fields.change(problems.branched(stage, new), stage.x)
    size = float(stage.rows.goal.norm() * change.norm()) / len(stage.x)
    measured = fields.measured_drop(loss, 1e-6)
    assert measured == pytest.approx(predicted, rel=1e-4, abs=1e-6 * size)


@STAGES
@UPDATES
def test_first_order_drops_are_measured_as_predicted(name, updated):
    """Law 4, kinks and max pooling included."""
    stage = problems.ALL[name]
    check_first_order(stage, problems.random_neurons(stage, updated=updated))


@STAGES
@pytest.mark.parametrize("method", SEARCHED)
def test_first_order_drops_of_proposals_are_measured_as_predicted(name, method):
    """Law 4 for what the methods propose, at about unit activity."""
    stage = problems.ALL[name]
    new = proposal(stage, SEARCHED[method])
    assert len(new) > 0
    reach = float((stage.rows.patches @ new.fan_in.T).abs().max())
    reach = max(reach, float(new.fan_out.abs().max()))
    check_first_order(stage, engine.with_amplitude(new, 1 / reach**2))


@pytest.mark.parametrize("name", problems.SMOOTH)
@UPDATES
def test_predicted_drops_of_smooth_paths_are_the_formula(name, updated):
    """σ′(0) Σ⟨Ñ, α ωᵀ⟩ + tr(δW* M)."""
    stage = problems.ALL[name]
    rows, new = stage.rows, problems.random_neurons(stage, updated=updated)
    N = fields.cross_covariance(rows, rows.goal)
    expected = stage.slope * float((N * (new.fan_in.T @ new.fan_out.flatten(1))).sum())
    if updated:
        moved = fields.updated(rows, new.weight_update)
        expected += float((rows.goal * moved).sum()) / len(rows)
    assert predicted_drop(stage, new) == pytest.approx(expected, rel=1e-6, abs=1e-10)


@STAGES
def test_signs_are_those_that_brute_force_prefers(name):
    stage = problems.ALL[name]
    new = problems.random_neurons(stage, k=5, updated=False)
    found = search_of(stage)
    oriented = found.oriented(found.part(new)).neurons
    for k in range(len(new)):
        scores = {}
        for sign in (1, -1):
            one = replace(new, fan_in=sign * new.fan_in[[k]], fan_out=sign * new.fan_out[[k]])
            added = fields.change(problems.branched(stage, one), stage.x)
            scores[sign] = float((stage.rows.goal * added).sum())
        largest = float(new.fan_out[k].flatten()[new.fan_out[k].abs().argmax()])
        tied = abs(scores[1] - scores[-1]) <= 1e-9 * max(map(abs, scores.values()))
        sign = (1 if largest > 0 else -1) if tied else max(scores, key=scores.__getitem__)
        torch.testing.assert_close(oriented.fan_in[k], sign * new.fan_in[k])
        torch.testing.assert_close(oriented.fan_out[k], sign * new.fan_out[k])


@STAGES
@UPDATES
def test_widened_networks_are_explicit_branches(name, updated):
    """Batch norm the identity, depthwise kernels 1 at the centre, columns at their taps."""
    stage = problems.ALL[name]
    new = problems.random_neurons(stage, updated=updated)
    expected = outputs(problems.branched(stage, new), stage.x)
    torch.testing.assert_close(outputs(widened(stage, new), stage.x), expected)


@drawn(60)
def test_random_networks_widen_as_explicit_branches_and_as_searched(stage):
    """Wherever kernels, strides, paddings and windows fall."""
    new, found = problems.random_neurons(stage), search_of(stage)
    network = problems.branched(stage, new)
    torch.testing.assert_close(outputs(widened(stage, new), stage.x), outputs(network, stage.x))
    searched = found.loss_with(found.change(found.part(new)))
    assert searched == pytest.approx(loss_of(network, stage), rel=1e-9)


@drawn(40)
def test_laws_of_tiny_hold_on_random_networks(stage):
    """Laws 3, 6 and 8, for whatever N has to offer."""
    rows, new = stage.rows, proposal(stage, TINY, k=4)
    size = oracles.norm2(rows.goal) ** 0.5
    if not len(new) or float(new.gains[0]) < 1e-6 * size:
        possible = fields.gains(rows, fields.residual_goal(rows))
        assert bool((possible <= 1e-5 * size).all())
        return
    new = proposal(stage, TINY, k=max(1, int((new.gains > 1e-4 * size).sum())))
    alpha, omega = unscaled(new)
    v_p = fields.residual_goal(rows)
    S, N = fields.covariance(rows), fields.cross_covariance(rows, v_p)
    added = fields.contribution(rows, new.fan_in, new.fan_out) / new.rescaled
    total = len(rows) * float(new.gains.square().sum())
    assert float((v_p * added).sum()) == pytest.approx(total, rel=1e-5)
    diagonal, tolerance = torch.diag(new.gains), 1e-5 * float(new.gains.max())
    torch.testing.assert_close(alpha @ S @ alpha.T, diagonal, rtol=1e-5, atol=tolerance)
    torch.testing.assert_close(omega @ omega.T, diagonal, rtol=1e-5, atol=tolerance)
    left, right = N @ (N.T @ alpha.T), (S @ alpha.T) * new.gains.square()
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5 * float(left.abs().max()))


def calibrated(stage):
    """The stage with batch norms whose running moments are those of the batch itself."""
    stage = stage.own()
    field = stage.x
    with torch.no_grad():
        for module in stage.model.eval():
            if isinstance(module, problems.NORMS):
                axes = (0, *range(2, field.dim()))
                module.running_mean.copy_(field.mean(axes))
                module.running_var.copy_(field.var(axes, unbiased=False))
            field = module(field.clone())
    return stage


@pytest.mark.parametrize("name", problems.NORMED)
def test_new_channels_pass_batch_norm_unchanged_in_training_mode_too(name):
    """Their running moments are those of the statistics batch, variance biased."""
    stage = calibrated(problems.ALL[name])
    new = problems.random_neurons(stage)
    model = widened(stage, new)
    expected = outputs(problems.branched(stage, new), stage.x)
    torch.testing.assert_close(outputs(model, stage.x, training=True), expected)


@STAGES
@pytest.mark.parametrize("method", ["tiny", "no projection", "random"])
def test_grown_networks_gain_what_the_event_says(name, method):
    """The step measured in the search is the step applied; γ makes it as large as a."""
    stage = problems.ALL[name].own()
    before, rows = loss_of(stage.model, stage), stage.rows
    shared = replace(SEARCHED[method], update_amplitude="shared")
    new = proposal(stage, shared, k=2)
    own = stage.own()
    for chosen, used in ((SEARCHED[method], own), (shared, stage)):
        (event,) = grow(
            used.model, used.batches(9), used.loss, chosen, neurons=2, sites=[site_of(used)],
            where="each",
        )  # fmt: skip
        gained = before - loss_of(used.model, used)
        assert event.status in ("added", "rejected")
        assert event.measured == pytest.approx(gained, rel=1e-6, abs=1e-12)
        assert event.status == "added" or gained >= 0
    if method == "random":
        return
    step = fields.contribution(rows, new.fan_in, new.fan_out)
    if new.weight_update is not None:
        step = step + fields.updated(rows, new.weight_update)
    gamma = float(rows.pre_activity.norm() / step.norm())
    assert event.scale == pytest.approx(gamma, rel=1e-5)
    assert event.added == len(new) > 0


def test_tiny_finds_an_amplitude_on_every_stage():
    """δW* and new neurons of which the loss falls to first order are never all rejected."""
    for stage in problems.ALL.values():
        own = stage.own()
        site = [site_of(own)]
        (event,) = grow(own.model, own.batches(), own.loss, TINY, neurons=2, sites=site)
        assert event.status == "added"
        assert event.measured > 0


def cross_of(stage):
    """Ñ without the row of the constant."""
    return fields.cross_covariance(stage.rows, stage.rows.goal)[features(stage)]


@pytest.mark.parametrize("name", [n for n in problems.ALL if n not in problems.NORMED])
def test_gradmax_takes_the_leading_singular_vectors_of_the_cross_covariance(name):
    """Law 10: c orthonormal blocks ω over (tap, output), c half the mean norm of old blocks."""
    stage = problems.ALL[name]
    new, cross = proposal(stage, GRADMAX), cross_of(stage)
    assert len(new) > 0
    values = torch.linalg.svdvals(cross)
    torch.testing.assert_close(new.gains, values[: len(new)], rtol=1e-7, atol=0)
    assert torch.equal(new.fan_in, torch.zeros_like(new.fan_in))
    c = 0.5 * columns(stage).flatten(1).norm(dim=1).mean()
    omega = new.fan_out.flatten(1)
    torch.testing.assert_close(omega @ omega.T, c**2 * torch.eye(len(new), dtype=c.dtype))
    torch.testing.assert_close((cross @ omega.T).norm(dim=0), c * new.gains, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", [n for n in problems.ALL if n not in problems.NORMED])
def test_no_orthonormal_fan_out_has_larger_gradients_than_gradmaxs(name):
    stage = problems.ALL[name]
    new, cross = proposal(stage, GRADMAX, k=2), cross_of(stage)
    best = float((cross @ new.fan_out.flatten(1).T).square().sum())
    c, generator = float(new.fan_out[0].norm()), torch.Generator().manual_seed(0)
    for _ in range(100):
        omega = torch.randn(cross.shape[1], len(new), generator=generator, dtype=torch.float64)
        other = c * torch.linalg.qr(omega).Q
        assert float((cross @ other).square().sum()) <= best * (1 + 1e-9)


def new_gradients(stage, model, k, loss):
    """Gradients of the new rows, (k, features), and of the new columns."""
    loss.backward()
    grown, following = (model.get_submodule(name) for name in stage.site)
    return grown.weight.grad[-k:].flatten(1), following.weight.grad.flatten(1)[
        :, -k * stage.rows.taps :
    ]


@pytest.mark.parametrize("name", [n for n in problems.SMOOTH if n not in problems.NORMED])
def test_gradients_of_gradmax_are_the_predicted_ones_by_autograd(name):
    """Law 10: ‖∂Σℓ/∂α_k‖ = σ′(0) c s_k(Ñ) n, and ω gets none."""
    stage = problems.ALL[name]
    new = proposal(stage, GRADMAX)
    model = widened(stage, new).eval()
    loss = len(stage.x) * stage.loss(model(stage.x), stage.y)
    rows, of_columns = new_gradients(stage, model, len(new), loss)
    c = new.fan_out.flatten(1).norm(dim=1)
    expected = stage.slope * c * new.gains * len(stage.x)
    torch.testing.assert_close(rows.norm(dim=1), expected, rtol=1e-6, atol=0)
    assert float(of_columns.abs().max()) < 1e-12


def normed_paths():
    """A path behind a convolution on 4 × 4 maps, with what comes after it."""
    norm, following = nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, padding=1)
    yield "conv", [norm, nn.Tanh(), following]
    yield "flatten", [norm, nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)]
    yield "pads counted before", [nn.AvgPool2d(3, 1, 1), norm, nn.Tanh(), following]
    yield "depthwise before", [problems.depthwise(3, 3, padding=2), norm, nn.SiLU(), following]


@pytest.mark.parametrize("name", dict(normed_paths()))
def test_gradients_behind_batch_norm_are_those_of_training_mode(name):
    """Law 10: training mode removes the mean over samples and positions, so does Ñ."""
    layers = [nn.Conv2d(2, 3, 2, padding=1), *dict(normed_paths())[name]]
    stage = problems.built(3, (2, 4, 4), layers, samples=40)
    stage = replace(stage, x=stage.x + 1)
    stage = calibrated(stage)
    new = proposal(stage, GRADMAX)
    assert len(new) == 3
    model = widened(stage, new).train()
    loss = len(stage.x) * stage.loss(model(stage.x), stage.y)
    rows, _ = new_gradients(stage, model, len(new), loss)
    c = new.fan_out.flatten(1).norm(dim=1)
    expected = stage.slope * c * new.gains * len(stage.x)
    torch.testing.assert_close(rows.norm(dim=1), expected, rtol=1e-6, atol=0)


def affine_rows(layer):
    """Present rows, bias last, (h, p)."""
    weight = layer.weight.detach().flatten(1)
    return weight if layer.bias is None else torch.cat([weight, layer.bias.detach()[:, None]], 1)


@STAGES
def test_north_pre_activities_are_orthogonal_at_all_positions(name):
    """Law 11: over the batch and the grown layer's own positions, and not 0."""
    stage = problems.ALL[name]
    new, patches = proposal(stage, NORTH), stage.rows.patches
    present = oracles.flat(patches) @ affine_rows(stage.layers[0]).T
    added = oracles.flat(patches) @ new.fan_in.T
    taken = oracles.rank(patches @ affine_rows(stage.layers[0]).T)
    assert len(new) == min(3, oracles.rank(patches) - taken)
    assert float(added.norm(dim=0).min()) > 1e-3
    cosines = (present / present.norm(dim=0)).T @ (added / added.norm(dim=0))
    assert float(cosines.abs().max()) < 1e-6
    assert torch.equal(new.fan_out, torch.zeros_like(new.fan_out))
    norm = stage.layers[0].weight.detach().flatten(1).norm(dim=1).mean()
    norms = new.fan_in[:, features(stage)].norm(dim=1)
    torch.testing.assert_close(norms, norm.expand(len(new)))


@STAGES
@pytest.mark.parametrize("method", PRESERVING)
def test_silent_growth_and_copies_keep_the_function(name, method):
    """Law 12: in eval mode and, dropout off, in training mode, batch norm included."""
    stage = problems.ALL[name]
    grown = stage.own()
    (event,) = grow(
        grown.model, grown.batches(9), grown.loss, PRESERVING[method], neurons=2,
        sites=[site_of(grown)], where="each",
    )  # fmt: skip
    assert (event.status, event.added) == ("added", 2)
    assert len(grown.layers[0].weight) == len(stage.layers[0].weight) + 2
    for training in (False, True):
        expected = outputs(stage.model, stage.x, training)
        torch.testing.assert_close(outputs(grown.model, stage.x, training), expected)


FEW = ["no bias, relu", "batch norm, tanh", "depthwise", "flatten, pooled"]
"""Stages with every kind of step in the path."""


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize(
    "spec",
    ["variance_transfer", "net2net[shares=equal]", "net2net[shares=lemon]", "north_weight",
     "north_select[candidates=50]"],
)  # fmt: skip
def test_pairs_shares_and_silent_neurons_keep_the_function(name, spec):
    """Law 12 for an odd number of neurons, more than a layer has where they are copies."""
    stage, new = problems.ALL[name], proposal(problems.ALL[name], plugins.method(spec), k=5)
    grown = widened(stage, new)
    for training in (False, True):
        expected = outputs(stage.model, stage.x, training)
        torch.testing.assert_close(outputs(grown, stage.x, training), expected)


@pytest.mark.parametrize("name", ["conv", "no bias, relu"])
def test_select_keeps_the_candidates_that_raise_the_effective_rank_of_all_positions_most(name):
    stage = problems.ALL[name]
    drawn = proposal(stage, SILENT, k=20).fan_in
    patches, activation = oracles.flat(stage.rows.patches), stage.path[0]
    present = activation(patches @ affine_rows(stage.layers[0]).T)

    def score(alpha):
        both = torch.cat((present, activation(patches @ alpha)[:, None]), 1)
        sigma = torch.linalg.svdvals(both / len(both) ** 0.5)
        return int((sigma > 0.3).sum()), float(sigma.sum())

    expected = torch.stack(sorted(drawn, key=score, reverse=True)[:3])
    select = plugins.method("north_select[candidates=200,effective=0.3]")  # a tenth for maps
    torch.testing.assert_close(proposal(stage, select).fan_in, expected)


@pytest.mark.parametrize("name", ["strides, dilation", "max pool, padded", "flatten"])
@TINIES
def test_with_fisher_neurons_are_those_of_goals_in_its_metric(name, method):
    """Gains of N E^{-1/2}, tap by tap, and S Σ α ωᵀ = N E⁻¹ before t*; E shrunk by a tenth."""
    stage, goal = problems.ALL[name], goal_of(problems.ALL[name], method)
    v, d = stage.rows.goal, stage.rows.goal.shape[-1]
    E = torch.einsum("nqd,nqe->de", v, v) / len(v)
    E = 0.9 * E + 0.1 * E.trace() / d * torch.eye(d, dtype=E.dtype)
    values, vectors = torch.linalg.eigh(E)
    root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    new = proposal(stage, replace(method, fisher=True), k=1000)
    expected = fields.gains(stage.rows, goal @ root)
    torch.testing.assert_close(new.gains, expected[: len(new)], rtol=1e-6, atol=1e-9)
    alpha, omega = unscaled(new)
    S, N = fields.covariance(stage.rows), fields.cross_covariance(stage.rows, goal)
    wanted = (N.unflatten(1, (-1, d)) @ torch.linalg.inv(E)).flatten(1)
    scale = float(wanted.abs().max())
    torch.testing.assert_close(S @ alpha.T @ omega, wanted, rtol=1e-5, atol=1e-6 * scale)


@STAGES
def test_copies_share_unequally_and_are_no_identical_twins(name):
    """net2net: fan-in of a present channel, and its columns, taps and all, divided."""
    stage = problems.ALL[name]
    new, old = proposal(stage, NET2NET, k=2), columns(stage)
    left = old.clone()
    update = new.weight_update[:, : old[..., 0].numel()]
    left += update.unflatten(1, (-1, stage.rows.taps)).permute(1, 2, 0)
    rows = affine_rows(stage.layers[0])
    for alpha, omega, j in zip(new.fan_in, new.fan_out, new.copied.tolist(), strict=True):
        torch.testing.assert_close(alpha, rows[j])
        share = (omega * old[j]).sum() / old[j].square().sum()
        torch.testing.assert_close(omega, share * old[j])
        kept = (left[j] * old[j]).sum() / old[j].square().sum()
        assert 0 < float(share) < 1
        assert abs(float(share - kept)) > 1e-6
    total = left.index_add(0, new.copied, new.fan_out)
    torch.testing.assert_close(total, old)


FIRST = [n for n, stage in problems.ALL.items() if stage.site[0] == "0"]


@pytest.mark.parametrize("power", [-6, 6])
@pytest.mark.parametrize("which", ["all", "one"])
@pytest.mark.parametrize("name", FIRST)
def test_units_of_the_inputs_change_nothing(name, which, power):
    """Law 16: neither how many are kept nor what they read, α_kᵀ ū."""
    stage, other = problems.ALL[name], problems.ALL[name].own()
    channels = stage.x.shape[-1] if stage.x.dim() == 3 else stage.x.shape[1]
    units = torch.ones(channels, dtype=torch.float64)
    units[: channels if which == "all" else 1] = 10.0**power
    with torch.no_grad():
        layer = other.layers[0]
        layer.weight.div_(units if stage.x.dim() == 3 else units[:, None, None])
    x = stage.x * (units if stage.x.dim() == 3 else units[:, None, None])
    other = replace(other, x=x)
    expected, new = proposal(stage, TINY), proposal(other, TINY)
    assert len(new) == len(expected) > 0
    torch.testing.assert_close(new.gains, expected.gains, rtol=1e-5, atol=0)
    assert new.rescaled == pytest.approx(expected.rescaled, rel=1e-5)
    before = stage.rows.inputs @ expected.fan_in.T
    after = other.rows.inputs @ new.fan_in.T
    size = float(before.abs().max())
    torch.testing.assert_close(after.abs(), before.abs(), rtol=1e-4, atol=1e-5 * size)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@STAGES
@TINIES
def test_units_of_the_loss_change_only_scales(name, method, factor):
    """Law 16."""
    stage = problems.ALL[name]
    other = replace(stage, loss=lambda out, y: factor * stage.loss(out, y))
    expected, new = proposal(stage, method), proposal(other, method)
    assert len(new) == len(expected) > 0
    torch.testing.assert_close(new.gains / factor, expected.gains, rtol=1e-6, atol=0)
    assert new.rescaled == pytest.approx(expected.rescaled, rel=1e-6)
    for name in ("fan_in", "fan_out"):
        scaled = getattr(new, name) / factor**0.5
        size = float(scaled.abs().max())
        torch.testing.assert_close(
            scaled.abs(), getattr(expected, name).abs(), rtol=1e-5, atol=1e-6 * size
        )
    if expected.weight_update is not None:
        torch.testing.assert_close(new.weight_update / factor, expected.weight_update)


@pytest.mark.parametrize("method", [TINY, UNPROJECTED, GRADMAX, NORTH], ids=str)
def test_adjacent_sites_get_the_same_proposals_together_as_alone(method):
    """Law 17, a convolution that is next layer of one site and grown layer of the other."""
    stage = problems.deep()
    sites = find_sites(stage.model, stage.x[:2])
    assert [(s.grown, s.next) for s in sites] == [("0", "2"), ("2", "6")]
    needs = {site.name: method.needs(site) for site in sites}
    together = measure(stage.model, sites, stage.batches(), stage.loss, needs)
    for site in sites:
        alone = proposal(replace(stage, site=(site.grown, site.next)), method)
        both = method.propose(together[site.name], 3, torch.Generator().manual_seed(0))
        assert len(both) == len(alone) > 0
        for name in ("fan_in", "fan_out", "gains"):
            torch.testing.assert_close(getattr(both, name), getattr(alone, name))


@pytest.mark.parametrize("method", [TINY, RANDOM, GRADMAX, NET2NET], ids=str)
def test_adjacent_sites_grow_from_one_pass(method):
    """New channels of the first are inputs of the second, with fan-in 0 on them."""
    stage = problems.deep().own()
    before = outputs(stage.model, stage.x)
    start = loss_of(stage.model, stage)
    events = grow(stage.model, stage.batches(9), stage.loss, method, neurons=2, where="all")
    after = loss_of(stage.model, stage)
    assert start - after == pytest.approx(sum(e.measured for e in events), rel=1e-6, abs=1e-12)
    first, second = (stage.model.get_submodule(name) for name in ("0", "2"))
    assert first.weight.shape[0] == second.weight.shape[1] == 2 + events[0].added
    assert second.weight.shape[0] == 3 + events[1].added
    if method in (GRADMAX, NET2NET):
        torch.testing.assert_close(outputs(stage.model, stage.x), before)


def test_statistics_of_everything_serve_every_method():
    """A method reads only what it declared: the rest changes no proposal."""
    stage = problems.ALL["conv"]
    everything = statistics(stage, needs=EVERYTHING)
    new = TINY.propose(everything, 3, torch.Generator().manual_seed(0))
    declared = proposal(stage, TINY)
    torch.testing.assert_close(new.fan_in, declared.fan_in)
    torch.testing.assert_close(new.fan_out, declared.fan_out)
