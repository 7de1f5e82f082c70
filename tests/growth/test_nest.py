"""NeST's neurons against algorithm 2 of the paper."""

import math

import oracles
import pytest
import torch
from growth import problems
from growth.growing import features, proposal, rows_of

from nas_bench.methods.nest import Nest


@pytest.mark.parametrize("name", problems.ALL)
def test_neurons_are_signed_roots_of_the_largest_entries(name):
    """Entry by entry, with the signs that were drawn, and then rescaled."""
    stage = problems.ALL[name]
    rows, (weight, _) = stage.rows(), rows_of(stage)
    B = oracles.moment(rows.inputs, rows.goal)[features(stage, rows)]
    count = math.ceil(0.3 * B.numel())
    order = sorted(range(B.numel()), key=lambda i: -float(B.flatten()[i].abs()))[:count]
    new = proposal(stage, Nest(growth=0.3, strength=0.5), k=3)
    signs = torch.randint(2, (3, count), generator=torch.Generator().manual_seed(0)) * 2 - 1
    outgoing = stage.model.get_submodule(stage.site[1]).weight.detach()[:, : len(weight)]
    for k in range(3):
        alpha, omega = torch.zeros(len(B)).double(), torch.zeros(B.shape[1]).double()
        for sign, place in zip(signs[k], order, strict=True):
            i, j = divmod(place, B.shape[1])
            share = sign * B[i, j].abs().sqrt()
            alpha[i] += share * B[i, j].sign()
            omega[j] += share
        alpha = alpha / alpha.abs().mean() * 0.5 * weight.abs().mean()
        omega = omega / omega.abs().mean() * 0.5 * outgoing.abs().mean()
        torch.testing.assert_close(new.fan_in[k, : len(B)], alpha, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(new.fan_out[k, 0], omega, rtol=1e-6, atol=1e-9)


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
