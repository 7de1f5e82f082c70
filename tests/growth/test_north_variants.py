"""NORTH-Select and NORTH-Weight against their definitions."""

import copy
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import features, grown, outputs, proposal, rows_of, widened
from torch import nn

from nas_bench.methods.north_select import NorthSelect
from nas_bench.methods.north_weight import NorthWeight
from nas_bench.methods.random_growth import RandomGrowth

BOTH = pytest.mark.parametrize("method", [NorthSelect(candidates=40), NorthWeight()], ids=repr)


@BOTH
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", problems.ALL)
def test_the_function_is_kept_and_rows_have_the_mean_norm_of_present_ones(name, training, method):
    stage = problems.ALL[name]
    new = proposal(stage, method, k=3)
    torch.testing.assert_close(
        outputs(widened(stage, new), stage.x, training), outputs(stage.model, stage.x, training)
    )
    norms = new.fan_in[:, features(stage, stage.rows())].norm(dim=1)
    torch.testing.assert_close(norms, rows_of(stage)[0].norm(dim=1).mean().expand(3))


@pytest.mark.parametrize("effective", [0.01, 0.3])
def test_select_keeps_the_candidates_that_raise_the_effective_rank_most(effective):
    stage = problems.problem(3, sizes=(7, 3, 3), activation=nn.Tanh())
    rows = stage.rows()
    drawn = proposal(stage, RandomGrowth(zero_fan_out=True), k=40).fan_in
    hidden = oracles.flat(rows.hidden)[:, :3]

    def score(alpha):
        new = torch.tanh(oracles.flat(rows.inputs) @ alpha)[:, None]
        sigma = torch.linalg.svdvals(torch.cat([hidden, new], 1) / len(hidden) ** 0.5)
        return int((sigma > effective).sum()), float(sigma.sum())

    expected = sorted(drawn, key=score, reverse=True)[:5]
    found = proposal(stage, NorthSelect(candidates=40, effective=effective), k=5).fan_in
    torch.testing.assert_close(found, torch.stack(expected))


def test_select_draws_a_tenth_for_convolutions_and_at_least_what_is_asked():
    assert len(proposal(problems.ALL["tanh"], NorthSelect(candidates=2), k=5)) == 5


def test_weights_are_orthogonal_to_the_present_rows_while_these_leave_room():
    stage = problems.problem(1, sizes=(9, 4, 3))
    weight, new = rows_of(stage)[0], proposal(stage, NorthWeight(), k=5)
    assert float((new.fan_in[:, :-1] @ weight.T).abs().max()) < 1e-12
    silent = proposal(stage, RandomGrowth(zero_fan_out=True), k=5)
    assert torch.equal(new.fan_in[:, -1], silent.fan_in[:, -1])


@pytest.mark.parametrize("width", [5, 8])
def test_weights_are_just_random_where_the_present_rows_span_everything(width):
    stage = problems.problem(1, sizes=(5, width, 3))
    silent = proposal(stage, RandomGrowth(zero_fan_out=True), k=3)
    torch.testing.assert_close(proposal(stage, NorthWeight(), k=3).fan_in, silent.fan_in)


def test_equal_rows_take_one_direction_alone():
    stage = problems.problem(1, sizes=(5, 6, 3))
    with torch.no_grad():
        stage.model[0].weight.copy_(stage.model[0].weight[:1].expand(6, -1))
    new = proposal(stage, NorthWeight(), k=3)
    assert float((new.fan_in[:, :-1] @ stage.model[0].weight[0].detach()).abs().max()) < 1e-12
    assert float(new.fan_in[:, :-1].norm(dim=1).min()) > 0.1


@BOTH
def test_dead_layers_get_new_neurons(method):
    stage = problems.problem(3)
    with torch.no_grad():
        for parameter in stage.model[0].parameters():
            parameter.zero_()
    new = proposal(stage, method, k=3)
    assert len(new) == 3
    assert bool(new.fan_in.isfinite().all())
    assert float(new.fan_in.norm(dim=1).min()) > 0.1


def test_select_does_not_depend_on_the_order_of_samples_or_neurons():
    stage, order = problems.ALL["tanh"], torch.tensor([3, 1, 0, 2])
    permuted, method = copy.deepcopy(stage.model), NorthSelect(candidates=20)
    with torch.no_grad():
        for layer, dim in ((permuted[0], 0), (permuted[2], 1)):
            layer.weight.copy_(layer.weight.index_select(dim, order))
        permuted[0].bias.copy_(permuted[0].bias[order])
    new = proposal(stage, method)
    for other in (replace(stage, model=permuted), replace(stage, x=stage.x.flip(0))):
        torch.testing.assert_close(proposal(other, method).fan_in, new.fan_in)


def test_weights_do_not_depend_on_the_order_of_neurons():
    stage = problems.problem(1, sizes=(9, 4, 3))
    new = proposal(stage, NorthWeight())
    with torch.no_grad():
        stage.model[0].weight.copy_(stage.model[0].weight.flip(0).clone())
    torch.testing.assert_close(proposal(stage, NorthWeight()).fan_in, new.fan_in)


def test_select_costs_the_effective_ranks_of_its_candidates():
    """A pass; then what candidates do on the samples, with the present ones, and eigenvalues."""
    n, p, h, d, c = 60, 6, 4, 3, 10
    _, (event,) = grown(problems.problem(samples=n), NorthSelect(candidates=c))
    assert event.flops["statistics"] == n * h * (5 + d)
    eigenvalues = c * (4 * (h + 1) ** 3 // 3) / 2
    products = n * p * h + n * h * h + n * p * c + n * h * c
    assert event.flops["decomposition"] == products + eigenvalues


def test_weights_cost_a_decomposition_of_the_present_rows_and_a_projection():
    f, h, k = 9, 4, 3
    _, (event,) = grown(problems.problem(sizes=(f, h, 3)), NorthWeight(), neurons=k)
    assert event.flops["statistics"] == 0
    rows = (6 * f * h**2 + 20 * h**3) / 2
    assert event.flops["decomposition"] == rows + 2 * k * f * h


@pytest.mark.parametrize("options", [{"candidates": 0}, {"effective": -0.1}])
def test_options_without_a_meaning_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*, expected"):
        NorthSelect(**options)
