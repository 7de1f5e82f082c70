"""SENN's natural expansion score and cascade correlation against their definitions."""

import copy
from dataclasses import replace
from functools import cache

import oracles
import pytest
import torch
from growth import field_problems, problems
from growth.growing import features, grown, outputs, proposal, rows_of, widened
from torch import nn

from nas_bench.growth import SiteError
from nas_bench.methods.cascade_correlation import CascadeCorrelation
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.senn import Senn

SENN, CASCADE = Senn(candidates=10, steps=5), CascadeCorrelation(candidates=4, steps=10)
BOTH = pytest.mark.parametrize("method", [SENN, CASCADE], ids=["senn", "cascade"])
SCORED = ["tanh", "no bias", "tokens", "cross-entropy, relu"]


@cache
def rows_at(name):
    return problems.ALL[name].rows()


def activity(name, alpha):
    """h of fan-ins (c, p), shape (rows, c)."""
    return problems.ALL[name].activation(oracles.flat(rows_at(name).inputs) @ alpha.T)


def expansion(name, alpha, beside=()):
    """η = tr(Cᵀ A⁻¹ C G⁻¹) of one neuron, residuals by least squares."""
    rows = rows_at(name)
    v, present = oracles.flat(rows.goal), oracles.flat(rows.hidden)
    if len(beside):
        present = torch.cat((present, activity(name, torch.stack(list(beside)))), 1)
    h, d, n = activity(name, alpha[None]), v.shape[1], len(v)
    r = h - present @ torch.linalg.lstsq(present, h, driver="gelsd").solution
    G = v.T @ v / n
    G = G + 0.1 * G.trace() / d * torch.eye(d)
    A = r.T @ r / n + 0.1 * h.square().mean()
    C = r.T @ v / n
    return float((C.T @ torch.linalg.inv(A) @ C @ torch.linalg.inv(G)).trace())


def correlation(name, alpha, beside=()):
    """Σ_o |cov(h, v_o)| with what other neurons fit of v taken out, one by one."""
    v = oracles.centred(oracles.flat(rows_at(name).goal))
    for other in beside:
        h = oracles.centred(activity(name, other[None]))
        v = v - h @ torch.linalg.lstsq(h, v).solution
    h = oracles.centred(activity(name, alpha[None]))
    return float((h * v).mean(0).abs().sum())


SCORES = [(SENN, expansion), (CASCADE, correlation)]


@pytest.mark.parametrize(("method", "score"), SCORES, ids=["senn", "cascade"])
@pytest.mark.parametrize("name", SCORED)
def test_gains_are_the_scores_one_neuron_beside_the_other(name, method, score):
    stage = problems.ALL[name]
    for k in (1, 2):  # of two the order is by gain, not that of the search
        new = proposal(stage, method, k=k)
        first, second = new.fan_in[0], new.fan_in[-1]
        orders = [(score(name, first), score(name, second, [first])),
                  (score(name, first, [second]), score(name, second))]  # fmt: skip
        if k == 1:
            assert float(new.gains) == pytest.approx(orders[0][0], rel=1e-6)
        else:
            assert any(new.gains.tolist() == pytest.approx(o, rel=1e-6) for o in orders)


@pytest.mark.parametrize(("method", "score"), SCORES, ids=["senn", "cascade"])
def test_without_steps_the_best_of_the_pool_is_taken(method, score):
    stage = problems.ALL["tanh"]
    drawn = proposal(stage, RandomGrowth(zero_fan_out=True), k=method.candidates).fan_in
    best = max(drawn, key=lambda alpha: score("tanh", alpha))
    found = proposal(stage, replace(method, steps=0), k=1)
    torch.testing.assert_close(found.fan_in[0], best)


@pytest.mark.parametrize(("method", "score"), SCORES, ids=["senn", "cascade"])
@pytest.mark.parametrize("name", ["tanh", "cross-entropy, relu"])
def test_ascent_finds_what_hundreds_of_random_rows_do_not(name, method, score):
    stage = problems.ALL[name]
    drawn = proposal(stage, RandomGrowth(zero_fan_out=True), k=500, seed=5).fan_in
    brute = max(score(name, alpha) for alpha in drawn)
    found = proposal(stage, replace(method, candidates=20, steps=100), k=1)
    assert float(found.gains) > brute


@BOTH
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", problems.ALL)
def test_the_function_is_kept_and_rows_have_the_mean_norm_of_present_ones(name, training, method):
    stage = problems.ALL[name]
    new = proposal(stage, method, k=3)
    assert len(new) == 3 or name == "awkward"  # whose units are saturated
    torch.testing.assert_close(
        outputs(widened(stage, new), stage.x, training), outputs(stage.model, stage.x, training)
    )
    norms = new.fan_in[:, features(stage, stage.rows())].norm(dim=1)
    torch.testing.assert_close(norms, rows_of(stage)[0].norm(dim=1).mean().expand(len(new)))


def test_scores_do_not_depend_on_units_order_or_for_senn_on_the_basis_of_the_outputs():
    stage = problems.ALL["tanh"]
    shuffled = replace(stage, x=stage.x.flip(0), y=stage.y.flip(0))
    louder = replace(stage, loss=lambda a, b: 7 * stage.loss(a, b))
    order, permuted = torch.tensor([3, 1, 0, 2]), copy.deepcopy(stage.model)
    with torch.no_grad():
        permuted[0].weight.copy_(stage.model[0].weight[order])
        permuted[0].bias.copy_(stage.model[0].bias[order])
        permuted[2].weight.copy_(stage.model[2].weight[:, order])
    for method, power in ((SENN, 0), (CASCADE, 1)):
        new = proposal(stage, method)
        for other, factor in ((shuffled, 1), (replace(stage, model=permuted), 1), (louder, 7)):
            found = proposal(other, method)
            torch.testing.assert_close(found.fan_in, new.fan_in, rtol=1e-5, atol=1e-8)
            torch.testing.assert_close(found.gains, factor**power * new.gains)


@BOTH
def test_dead_layers_and_dead_candidates_do_no_harm(method):
    stage = problems.problem(3, activation=nn.ReLU())
    with torch.no_grad():
        for parameter in stage.model[0].parameters():
            parameter.zero_()
    new = proposal(replace(stage, x=-stage.x.abs()), method)
    assert len(new) > 0
    assert bool(new.fan_in.isfinite().all() and new.gains.isfinite().all())
    stage.y.copy_(stage.model(stage.x).detach())
    assert len(proposal(stage, method)) == 0


@BOTH
def test_maps_are_refused_with_the_reason(method):
    site = field_problems.site_of(field_problems.ALL["conv"])
    with pytest.raises(SiteError, match=f"{method.name} grows layers that read and write rows"):
        method.needs(site)


def test_candidates_cost_their_products_and_gradients():
    """Forward through b₂, and the goals (and the present activities); then back."""
    n, p, h, d, c, steps, k = 60, 6, 4, 3, 4, 5, 2
    stage = problems.problem(samples=n)
    _, (event,) = grown(stage, CascadeCorrelation(candidates=c, steps=steps), neurons=k)
    each = (steps + 1) * 2 * n * c * (p + d) + n * (p + 2 * d)
    assert event.flops["decomposition"] == k * each
    _, (event,) = grown(stage, Senn(candidates=c, steps=steps), neurons=k)
    m = h + 1
    start = n * m**2 + (m**3 // 3) / 2 + 16 * m**2 + n * m**2 / 2  # the basis
    start += n * d**2 + 9 * d**3 / 2 + n * d**2 + 2 * n * m * d  # goals, whitened and left over
    search = sum((steps + 1) * 2 * n * c * (p + d + m + j) for j in range(k))
    beside = sum(n * p + 4 * n * (m + j) + 2 * n * d for j in range(k))
    assert event.flops["decomposition"] == start + search + beside


@pytest.mark.parametrize(
    ("method", "options"),
    [(CascadeCorrelation, {"candidates": 0}), (CascadeCorrelation, {"steps": -1}),
     (Senn, {"damping": 0.0}), (Senn, {"candidates": 10**7})],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(method, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*, expected"):
        method(**options)
