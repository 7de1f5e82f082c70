"""The oracles satisfy each other's laws: the witness is examined before it testifies."""

import oracles
import pytest
import torch
from growth import problems
from oracles import moment

EASY = [name for name in problems.ALL if name != "awkward"]


def svd_neurons(rows):
    """α and ω of Prop. 3.2 with the textbook S^{-1/2}, for well-scaled inputs of full rank."""
    S, N = (
        moment(rows.inputs, rows.inputs),
        moment(rows.inputs, oracles.residual_goal(rows)),
    )
    values, vectors = torch.linalg.eigh(S)
    inverse_root = (vectors / values.sqrt()) @ vectors.T
    U, gains, W = torch.linalg.svd(inverse_root @ N, full_matrices=False)
    keep = gains > 1e-10 * oracles.norm2(rows.goal) ** 0.5
    roots = gains[keep].sqrt()[:, None]
    return roots * (inverse_root @ U[:, keep]).T, roots * W[keep], gains[keep]


@pytest.mark.parametrize("name", EASY)
def test_sample_space_gains_are_the_singular_values_of_the_textbook_matrix(name):
    rows = problems.ALL[name].rows()
    _, _, gains = svd_neurons(rows)
    torch.testing.assert_close(oracles.gains(rows)[: len(gains)], gains)


@pytest.mark.parametrize("name", EASY)
def test_bottleneck_falls_by_the_squared_gains_and_the_inner_product_is_their_sum(name):
    rows = problems.ALL[name].rows()
    fan_in, fan_out, gains = svd_neurons(rows)
    v_p = oracles.residual_goal(rows)
    for k in range(1, len(gains) + 1):
        added = oracles.contribution(rows, fan_in[:k], fan_out[:k])
        total = float(gains[:k].square().sum())
        assert oracles.bottleneck(rows) - oracles.norm2(v_p - added) == pytest.approx(total)
        assert float((v_p * added).sum()) == pytest.approx(len(rows) * total)


@pytest.mark.parametrize("name", problems.ALL)
def test_residual_goal_is_the_goal_less_the_best_update(name):
    rows = problems.ALL[name].rows()
    update = oracles.weight_update(rows)
    residual = rows.goal - oracles.update_contribution(rows, update)
    torch.testing.assert_close(residual, oracles.residual_goal(rows))
    gained = oracles.norm2(rows.goal) - oracles.bottleneck(rows)
    M = moment(rows.hidden, rows.goal)
    assert gained == pytest.approx(float((update.T * M).sum()), rel=1e-6)


@pytest.mark.parametrize("name", problems.SMOOTH)
def test_explicit_networks_lose_what_the_goal_predicts(name):
    stage = problems.ALL[name]
    rows, slope = stage.rows(), stage.slope
    generator = torch.Generator().manual_seed(0)
    fan_in = torch.randn(2, rows.inputs.shape[-1], generator=generator, dtype=torch.float64)
    fan_in = fan_in / rows.inputs.flatten(0, 1).square().mean(0).sqrt().clamp(min=1e-9)
    fan_in = fan_in.nan_to_num() * (rows.inputs.flatten(0, 1).abs().amax(0) > 0)
    fan_out = torch.randn(2, rows.goal.shape[-1], generator=generator, dtype=torch.float64)
    update = oracles.weight_update(rows)

    def loss(epsilon):
        step = oracles.stepped(
            stage.model, stage.site, (fan_in, fan_out), stage.activation, epsilon, update
        )
        return oracles.loss_value(step, stage.x, stage.y, stage.loss)

    predicted = slope * oracles.predicted_drop(rows, fan_in, fan_out, None)
    predicted += oracles.predicted_drop(rows, fan_in[:0], fan_out[:0], update)
    epsilon = 1e-8
    assert (loss(0.0) - loss(epsilon)) / epsilon == pytest.approx(predicted, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("name", problems.SMOOTH)
def test_gradient_of_a_zero_fan_in_is_the_cross_covariance(name):
    stage = problems.ALL[name]
    rows = stage.rows()
    fan_out = torch.eye(rows.goal.shape[-1], dtype=torch.float64)
    gradient = oracles.gradmax_gradients(
        stage.model, stage.site, stage.x, stage.y, stage.loss, fan_out
    )
    expected = -len(rows) * moment(rows.inputs, rows.goal)
    torch.testing.assert_close(gradient.T, expected, atol=1e-8, rtol=1e-6)


def test_simulated_nulls_have_the_law_of_the_formula():
    rows = problems.problem(3, samples=60).rows()
    generator = torch.Generator().manual_seed(1)
    direct = torch.tensor([oracles.null_gain(rows, generator, True) for _ in range(400)])
    Q, H = oracles.basis(rows.inputs), oracles.basis(rows.hidden)
    C, V = Q.T @ H, oracles.residual_goal(rows).flatten(0, 1)
    left = oracles._root(torch.eye(len(C), dtype=torch.float64) - C @ C.T)
    right = oracles._root(V.T @ V / len(V))
    draws = [
        torch.linalg.svdvals(
            left @ torch.randn(len(C), len(V.T), generator=generator, dtype=torch.float64) @ right
        )[0]
        for _ in range(400)
    ]
    formula = torch.stack(draws) / (len(rows) - H.shape[1]) ** 0.5
    assert float(direct.mean()) == pytest.approx(float(formula.mean()), rel=0.05)
    assert float(direct.quantile(0.95)) == pytest.approx(float(formula.quantile(0.95)), rel=0.1)


def test_null_gains_have_the_sizes_of_random_matrix_theory():
    """E Σλ² = s² p d/n and E max λ ≈ s(√p+√d)/√n for goals that are pure noise (law 15)."""
    n, p, d, scale = 2000, 50, 20, 3.0
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 1, p, generator=generator, dtype=torch.float64)
    goal = scale * torch.randn(n, 1, d, generator=generator, dtype=torch.float64)
    rows = oracles.Rows(inputs, inputs[..., :0], goal, goal)
    gains = oracles.gains(rows, goal)
    assert float(gains.square().sum()) == pytest.approx(scale**2 * p * d / n, rel=0.1)
    assert float(gains[0]) == pytest.approx(scale * 0.245, rel=0.05)


def test_north_directions_are_new_and_inside_the_inputs():
    stage = problems.problem(sizes=(9, 4, 3))
    rows, layer = stage.rows(), stage.model[0]
    weights = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()
    generator = torch.Generator().manual_seed(0)
    new = oracles.north_directions(rows, weights, generator, 3)
    present = rows.inputs.flatten(0, 1) @ weights.T
    Q = oracles.basis(rows.inputs)
    assert float((present.T @ new).abs().max()) < 1e-10
    torch.testing.assert_close(Q @ (Q.T @ new), new)
    assert float(new.norm(dim=0).min()) > 0.1
