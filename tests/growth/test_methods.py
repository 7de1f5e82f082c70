"""Random growth and Net2Net against their definitions, and what all methods promise."""

import math
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import (
    NORTH,
    assert_same_function,
    features,
    grown,
    outputs,
    proposal,
    rows_of,
    widened,
)
from growth.problems import EVERYTHING, statistics
from torch import nn

from nas_bench.growth import Need, amplitude
from nas_bench.methods.cascade_correlation import CascadeCorrelation
from nas_bench.methods.firefly import Firefly
from nas_bench.methods.fixed import Fixed
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.nest import Nest
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.north_preactivation import NorthPreactivation
from nas_bench.methods.north_select import NorthSelect
from nas_bench.methods.north_weight import NorthWeight
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.senn import Senn
from nas_bench.methods.splitting import Splitting
from nas_bench.methods.tiny import Tiny
from nas_bench.methods.update_only import UpdateOnly
from nas_bench.methods.variance_transfer import VarianceTransfer

METHODS = [
    Tiny(significance=False), Tiny(projection=False, significance=False), GradMax(),
    NORTH, RandomGrowth(), RandomGrowth(update=True), RandomGrowth(zero_fan_out=True),
    Net2Net(), Net2Net(shares="lemon", noise=0.05), Tiny(significance=False, fisher=True),
    VarianceTransfer(), VarianceTransfer(rescaling="linear"), NorthSelect(candidates=20),
    NorthWeight(), Nest(), Splitting(), Firefly(candidates=5), Senn(candidates=5),
    CascadeCorrelation(candidates=2),
]  # fmt: skip


def test_random_growth_is_kaiming_normal_on_both_sides():
    stage = problems.problem(0, sizes=(40, 30, 20))
    new = proposal(stage, RandomGrowth(), k=200)
    assert len(new) == 200
    assert float(new.fan_in[:, :-1].var()) == pytest.approx(2 / 40, rel=0.05)
    assert float(new.fan_out.var()) == pytest.approx(2 / 230, rel=0.05)
    assert torch.equal(new.fan_in[:, -1], torch.zeros(200, dtype=torch.float64))
    assert torch.equal(new.gains, torch.zeros(200, dtype=torch.float64))
    assert new.weight_update is None


def test_random_growth_without_bias_uses_all_columns():
    stage = problems.problem(0, sizes=(40, 30, 20), bias=False)
    new = proposal(stage, RandomGrowth(), k=200)
    assert new.fan_in.shape == (200, 40)
    assert float(new.fan_in.var()) == pytest.approx(2 / 40, rel=0.05)


@pytest.mark.parametrize("name", problems.ALL)
def test_random_growth_with_update_has_tinys_update(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), proposal(stage, RandomGrowth(update=True, ridge=0))
    moved = oracles.update_contribution(rows, new.weight_update)
    torch.testing.assert_close(rows.goal - moved, oracles.residual_goal(rows), rtol=1e-6,
                               atol=1e-8)  # fmt: skip


@pytest.mark.parametrize("name", problems.ALL)
def test_silent_random_growth_has_mean_norms_and_keeps_the_function(name):
    stage = problems.ALL[name]
    rows, (weight, _) = stage.rows(), rows_of(stage)
    new = proposal(stage, RandomGrowth(zero_fan_out=True))
    norms = new.fan_in[:, features(stage, rows)].norm(dim=1)
    torch.testing.assert_close(norms, weight.norm(dim=1).mean().expand(3))
    torch.testing.assert_close(
        outputs(widened(stage, new), stage.x), outputs(stage.model, stage.x)
    )


@pytest.mark.parametrize("shares", ["unequal", "equal", "lemon"])
@pytest.mark.parametrize("k", [1, 3, 11])
@pytest.mark.parametrize("name", problems.ALL)
def test_net2net_keeps_the_function(name, k, shares):
    """Law 12, also for more copies than there are neurons."""
    stage = problems.ALL[name]
    new = proposal(stage, Net2Net(shares=shares), k=k)
    assert len(new) == k
    model = widened(stage, new)
    assert_same_function(model, stage.model, stage.x)


def test_net2net_keeps_learned_slopes():
    prelu = nn.PReLU(4, dtype=torch.float64)
    with torch.no_grad():
        prelu.weight.copy_(torch.linspace(-0.5, 0.7, 4))
    stage = problems.problem(0, activation=prelu)
    model = widened(stage, proposal(stage, Net2Net(), k=3))
    torch.testing.assert_close(outputs(model, stage.x), outputs(stage.model, stage.x))


def test_net2net_shares_unequally():
    stage = problems.problem(0)
    new = proposal(stage, Net2Net(), k=4)
    after = widened(stage, new)[2].weight.detach()
    for k, j in enumerate(new.copied.tolist()):
        original = stage.model[2].weight[:, j].detach()
        share = after[:, 4 + k] @ original / original.square().sum()
        torch.testing.assert_close(after[:, j] + after[:, 4 + k], original)
        assert 0 < float(share) < 1
        assert abs(float(share) - 0.5) > 1e-3


def families(stage, method, k):
    """For each neuron with copies its fan-out before, and afterwards with those of its copies."""
    new, width = proposal(stage, method, k=k), len(rows_of(stage)[0])
    before, after = stage.model[2].weight.detach(), widened(stage, new)[2].weight.detach()
    for j in range(width):
        copies = (new.copied == j).nonzero().flatten() + width
        yield before[:, j], torch.cat((after[:, j : j + 1], after[:, copies]), 1)


def test_equal_shares_are_one_of_as_many_as_there_are():
    for before, after in families(problems.problem(0), Net2Net(shares="equal"), 6):
        torch.testing.assert_close(after, before[:, None].expand_as(after) / after.shape[1])


def test_lemon_shares_differ_by_fresh_weights_that_cancel():
    """w/r + ξ_j − mean ξ; a neuron without copies keeps its fan-out."""
    stage, left = problems.problem(0, sizes=(5, 40, 30)), []
    for before, after in families(stage, Net2Net(shares="lemon"), 60):
        torch.testing.assert_close(after.sum(1), before)
        r = after.shape[1]
        left += [((after - before[:, None] / r).square().sum() * r / (r - 1) / r) if r > 1 else 0]
        assert r > 1 or torch.equal(after[:, 0], before)
    alone = [x for x in left if float(x)]
    assert sum(alone) / len(alone) / 30 == pytest.approx(2 / 100, rel=0.1)


def test_noise_moves_the_copies_fan_in_by_a_fraction_of_the_layers_spread():
    stage = problems.problem(0, sizes=(40, 30, 20))
    exact, noisy = (proposal(stage, Net2Net(noise=noise), k=200) for noise in (0.0, 0.05))
    added = noisy.fan_in - exact.fan_in
    assert not added[:, -1].any()
    spread = stage.model[0].weight.detach().std()
    assert float(added[:, :-1].std()) == pytest.approx(0.05 * float(spread), rel=0.05)
    assert torch.equal(noisy.fan_out, exact.fan_out)
    assert not Net2Net(noise=0.05).preserves_function


@pytest.mark.parametrize("options", [{"shares": "fair"}, {"noise": -1.0}, {"noise": math.inf}])
def test_net2net_refuses_options_without_a_meaning(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*, expected"):
        Net2Net(**options)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("name", ["tanh", "no bias", "tokens", "batch norm", "flatten"])
def test_methods_read_only_what_they_declare_and_are_pure(name, method):
    stage = problems.ALL[name]
    state = torch.get_rng_state()
    first, again = proposal(stage, method, seed=3), proposal(stage, method, seed=3)
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
    "method",
    [RandomGrowth(), NORTH, Net2Net(), Net2Net(shares="lemon"), VarianceTransfer(), Nest(),
     NorthSelect(candidates=20), NorthWeight(), Senn(candidates=5, steps=0),
     CascadeCorrelation(candidates=2, steps=0), Firefly(candidates=5, steps=0)],
    ids=repr,
)  # fmt: skip
def test_another_seed_gives_other_neurons(method):
    first, other = (proposal(problems.ALL["tanh"], method, seed=seed) for seed in (0, 1))
    pairs = ((first.fan_in, other.fan_in), (first.fan_out, other.fan_out))
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("shares", ["unequal", "equal", "lemon"])
def test_copies_cost_nothing_and_copies_of_a_dead_neuron_are_dead(shares):
    """Why they begin with a quarter of the target."""
    stage = problems.problem(0, activation=nn.ReLU(), sizes=(5, 1, 3))
    with torch.no_grad():
        stage.model[0].bias.fill_(-100.0)
    found, (event,) = grown(stage, Net2Net(shares=shares), neurons=3)
    assert not found.model[:2](stage.x).any()
    assert sum(event.flops.values()) == 0
    assert Net2Net().grows_from == ("quarter",)


@pytest.mark.parametrize(
    ("method", "goal"),
    [(Tiny(), True), (GradMax(), True), (RandomGrowth(update=True), True),
     (RandomGrowth(), False), (RandomGrowth(zero_fan_out=True), False), (NORTH, False),
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
def test_methods_declare_what_the_table_of_methods_says(method, searched, preserved, zero_fan_in):
    assert method.searches_amplitude == searched
    assert method.preserves_function == preserved
    assert method.zero_fan_in == zero_fan_in
    assert method.starts_from == "seed"
    assert method.grows


@pytest.mark.parametrize(
    ("method", "unread"),
    [
        (Tiny(projection=False, significance=False), Need.HIDDEN | Need.CROSS),
        (Tiny(projection=False), Need.HIDDEN | Need.CROSS),
        (RandomGrowth(update=True), Need.CROSS),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["tanh", "no bias", "tokens", "batch norm"])
def test_nothing_is_measured_across_the_site_for_those_who_do_not_read_it(name, method, unread):
    stage = problems.ALL[name]
    needs = method.needs(problems.site_of(stage))
    assert not needs & unread
    found = statistics(stage, needs=needs)
    with pytest.raises(ValueError, match=r"Need\.CROSS"):
        found.hidden_cross  # noqa: B018
    everything = statistics(stage, needs=needs | EVERYTHING)
    first, again = (
        method.propose(measured, 3, torch.Generator().manual_seed(0))
        for measured in (found, everything)
    )
    assert torch.equal(first.fan_in, again.fan_in)
    assert torch.equal(first.fan_out, again.fan_out)
    _, (event,) = grown(stage, method)
    assert event.proposed == 0 or event.amplitude is not None


def test_the_fixed_network_grows_nothing():
    assert Fixed().starts_from == "target"
    assert Fixed(size="seed").starts_from == "seed"
    assert not Fixed().grows
    assert not Fixed(size="seed").grows
    assert len(proposal(problems.problem(), Fixed())) == 0


def test_tiny_after_the_line_search_beats_its_parts():
    """With δW* the step gains more than with the neurons only, and those gain something."""
    stage = problems.problem(1, samples=300)
    stage = replace(stage, y=stage.y + 3 * stage.x[:, 1:4])
    site = problems.site_of(stage)
    searches = amplitude.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)
    whole, neurons, update = (
        amplitude.line_search(searches[site.name], proposal(stage, method)).measured
        for method in (Tiny(), Tiny(update=False), UpdateOnly())
    )
    assert whole > neurons > 0
    assert whole > update > 0


@pytest.mark.parametrize("name", problems.ALL)
def test_the_controls_separate_what_they_claim_to(name):
    """Beside random neurons or TINY's, δW* gains at least what it gains alone; all are one δW*."""
    stage = problems.ALL[name]
    sites = [problems.site_of(stage)]
    (_, (alone,)), *others = (
        grown(stage, method, fill=True, sites=sites)
        for method in (UpdateOnly(), RandomGrowth(update=True), Tiny(significance=False))
    )
    assert (alone.added, alone.filled) == (0, 2)
    for _, (event,) in others:
        assert event.update_norm == pytest.approx(alone.update_norm)
        assert event.update_amplitude == alone.update_amplitude
        assert event.measured >= alone.measured - 1e-12
    alone, together = (proposal(stage, m) for m in (UpdateOnly(), RandomGrowth(update=True)))
    assert len(alone) == 0
    torch.testing.assert_close(alone.weight_update, together.weight_update)


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (lambda: Tiny(ridge=-1), "ridge is -1, expected a number of at least 0"),
        (lambda: RandomGrowth(ridge=float("nan")), "ridge is nan"),
        (lambda: UpdateOnly(largest_amplitude=32), "largest_amplitude is 32, expected"),
        (lambda: Tiny(largest_amplitude=0), "largest_amplitude is 0, expected"),
        (lambda: Tiny(statistics_factor=0), "statistics_factor is 0, expected more than 0"),
        (lambda: GradMax(samples=0), "samples is 0, expected a number from 1"),
        (lambda: UpdateOnly(update_amplitude="shared"), "no neurons to share it"),
    ],
)
def test_options_that_make_no_sense_are_refused(method, sentence):
    with pytest.raises(ValueError, match=sentence):
        method()


def test_each_method_asks_for_its_own_number_of_samples():
    """D.1 for TINY, a minibatch for GradMax, twice the widest layer for NORTH, else 500."""
    stage = problems.problem(0, sizes=(40, 30, 20))
    site = problems.site_of(stage)
    whole = {"statistics_factor": 1.0}
    asked = {
        Tiny(): 500, Tiny(**whole): 41**2, UpdateOnly(**whole): 41**2, RandomGrowth(): 500,
        RandomGrowth(update=True, **whole): 41**2, GradMax(): 128,
        NorthPreactivation(): 2 * 35, Net2Net(): 500,
    }  # fmt: skip
    for method, samples in asked.items():
        assert method.statistics_samples(site, stage.model, 5) == samples
