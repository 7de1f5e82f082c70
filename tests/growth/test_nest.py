"""NeST's neurons against algorithm 2 of the paper."""

import math
from dataclasses import replace

import fields
import oracles
import pytest
import torch
from growth import field_problems, problems
from growth.growing import features, grown, proposal, rows_of, widened
from torch import nn

from nas_bench.methods.nest import Nest


def signed_roots(B, present, outgoing, k):
    """Entry by entry, with the signs that were drawn, and then rescaled; β = 0.3, strength 0.5.

    Args:
        B: without the constant, (inputs, taps · outputs).
        present: weights of the grown layer.
        outgoing: weights that read its neurons.
        k: neurons.
    """
    count = math.ceil(0.3 * B.numel())
    order = sorted(range(B.numel()), key=lambda i: -float(B.flatten()[i].abs()))[:count]
    signs = torch.randint(2, (k, count), generator=torch.Generator().manual_seed(0)) * 2 - 1
    for drawn in signs:
        alpha, omega = torch.zeros(len(B)).double(), torch.zeros(B.shape[1]).double()
        for sign, place in zip(drawn, order, strict=True):
            i, j = divmod(place, B.shape[1])
            share = sign * B[i, j].abs().sqrt()
            alpha[i] += share * B[i, j].sign()
            omega[j] += share
        alpha = alpha / alpha.abs().mean() * 0.5 * present.abs().mean()
        yield alpha, omega / omega.abs().mean() * 0.5 * outgoing.abs().mean()


def assert_neurons(new, expected):
    for k, (alpha, omega) in enumerate(expected):
        torch.testing.assert_close(new.fan_in[k, : len(alpha)], alpha, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(new.fan_out[k].flatten(), omega, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", problems.ALL)
def test_neurons_are_signed_roots_of_the_largest_entries(name):
    stage = problems.ALL[name]
    rows, (weight, _) = stage.rows(), rows_of(stage)
    B = oracles.moment(rows.inputs, rows.goal)[features(stage, rows)]
    outgoing = stage.model.get_submodule(stage.site[1]).weight.detach()[:, : len(weight)]
    new = proposal(stage, Nest(growth=0.3, strength=0.5), k=3)
    assert_neurons(new, signed_roots(B, weight, outgoing, 3))


@pytest.mark.parametrize("name", ["no bias, relu", "average pool"])
def test_neurons_between_maps_have_the_entries_of_all_taps(name):
    """Where none of the largest are equal: taps that read one pixel may share theirs."""
    stage = field_problems.ALL[name]
    first, second = stage.layers
    B = fields.cross_covariance(stage.rows, stage.rows.goal)[: first.weight[0].numel()]
    new = field_problems.proposal(stage, Nest(growth=0.3, strength=0.5))
    assert_neurons(new, signed_roots(B, first.weight.detach(), second.weight.detach(), 3))


def test_neurons_do_not_depend_on_units_batches_or_order():
    """B is a mean, and both sides are rescaled."""
    stage = problems.ALL["tanh"]
    new = proposal(stage, Nest())
    for other in (
        replace(stage, x=stage.x.flip(0), y=stage.y.flip(0)),
        replace(stage, loss=lambda a, b: 7 * stage.loss(a, b)),
    ):
        found = proposal(other, Nest())
        torch.testing.assert_close(found.fan_in, new.fan_in)
        torch.testing.assert_close(found.fan_out, new.fan_out)


def test_dead_layers_get_neurons_that_are_not():
    stage = problems.problem(3, activation=nn.ReLU(), loss="cross_entropy")
    with torch.no_grad():
        stage.model[0].bias.fill_(-100.0)
    model = widened(stage, proposal(stage, Nest()))
    active = (model[:2](stage.x)[:, 4:] > 0).double().mean(0)
    assert float(active.min()) > 0.1


def test_neurons_cost_their_goals_and_no_product():
    """A pass, Ñ and M without their constants, and E vvᵀ."""
    n, p, h, d = 60, 5, 4, 3
    _, (event,) = grown(problems.problem(samples=n), Nest())
    assert event.flops["statistics"] == n * h * (p + d) + n * d * (p + h + d)
    assert event.flops["decomposition"] == 0


def test_on_average_over_signs_neurons_are_the_entries_themselves():
    """E α ωᵀ = B on the entries taken, up to the rescaling of both sides."""
    stage = problems.problem(2, sizes=(4, 3, 2))
    rows = stage.rows()
    B = oracles.moment(rows.inputs, rows.goal)[:-1]
    new = proposal(stage, Nest(growth=1.0), k=4000)
    mean = torch.einsum("ki,kj->ij", new.fan_in[:, :-1], new.fan_out[:, 0])
    cosine = float((mean * B).sum() / mean.norm() / B.norm())
    assert cosine > 0.95


def test_without_a_goal_nothing_is_proposed():
    stage = problems.problem(0)
    stage.y.copy_(stage.model(stage.x).detach())
    assert len(proposal(stage, Nest(), k=3)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"growth": 0}, "growth is 0"), ({"growth": 1.5}, "growth is 1.5"),
     ({"strength": 0}, "strength is 0")],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Nest(**options)
