"""Neurons that fit the goal update itself where the next layer has several taps."""

from dataclasses import replace
from itertools import pairwise

import fields
import oracles
import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import proposal, statistics
from torch.testing import assert_close

from nas_bench import plugins
from nas_bench.growth import SiteError, exact
from nas_bench.growth.exact import exact_neurons

TINY = plugins.method("tiny[significance=false,ridge=0]")
EXACT = replace(TINY, exact=True)
UNPROJECTED = replace(TINY, projection=False)
UNPROJECTED_EXACT = replace(EXACT, projection=False)
PAIRS = {"v_p": (TINY, EXACT), "v": (UNPROJECTED, UNPROJECTED_EXACT)}
SEVERAL = [name for name, stage in problems.ALL.items() if stage.rows.taps > 1]


def reduction(rows, goal, new):
    """E‖g‖² − E‖g − v_new‖², by the oracle."""
    added = fields.contribution(rows, new.fan_in, new.fan_out)
    return float(goal.square().sum() - (goal - added).square().sum()) / len(rows)


def goal_of(stage, projected):
    return fields.residual_goal(stage.rows) if projected else stage.rows.goal


@pytest.mark.slow
@pytest.mark.parametrize("goal", PAIRS)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", SEVERAL)
def test_exact_neurons_reduce_the_goal_at_least_as_much(name, k, goal):
    stage = problems.ALL[name]
    wanted = goal_of(stage, goal == "v_p")
    bound, direct = (reduction(stage.rows, wanted, proposal(stage, m, k)) for m in PAIRS[goal])
    assert direct >= bound * (1 - 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("ridge", [1e-3, 0.1])
@pytest.mark.parametrize("name", SEVERAL)
def test_with_a_ridge_they_do_so_with_what_it_costs(name, ridge):
    """Whose share at every tap is ρ s̄ ‖Z_o‖²/taps, without the constant's row; and balanced."""
    stage = problems.ALL[name]
    rows, constant = stage.rows, stage.layers[1].bias is not None
    v_p = oracles.residual_goal(fields._pair_rows(rows), ridge, constant=constant)
    inputs, biased = rows.inputs.flatten(1, 2), stage.layers[0].bias is not None
    silent = oracles.ridge_rows(inputs, ridge, constant=biased)
    S = fields.covariance(rows) + silent.T @ silent / len(rows)
    objectives = []
    for method in (TINY, EXACT):
        new = proposal(stage, replace(method, ridge=ridge))
        before = replace(new, fan_in=new.fan_in / new.rescaled)
        Z = torch.einsum("kp,kod->opd", before.fan_in, before.fan_out)
        cost = float((silent @ Z).square().sum()) / len(rows) / rows.taps
        objectives.append(reduction(rows, v_p, before) - cost)
    assert objectives[1] >= objectives[0] * (1 - 1e-9)
    assert_close(new.fan_out.flatten(1).square().sum(1), (new.fan_in @ S * new.fan_in).sum(1))


def test_exact_neurons_reduce_it_more_somewhere():
    ratios = []
    for name in SEVERAL:
        stage = problems.ALL[name]
        wanted = goal_of(stage, True)
        bound, direct = (reduction(stage.rows, wanted, proposal(stage, m)) for m in PAIRS["v_p"])
        ratios.append(direct / bound)
    assert max(ratios) > 1.2


@pytest.mark.parametrize("name", SEVERAL)
def test_they_need_no_rescaling_and_are_balanced(name):
    stage = problems.ALL[name]
    new = proposal(stage, EXACT)
    S = statistics(stage).covariance
    assert new.rescaled == pytest.approx(1.0, abs=1e-6)
    assert_close(new.fan_out.flatten(1).square().sum(1), (new.fan_in @ S * new.fan_in).sum(1))


@pytest.mark.parametrize("name", SEVERAL)
def test_gram_of_taps_is_that_of_explicit_patches(name):
    stage = problems.ALL[name]
    rows = stage.rows
    expected = torch.einsum("nqop,nqus->posu", rows.inputs, rows.inputs) / len(rows)
    assert_close(statistics(stage).tap_covariance, expected)


def test_every_step_lowers_the_objective():
    stage = problems.ALL[SEVERAL[0]]
    measured = statistics(stage)
    problem = exact._Bilinear.at(measured, True)
    start = proposal(stage, TINY)
    a = start.fan_in @ measured.covariance @ measured.whitening
    steps = [problem.reduction(a, start.fan_out)]
    for _ in range(5):
        fan_out = problem.best_fan_out(a)
        steps.append(problem.reduction(a, fan_out))
        a = problem.best_fan_in(a, fan_out)
        steps.append(problem.reduction(a, fan_out))
    assert steps[0] == pytest.approx(reduction(stage.rows, goal_of(stage, True), start))
    assert all(after >= before * (1 - 1e-12) for before, after in pairwise(steps))


def test_they_reach_what_gradient_descent_on_all_weights_reaches(monkeypatch):
    monkeypatch.setattr(exact, "ROUNDS", 200)
    monkeypatch.setattr(exact, "PRECISION", 1e-7)
    stage = problems.ALL[SEVERAL[0]]
    measured = statistics(stage)
    problem = exact._Bilinear.at(measured, True)
    start, new = proposal(stage, TINY, 1), proposal(stage, EXACT, 1)
    a = (start.fan_in @ measured.covariance @ measured.whitening).requires_grad_()
    omega = start.fan_out.clone().requires_grad_()
    descent = torch.optim.LBFGS([a, omega], max_iter=500, line_search_fn="strong_wolfe")

    def objective():
        descent.zero_grad()
        linear = torch.einsum("kr,rod,kod->", a, problem.cross, omega)
        H = torch.einsum("kr,rosu,js->koju", a, problem.gram, a)
        value = torch.einsum("koju,kod,jud->", H, omega, omega) - 2 * linear
        value.backward()
        return value

    descent.step(objective)
    best = -float(objective().detach())
    assert reduction(stage.rows, goal_of(stage, True), new) == pytest.approx(best, rel=1e-3)


def test_with_one_tap_they_are_the_paper_s():
    stage = next(stage for stage in problems.ALL.values() if stage.rows.taps == 1)
    paper, new = proposal(stage, TINY), proposal(stage, EXACT)
    assert_close(new.fan_in, paper.fan_in, rtol=0, atol=0)
    assert_close(new.fan_out, paper.fan_out, rtol=0, atol=0)


def test_too_many_taps_are_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(exact, "LARGEST", 10)
    stage = problems.ALL[SEVERAL[0]]
    with pytest.raises(
        SiteError, match=r"need the Gram of \d+ taps of \d+ inputs, .* without exact"
    ):
        proposal(stage, EXACT)


def test_nothing_proposed_stays_nothing():
    stage = problems.ALL[SEVERAL[0]]
    measured = statistics(stage)
    new = proposal(stage, replace(TINY), 3)
    fan_in, fan_out = exact_neurons(measured, new.fan_in[:0], new.fan_out[:0], projected=True)
    assert (len(fan_in), len(fan_out)) == (0, 0)
