"""Thresholds of significance: false positives are rare, real signals are found (D.3)."""

from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import whole_threshold
from growth.problems import statistics
from repetitions import at_most, simulations
from torch import nn

from nas_bench.growth import significance, sums
from nas_bench.growth.significance import null_gains
from nas_bench.methods.tiny import Tiny

SIMULATIONS, WIDE_SIMULATIONS = simulations(120), simulations(100)
CHANCE = 1 / 20
"""Of a gain of noise to be the largest among those of 19 draws."""


def noise(seed, *, tokens=None, projected=True, samples=120):
    """A network whose goal is independent of its inputs: H₀ is true."""
    stage = problems.problem(seed, samples=samples, tokens=tokens, sizes=(8, 5, 4))
    generator = torch.Generator().manual_seed(10_000 + seed)
    y = torch.randn(stage.y.shape, generator=generator, dtype=torch.float64)
    if tokens:
        y = y + 2 * torch.randn(samples, 1, 4, generator=generator, dtype=torch.float64)
    y = y * torch.tensor([1.0, 0.1, 3.0, 1.0], dtype=torch.float64) + 1.5
    if not projected:
        nn.init.zeros_(stage.model[2].weight)
    return replace(stage, y=y)


def kept(stage, method, k=4, seed=0):
    needs = method.needs(problems.site_of(stage))
    generator = torch.Generator().manual_seed(seed)
    return method.propose(statistics(stage, needs=needs), k, generator)


def threshold(stage, method, seed=0):
    """The largest gain of all null draws, however many a decision needs."""
    measured = statistics(stage, needs=method.needs(problems.site_of(stage)))
    return whole_threshold(measured, method, seed)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [None, 4], ids=["rows", "tokens"])
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_noise_is_seldom_significant(tokens, projected):
    method = Tiny(projection=projected)
    false = sum(
        len(kept(noise(i, tokens=tokens, projected=projected), method, seed=i)) > 0
        for i in range(SIMULATIONS)
    )
    assert false <= at_most(CHANCE, SIMULATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [None, 3], ids=["rows", "tokens"])
def test_noise_is_seldom_significant_behind_wide_layers(tokens):
    """v_p has lost what a wide hidden layer explains: null goals must not lose it twice."""
    method, false = Tiny(), 0
    for seed in range(WIDE_SIMULATIONS):
        stage = problems.problem(seed, samples=100, tokens=tokens, sizes=(40, 30, 4))
        generator = torch.Generator().manual_seed(10_000 + seed)
        y = torch.randn(stage.y.shape, generator=generator, dtype=torch.float64)
        false += len(kept(replace(stage, y=y), method, seed=seed)) > 0
    assert false <= at_most(CHANCE, WIDE_SIMULATIONS)


def own_labels(seed, samples=150):
    """Labels drawn from a sure network's own softmax, of inputs some of which are rare.

    No goal has a mean given its inputs, and each has a variance of its own.
    """
    options = {"loss": "cross_entropy", "activation": nn.ReLU()}
    stage = problems.problem(seed, samples=samples, sizes=(12, 5, 4), **options)
    generator = torch.Generator().manual_seed(10_000 + seed)
    chances = torch.linspace(0.02, 1, 12, dtype=torch.float64)
    x = stage.x * (torch.rand(stage.x.shape, generator=generator) < chances)
    with torch.no_grad():
        stage.model[0].weight *= 2
        stage.model[2].weight *= 4
        probabilities = stage.model(x).softmax(-1)
    y = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    return replace(stage, x=x, y=y)


@pytest.mark.slow
@pytest.mark.parametrize("ridge", [1e-3, 0])
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_labels_from_the_network_s_own_softmax_are_seldom_significant(projected, ridge):
    method = Tiny(projection=projected, ridge=ridge)
    stages = (own_labels(seed) for seed in range(SIMULATIONS))
    false = sum(len(kept(stage, method, seed=i)) > 0 for i, stage in enumerate(stages))
    assert false <= at_most(CHANCE, SIMULATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [None, 4], ids=["rows", "tokens"])
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_a_few_samples_tell_the_threshold_of_all(tokens, projected, monkeypatch):
    """√(n′/n): 150 of 400 within a sixth on average, whatever the 19 draws."""
    method, ratios = Tiny(projection=projected), []
    for seed in range(8):
        stage = noise(seed, tokens=tokens, projected=projected, samples=400)
        everything = threshold(stage, method, seed)
        with monkeypatch.context() as patch:
            patch.setattr(sums, "SAMPLES", 150)
            ratios.append(threshold(stage, method, seed) / everything)
    assert 5 / 6 < sum(ratios) / len(ratios) < 6 / 5


@pytest.mark.parametrize("ridge", [0, 0.3])
def test_gains_are_held_to_those_of_goals_with_a_sign_for_each_sample(ridge):
    """Projected again, with the same ridge, and as long as before."""
    stage, generator = noise(2), torch.Generator().manual_seed(7)
    keys = torch.rand(120, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, order = stage.rows(), keys.argsort()
    rows = oracles.Rows(rows.inputs[order], rows.hidden[order], rows.goal, rows.goal[order])
    v_p, largest = oracles.residual_goal(rows, ridge), 0.0
    Q = oracles.ridged_basis(rows.inputs, oracles.ridge_rows(rows.inputs, ridge))
    for signs in torch.randint(2, (19, 120), generator=generator) * 2 - 1:
        goal = v_p * signs[:, None, None]
        again = oracles.residual_goal(replace(rows, goal=goal), ridge)
        gain = torch.linalg.matrix_norm(Q.T @ oracles.flat(again), 2) / 120**0.5
        largest = max(largest, float(gain * goal.norm() / again.norm()))
    assert threshold(stage, Tiny(ridge=ridge), seed=7) == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_fewer_draws_decide_as_all_of_them_do(projected):
    """Of noise, of signals that are weak or strong, and of exactly nothing."""
    method, made = Tiny(projection=projected), []
    for seed in range(30):
        stage = noise(seed, projected=projected)
        signal = 0.3 * (seed % 6) * torch.tanh(stage.x[:, :4])
        measured = statistics(
            replace(stage, y=stage.y + signal), needs=method.needs(problems.site_of(stage))
        ).ridged(method.ridge)
        gains = method.propose(measured, 4, torch.Generator()).gains
        tested, draws = null_gains(
            measured, gains, torch.Generator().manual_seed(seed), projected=projected
        )
        draws = list(draws)
        found = significance(
            measured, gains, torch.Generator().manual_seed(seed), projected=projected
        )
        assert found.significant == sum(float(gain) > max(draws) for gain in tested)
        assert found.threshold == max(draws[: found.draws], default=0.0)
        assert (found.draws == 19) or found.significant == 0
        made.append(found.draws)
    assert min(made) < 4 < max(made) == 19


@pytest.mark.slow
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_of_noise_with_one_variance_thresholds_are_those_of_gaussian_goals(projected):
    """Which the paper has: the largest gains of direct simulations."""
    stage = noise(3, projected=projected, samples=60)
    rows, generator = stage.rows(), torch.Generator().manual_seed(0)
    direct = torch.tensor(
        [max(oracles.null_gain(rows, generator, projected) for _ in range(19)) for _ in range(40)]
    )
    method = Tiny(projection=projected)
    measured = statistics(stage, needs=method.needs(problems.site_of(stage)))
    drawn = torch.tensor([whole_threshold(measured, method, seed) for seed in range(40)])
    assert float(drawn.mean()) == pytest.approx(float(direct.mean()), rel=0.1)
    assert float(drawn.std()) == pytest.approx(float(direct.std()), rel=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [None, 4], ids=["rows", "tokens"])
@pytest.mark.parametrize("projected", [True, False], ids=["projected", "unprojected"])
def test_a_real_signal_is_significant_and_only_its_directions_are(tokens, projected):
    kept_counts = []
    for seed in range(20):
        stage = noise(seed, tokens=tokens, projected=projected, samples=400)
        signal = torch.sin(2 * stage.x[..., :1]) * torch.tensor([3.0, 0, 0, 0])
        signal = signal + 2 * stage.x[..., 1:2] * torch.tensor([0, 0, 0, 3.0])
        new = kept(replace(stage, y=stage.y + 3 * signal), Tiny(projection=projected), seed=seed)
        kept_counts.append(len(new))
        assert bool((new.gains > 0).all())
    assert min(kept_counts) >= 1
    assert sum(count > 2 for count in kept_counts) <= 4


def test_the_centred_gains_are_what_the_unprojected_threshold_is_held_to():
    """A goal with a mean is no signal: uncentred, every network would grow."""
    stage = noise(5, projected=False)
    rows = stage.rows()
    assert float(oracles.centred_gains(rows)[0]) < 0.5 * float(oracles.gains(rows, rows.goal)[0])
    new = kept(stage, Tiny(projection=False))
    expected = int((oracles.centred_gains(rows) > new.threshold).sum())
    assert len(new) == expected == 0
    assert new.dropped == 4


def test_fewer_samples_than_hidden_neurons_leave_nothing_significant():
    stage = problems.problem(0, samples=6, sizes=(9, 8, 3))
    new = kept(stage, Tiny())
    assert len(new) == 0
    assert new.threshold == float("inf")


def test_what_is_not_significant_is_counted():
    stage = noise(1)
    everything = kept(stage, Tiny(significance=False))
    new = kept(stage, Tiny())
    assert len(new) + new.dropped == len(everything)
    assert everything.threshold is None
    assert new.threshold > float(everything.gains[0]) or len(new) > 0


def test_gains_of_pure_noise_have_the_sizes_of_random_matrix_theory():
    """E Σλ² = s² p d/n and E max λ ≈ s(√p+√d)/√n  (law 15)."""
    n, p, d, scale = 2000, 50, 20, 2.0
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(p, 3, bias=False), nn.Tanh(), nn.Linear(3, d, bias=False))
    model = model.double()
    nn.init.zeros_(model[2].weight)
    x = torch.randn(n, p, dtype=torch.float64)
    y = scale * torch.randn(n, d, dtype=torch.float64)

    def loss(out, target):
        return 0.5 * (out - target).square().sum(-1).mean()

    stage = problems.Problem(model, x, y, loss, ("0", "2"), model[1])
    new = kept(stage, Tiny(projection=False, significance=False), k=100)
    assert float(new.gains.square().sum()) == pytest.approx(scale**2 * p * d / n, rel=0.1)
    assert float(new.gains[0]) == pytest.approx(scale * 0.245, rel=0.05)
    tested = kept(stage, Tiny(projection=False), k=100)
    assert tested.threshold == pytest.approx(scale * 0.255, rel=0.06)
