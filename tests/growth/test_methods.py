"""GradMax, NORTH-Preactivation, random growth and Net2Net against their definitions."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import oracles
from growth import problems
from growth.problems import statistics
from growth.test_widen import outputs
from nas_bench.growth import amplitude
from nas_bench.growth.method import Need
from nas_bench.growth.widen import new_channel_moments, widen
from nas_bench.methods.fixed import Fixed
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.north_preactivation import NorthPreactivation
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny
from oracles import moment

NORMED = ["batch norm", "batch norm, tanh"]
PLAIN = [name for name in problems.ALL if name not in NORMED]
SMALL_NORTH = NorthPreactivation(candidates=50)


def neurons(stage, method, k=3, seed=0):
    site = problems.site_of(stage)
    found = statistics(stage, needs=method.needs(site))
    return method.propose(found, k, torch.Generator().manual_seed(seed))


def features(stage, rows):
    """The columns of b₂ that are not the constant."""
    grown = stage.model.get_submodule(stage.site[0])
    return slice(0, rows.inputs.shape[-1] - (grown.bias is not None))


def rows_of(stage):
    """The grown layer's weight and the same with its bias last."""
    layer = stage.model.get_submodule(stage.site[0])
    weight = layer.weight.detach()
    if layer.bias is None:
        return weight, weight
    return weight, torch.cat([weight, layer.bias.detach()[:, None]], dim=1)


def widened(stage, new):
    model, site = copy.deepcopy(stage.model), problems.site_of(stage)
    moments = None
    if site.batch_norms and new.copied is None:
        moments = new_channel_moments(model, site, new, stage.batches())
    widen(model, site, new, moments)
    return model


# GradMax


@pytest.mark.parametrize("name", PLAIN)
def test_gradmax_takes_the_leading_singular_vectors_of_the_cross_covariance(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage, GradMax())
    cross = moment(rows.inputs, rows.goal)[features(stage, rows)]
    values = torch.linalg.svdvals(cross)
    torch.testing.assert_close(new.gains, values[: len(new)], rtol=1e-7, atol=0)
    assert torch.equal(new.fan_in, torch.zeros_like(new.fan_in))
    following = stage.model.get_submodule(stage.site[1])
    c = 0.5 * following.weight.detach().norm(dim=0).mean()
    omega = new.fan_out[:, 0]
    torch.testing.assert_close(omega @ omega.T, c**2 * torch.eye(len(new), dtype=c.dtype))
    torch.testing.assert_close((cross @ omega.T).norm(dim=0), c * new.gains, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", [name for name in PLAIN if name in problems.SMOOTH])
def test_gradients_of_gradmax_are_the_predicted_ones_by_autograd(name):
    """‖∂Σℓ/∂α_k‖ = σ′(0) c s_k(Ñ) n on the widened network, and ω gets none (law 10)."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage, GradMax())
    model = widened(stage, new).eval()
    loss = sum(stage.loss(model(stage.x[i : i + 1]), stage.y[i : i + 1]) for i in range(len(rows)))
    loss.backward()
    grown, following = (model.get_submodule(layer) for layer in stage.site)
    k = len(new)
    gradient = grown.weight.grad[-k:]
    c = new.fan_out[:, 0].norm(dim=1)
    expected = stage.slope * c * new.gains * len(rows)
    torch.testing.assert_close(gradient.norm(dim=1), expected, rtol=1e-6, atol=0)
    assert float(following.weight.grad[:, -k:].abs().max()) < 1e-12
    explicit = oracles.gradmax_gradients(
        stage.model, stage.site, stage.x, stage.y, stage.loss, new.fan_out[:, 0]
    )
    torch.testing.assert_close(
        gradient, stage.slope * explicit[:, features(stage, rows)], rtol=1e-6, atol=1e-10
    )


@pytest.mark.parametrize("name", PLAIN)
def test_no_orthonormal_fan_out_has_larger_gradients_than_gradmaxs(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage, GradMax(), k=2)
    cross = moment(rows.inputs, rows.goal)[features(stage, rows)]
    best = float((cross @ new.fan_out[:, 0].T).square().sum())
    c = float(new.fan_out[0].norm())
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        omega = torch.randn(cross.shape[1], len(new), generator=generator, dtype=torch.float64)
        other = c * torch.linalg.qr(omega).Q
        assert float((cross @ other).square().sum()) <= best * (1 + 1e-9)


@pytest.mark.parametrize("name", NORMED)
def test_gradmax_behind_batch_norm_centres_the_inputs(name):
    """Training mode removes means: Ñ of u − E u."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage, GradMax())
    centred = oracles.centred(rows.inputs)[..., features(stage, rows)]
    values = torch.linalg.svdvals(moment(centred, rows.goal))
    torch.testing.assert_close(new.gains, values[: len(new)], rtol=1e-7, atol=0)


def test_gradients_behind_batch_norm_are_those_of_training_mode():
    """Direction and size of ∂Σℓ/∂α_k in training mode are c s_k n, up to the batch's moments."""
    stage = problems.problem(4, activation=nn.Identity(), head=problems.with_batch_norm)
    norm = stage.model[1]
    with torch.no_grad():
        z = stage.model[0](stage.x)
        norm.running_mean.copy_(z.mean(0))
        norm.running_var.copy_(z.var(0, unbiased=False))
    new = neurons(stage, GradMax())
    model = widened(stage, new).train()
    model[3].eval()
    (len(stage.x) * stage.loss(model(stage.x), stage.y)).backward()
    measured = model[0].weight.grad[-len(new) :].norm(dim=1)
    expected = new.fan_out[:, 0].norm(dim=1) * new.gains * len(stage.x)
    torch.testing.assert_close(measured, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_gradmax_keeps_the_function(name, training):
    stage = problems.ALL[name]
    model = widened(stage, neurons(stage, GradMax()))
    torch.testing.assert_close(
        outputs(model, stage.x, training), outputs(stage.model, stage.x, training)
    )


def test_gradmaxs_gains_are_not_invariant_under_linear_maps():
    """Unlike TINY's (law 9)."""
    stage = problems.problem(1)
    units = torch.linspace(0.1, 10, 5, dtype=torch.float64)
    model = copy.deepcopy(stage.model)
    with torch.no_grad():
        model[0].weight /= units
    other = replace(stage, model=model, x=stage.x * units)
    gains = neurons(other, GradMax()).gains
    assert not torch.allclose(gains, neurons(stage, GradMax()).gains, rtol=0.1)


def test_gradmax_offers_no_more_than_the_rank():
    softmax = problems.problem(1, loss="cross_entropy", sizes=(8, 4, 4), samples=100)
    assert len(neurons(softmax, GradMax(), k=10)) == 3
    narrow = problems.problem(1, sizes=(2, 4, 6), samples=100)
    assert len(neurons(narrow, GradMax(), k=10)) == 2


# NORTH


@pytest.mark.parametrize("name", problems.ALL)
def test_north_pre_activities_are_orthogonal_to_all_present_ones(name):
    """Law 11: over the batch and all positions, and not 0."""
    stage = problems.ALL[name]
    rows, (_, affine) = stage.rows(), rows_of(stage)
    new = neurons(stage, SMALL_NORTH, k=4)
    rank = oracles.rank(rows.inputs)
    taken = oracles.rank(rows.inputs @ affine.T)
    assert len(new) == min(4, rank - taken)
    present = oracles.flat(rows.inputs) @ affine.T
    added = oracles.flat(rows.inputs) @ new.fan_in.T
    cosines = (present / present.norm(dim=0)).T @ (added / added.norm(dim=0))
    assert cosines.numel() == 0 or float(cosines.abs().max()) < 1e-6
    assert torch.equal(new.fan_out, torch.zeros_like(new.fan_out))


@pytest.mark.parametrize("name", problems.ALL)
def test_north_rows_have_the_mean_norm_of_present_ones(name):
    stage = problems.ALL[name]
    rows, (weight, _) = stage.rows(), rows_of(stage)
    new = neurons(stage, SMALL_NORTH)
    norms = new.fan_in[:, features(stage, rows)].norm(dim=1)
    expected = weight.norm(dim=1).mean().expand(len(new))
    torch.testing.assert_close(norms, expected)


def test_north_directions_have_the_law_of_the_kernel_in_sample_space():
    """Covariances of the normalised new pre-activities agree with App. B.2's form."""
    stage = problems.problem(3, sizes=(7, 3, 3), samples=40)
    rows, (_, affine) = stage.rows(), rows_of(stage)
    method = NorthPreactivation(candidates=1)
    found = statistics(stage, needs=method.needs(problems.site_of(stage)))
    drawn = torch.cat(
        [
            method.propose(found, 1, torch.Generator().manual_seed(i)).fan_in
            for i in range(2000)
        ]
    )
    added = oracles.flat(rows.inputs) @ drawn.T
    generator = torch.Generator().manual_seed(0)
    direct = oracles.north_directions(rows, affine, generator, 2000)
    covariances = [(u / u.norm(dim=0)) @ (u / u.norm(dim=0)).T / 2000 for u in (added, direct)]
    error = (covariances[0] - covariances[1]).norm() / covariances[1].norm()
    assert float(error) < 0.12


def test_a_full_layer_leaves_north_nothing():
    stage = problems.problem(3, sizes=(4, 5, 3))
    assert len(neurons(stage, SMALL_NORTH)) == 0
    almost = problems.problem(3, sizes=(4, 4, 3))
    assert len(neurons(almost, SMALL_NORTH)) == 1


def test_north_keeps_the_candidates_that_raise_the_effective_rank_most():
    stage = problems.problem(3, sizes=(7, 3, 3), activation=nn.Tanh())
    with torch.no_grad():
        stage.model[0].weight *= 0.05
    rows = stage.rows()
    count = 40
    everything = neurons(stage, NorthPreactivation(candidates=count), k=5)
    _, drawn = candidates(stage, count)
    hidden = oracles.flat(rows.hidden)[:, :3]

    def score(alpha):
        new = torch.tanh(oracles.flat(rows.inputs) @ alpha)[:, None]
        sigma = torch.linalg.svdvals(torch.cat([hidden, new], 1) / len(hidden) ** 0.5)
        return int((sigma > 0.01).sum()), float(sigma.sum())

    scores = sorted((score(alpha) for alpha in drawn), reverse=True)
    chosen = [score(alpha) for alpha in everything.fan_in]
    assert [s[0] for s in chosen] == [s[0] for s in scores[: len(chosen)]]
    torch.testing.assert_close(
        torch.tensor([s[1] for s in chosen]), torch.tensor([s[1] for s in scores[: len(chosen)]])
    )


def candidates(stage, count):
    """All the candidates of a seed: what is kept when as many are asked for as are drawn."""
    rows = stage.rows()
    _, affine = rows_of(stage)
    T = statistics(stage).whitening
    Q = oracles.basis(rows.inputs @ affine.T)
    generator = torch.Generator().manual_seed(0)
    xi = torch.randn(count, T.shape[1], generator=generator, dtype=torch.float64)
    B = oracles.flat(rows.inputs)
    values = B @ (T @ xi.T)
    values = values - Q @ (Q.T @ values)
    alpha = torch.linalg.lstsq(B, values).solution.T
    weight = rows_of(stage)[0]
    scale = weight.norm(dim=1).mean() / alpha[:, : weight.shape[1]].norm(dim=1)
    return values, alpha * scale[:, None]


def test_north_is_no_stranger_to_dead_layers():
    stage = problems.problem(3)
    with torch.no_grad():
        for parameter in stage.model[0].parameters():
            parameter.zero_()
    new = neurons(stage, SMALL_NORTH)
    assert len(new) == 3
    assert bool(new.fan_in.isfinite().all())


# Random growth


def test_random_growth_is_kaiming_normal_on_both_sides():
    stage = problems.problem(0, sizes=(40, 30, 20))
    new = neurons(stage, RandomGrowth(), k=200)
    assert len(new) == 200
    assert float(new.fan_in[:, :-1].var()) == pytest.approx(2 / 40, rel=0.05)
    assert float(new.fan_out.var()) == pytest.approx(2 / 230, rel=0.05)
    assert torch.equal(new.fan_in[:, -1], torch.zeros(200, dtype=torch.float64))
    assert torch.equal(new.gains, torch.zeros(200, dtype=torch.float64))
    assert new.weight_update is None


def test_random_growth_without_bias_uses_all_columns():
    stage = problems.problem(0, sizes=(40, 30, 20), bias=False)
    new = neurons(stage, RandomGrowth(), k=200)
    assert new.fan_in.shape == (200, 40)
    assert float(new.fan_in.var()) == pytest.approx(2 / 40, rel=0.05)


@pytest.mark.parametrize("name", problems.ALL)
def test_random_growth_with_update_has_tinys_update(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), neurons(stage, RandomGrowth(update=True))
    moved = oracles.update_contribution(rows, new.weight_update)
    torch.testing.assert_close(rows.goal - moved, oracles.residual_goal(rows), rtol=1e-6,
                               atol=1e-8)  # fmt: skip


@pytest.mark.parametrize("name", problems.ALL)
def test_silent_random_growth_has_mean_norms_and_keeps_the_function(name):
    stage = problems.ALL[name]
    rows, (weight, _) = stage.rows(), rows_of(stage)
    new = neurons(stage, RandomGrowth(zero_fan_out=True))
    norms = new.fan_in[:, features(stage, rows)].norm(dim=1)
    torch.testing.assert_close(norms, weight.norm(dim=1).mean().expand(3))
    torch.testing.assert_close(
        outputs(widened(stage, new), stage.x), outputs(stage.model, stage.x)
    )


# Net2Net


@pytest.mark.parametrize("k", [1, 3, 11])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", problems.ALL)
def test_net2net_keeps_the_function(name, training, k):
    """Law 12, also for more copies than there are neurons."""
    stage = problems.ALL[name]
    new = neurons(stage, Net2Net(), k=k)
    assert len(new) == k
    model = widened(stage, new)
    torch.testing.assert_close(
        outputs(model, stage.x, training), outputs(stage.model, stage.x, training)
    )


def test_net2net_keeps_learned_slopes():
    prelu = nn.PReLU(4, dtype=torch.float64)
    with torch.no_grad():
        prelu.weight.copy_(torch.linspace(-0.5, 0.7, 4))
    stage = problems.problem(0, activation=prelu)
    model = widened(stage, neurons(stage, Net2Net(), k=3))
    torch.testing.assert_close(outputs(model, stage.x), outputs(stage.model, stage.x))


def test_net2net_shares_unequally():
    stage = problems.problem(0)
    new = neurons(stage, Net2Net(), k=4)
    after = widened(stage, new)[2].weight.detach()
    for k, j in enumerate(new.copied.tolist()):
        original = stage.model[2].weight[:, j].detach()
        share = after[:, 4 + k] @ original / original.square().sum()
        torch.testing.assert_close(after[:, j] + after[:, 4 + k], original)
        assert 0 < float(share) < 1
        assert abs(float(share) - 0.5) > 1e-3


# All of them

METHODS = [
    Tiny(significance=False), Tiny(projection=False, significance=False), GradMax(),
    SMALL_NORTH, RandomGrowth(), RandomGrowth(update=True), RandomGrowth(zero_fan_out=True),
    Net2Net(),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("name", ["tanh", "no bias", "tokens", "batch norm", "flatten"])
def test_methods_read_only_what_they_declare_and_are_pure(name, method):
    stage = problems.ALL[name]
    state = torch.get_rng_state()
    first, again = neurons(stage, method, seed=3), neurons(stage, method, seed=3)
    p, d = stage.rows().inputs.shape[-1], stage.rows().goal.shape[-1]
    k = len(first)
    assert 0 < k <= 3
    assert first.fan_in.shape == (k, p)
    assert first.fan_out.shape == (k, 1, d)
    assert first.gains.shape == (k,)
    assert bool((first.gains >= 0).all() and (first.gains.diff() <= 0).all())
    assert torch.equal(first.fan_in, again.fan_in)
    assert torch.equal(first.fan_out, again.fan_out)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("method", "goal"),
    [(Tiny(), True), (GradMax(), True), (RandomGrowth(update=True), True),
     (RandomGrowth(), False), (RandomGrowth(zero_fan_out=True), False), (SMALL_NORTH, False),
     (Net2Net(), False), (Fixed(), False)],
    ids=repr,
)  # fmt: skip
def test_only_methods_that_use_gradients_need_goals(method, goal):
    site = problems.site_of(problems.problem())
    assert (Need.GOAL in method.needs(site)) == goal


@pytest.mark.parametrize(
    ("method", "searched", "preserved", "zero_fan_in"),
    [
        (Tiny(), True, False, False),
        (Tiny(update=False), True, False, False),
        (GradMax(), False, True, True),
        (NorthPreactivation(), False, True, False),
        (RandomGrowth(), True, False, False),
        (RandomGrowth(zero_fan_out=True), False, True, False),
        (Net2Net(), False, True, False),
    ],
    ids=repr,
)
def test_methods_declare_what_the_table_of_methods_says(
    method, searched, preserved, zero_fan_in
):
    assert method.searches_amplitude == searched
    assert method.preserves_function == preserved
    assert method.zero_fan_in == zero_fan_in
    assert method.starts_from == "seed"
    assert method.grows


def test_the_fixed_network_grows_nothing():
    assert Fixed().starts_from == "target"
    assert Fixed(size="seed").starts_from == "seed"
    assert not Fixed().grows
    assert not Fixed(size="seed").grows
    assert len(neurons(problems.problem(), Fixed())) == 0


def test_tiny_after_the_line_search_beats_its_parts():
    """With δW* the step gains more than with the neurons only, and those gain something."""
    stage = problems.problem(1, samples=300)
    stage = replace(stage, y=stage.y + 3 * stage.x[:, 1:4])
    site = problems.site_of(stage)
    found = statistics(stage)
    searches = amplitude.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)
    gains = {}
    for update in (True, False):
        new = neurons(stage, Tiny(update=update))
        gamma = amplitude.scale(found, new)
        step = amplitude.line_search(searches[site.name], new, gamma, allow_zero=True)
        gains[update] = step.measured
    assert gains[True] > gains[False] > 0
