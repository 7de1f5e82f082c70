"""NORTH-Preactivation against its definition."""

import oracles
import pytest
import torch
from growth import problems
from growth.growing import NORTH, features, proposal, rows_of
from growth.problems import statistics
from torch import nn

from nas_bench.methods.north_preactivation import NorthPreactivation


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


@pytest.mark.parametrize("name", problems.ALL)
def test_north_pre_activities_are_orthogonal_to_all_present_ones(name):
    """Law 11: over the batch and all positions, and not 0."""
    stage = problems.ALL[name]
    rows, (_, affine) = stage.rows(), rows_of(stage)
    new = proposal(stage, NORTH, k=4)
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
    new = proposal(stage, NORTH)
    norms = new.fan_in[:, features(stage, rows)].norm(dim=1)
    expected = weight.norm(dim=1).mean().expand(len(new))
    torch.testing.assert_close(norms, expected)


@pytest.mark.slow
def test_north_directions_have_the_law_of_the_kernel_in_sample_space():
    """Covariances of the normalised new pre-activities agree with App. B.2's form."""
    stage = problems.problem(3, sizes=(7, 3, 3), samples=40)
    rows, (_, affine) = stage.rows(), rows_of(stage)
    method = NorthPreactivation(candidates=1)
    found = statistics(stage, needs=method.needs(problems.site_of(stage)))
    drawn = torch.cat(
        [method.propose(found, 1, torch.Generator().manual_seed(i)).fan_in for i in range(2000)]
    )
    added = oracles.flat(rows.inputs) @ drawn.T
    generator = torch.Generator().manual_seed(0)
    direct = oracles.north_directions(rows, affine, generator, 2000)
    covariances = [(u / u.norm(dim=0)) @ (u / u.norm(dim=0)).T / 2000 for u in (added, direct)]
    error = (covariances[0] - covariances[1]).norm() / covariances[1].norm()
    assert float(error) < 0.12


def test_a_full_layer_leaves_north_nothing():
    stage = problems.problem(3, sizes=(4, 5, 3))
    assert len(proposal(stage, NORTH)) == 0
    almost = problems.problem(3, sizes=(4, 4, 3))
    assert len(proposal(almost, NORTH)) == 1


def test_north_keeps_the_candidates_that_raise_the_effective_rank_most():
    stage = problems.problem(3, sizes=(7, 3, 3), activation=nn.Tanh())
    with torch.no_grad():
        stage.model[0].weight *= 0.05
    rows = stage.rows()
    count = 40
    everything = proposal(stage, NorthPreactivation(candidates=count), k=5)
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


def test_north_is_no_stranger_to_dead_layers():
    stage = problems.problem(3)
    with torch.no_grad():
        for parameter in stage.model[0].parameters():
            parameter.zero_()
    new = proposal(stage, NORTH)
    assert len(new) == 3
    assert bool(new.fan_in.isfinite().all())
