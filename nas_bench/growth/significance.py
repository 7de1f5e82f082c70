"""Which gains could be chance: the largest gain under H₀, the goal independent of the inputs.

After appendix D.3 of *Growing Tiny Networks* (arXiv 2405.19816), with the null distribution of the
projected goal and without a second pass over the data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nas_bench.growth.linalg import whitening
from nas_bench.growth.statistics import SiteSamples, SiteStatistics

DRAWS = 20
PAIRINGS = 19


@dataclass(frozen=True)
class Significance:
    """How many of the leading gains are more than chance.

    Attributes:
        threshold: largest gain of the null draws.
        significant: how many of the (tested) gains are above it.
    """

    threshold: float
    significant: int


def significance(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool
) -> Significance:
    """Compare gains with the largest gain of null draws.

    With one row per sample the null distribution is Gaussian with the goal's own covariance;
    with several (tokens) rows are correlated, and inputs are paired with the goals of other
    samples instead.

    Args:
        statistics: of the site; with several rows per sample they include samples.
        gains: λ, falling.
        generator: of the null draws.
        projected: whether the gains are those of v_p (else of v itself).
    """
    if statistics.positions > 1:
        threshold = _paired_threshold(statistics, generator, projected)
    elif projected:
        threshold = _projected_threshold(statistics, generator)
    else:
        gains, threshold = _centred(statistics, generator)
    return Significance(threshold, int((gains > threshold).sum()))


def _projected_threshold(statistics: SiteStatistics, generator: Generator) -> float:
    """Largest of σ_max((I − C Cᵀ)^{1/2} G (E v_p v_pᵀ)^{1/2}) / √(n − rank S₁), G Gaussian."""
    T, T1 = statistics.whitening, statistics.hidden_whitening
    free = statistics.count - T1.shape[1]
    if free <= 0:
        return math.inf
    explained = torch.linalg.svdvals(T.T @ statistics.hidden_cross @ T1).square()
    unexplained = torch.ones(T.shape[1], dtype=T.dtype, device=T.device)
    unexplained[: len(explained)] -= explained
    noise = torch.linalg.eigvalsh(statistics.residual_goal_covariance)
    return _largest_gain(unexplained, noise, generator) / math.sqrt(free)


def _centred(statistics: SiteStatistics, generator: Generator) -> tuple[Tensor, float]:
    """Gains and threshold with inputs and goals centred (uncentred, means alone look real)."""
    features = slice(None, -1) if statistics.grown_bias else slice(None)
    mean = statistics.input_mean[features]
    covariance = statistics.covariance[features, features]
    varies = covariance.diagonal() - mean.square() > statistics.cut * covariance.diagonal()
    centred = (covariance - mean[:, None] * mean)[varies][:, varies]
    goal_mean = statistics.goal_sum
    cross = statistics.cross_covariance[features] - mean[:, None] * goal_mean
    T = whitening(centred, statistics.cut)
    gains = torch.linalg.svdvals(T.T @ cross[varies])
    noise = statistics.goal_covariance - goal_mean[:, None] * goal_mean
    rows = torch.ones(T.shape[1], dtype=T.dtype, device=T.device)
    largest = _largest_gain(rows, torch.linalg.eigvalsh(noise), generator)
    return gains, largest / math.sqrt(statistics.count)


def _largest_gain(rows: Tensor, columns: Tensor, generator: Generator) -> float:
    """Largest σ_max of DRAWS Gaussian matrices with these variances of rows and columns.

    A Gaussian matrix is invariant to rotations, so the eigenvalues of both covariances suffice.
    """
    shape = (DRAWS, len(rows), len(columns))
    G = torch.randn(shape, generator=generator, dtype=torch.float64).to(rows.device)
    scaled = rows.clamp_min(0).sqrt()[:, None] * G * columns.clamp_min(0).sqrt()
    return float(torch.linalg.matrix_norm(scaled, 2).max()) if scaled.numel() else 0.0


def _paired_threshold(statistics: SiteStatistics, generator: Generator, projected: bool) -> float:
    """Largest gain when the sampled inputs are paired with the goals of other samples."""
    samples = statistics.samples
    if samples is None or samples.goals is None:
        raise ValueError(
            f"the significance of gains at {statistics.site} needs samples and goals, since it "
            "has several rows per sample; declare Need.SAMPLES and Need.GOAL"
        )
    size = len(samples.keys)
    if size < 2:
        return math.inf
    goals = samples.goals
    if projected:
        goals = goals - samples.hidden @ statistics.weight_update.T
    shifts = torch.randperm(size - 1, generator=generator)[:PAIRINGS] + 1
    order = torch.randperm(size, generator=generator).to(goals.device)
    null = [
        _null_gain(statistics, samples, goals[order].roll(int(s), 0)[order.argsort()], projected)
        for s in shifts
    ]
    return max(null) * math.sqrt(size / statistics.count)


def _null_gain(
    statistics: SiteStatistics, samples: SiteSamples, goals: Tensor, projected: bool
) -> float:
    b2, b1, v = (x.flatten(0, 1) for x in (samples.inputs, samples.hidden, goals))
    if projected:
        T1 = whitening(b1.T @ b1, statistics.cut)
        v = v - b1 @ (T1 @ (T1.T @ (b1.T @ v)))
    else:
        v = v - v.mean(0)
    cross = b2.T @ v / len(samples.keys)
    return float(torch.linalg.matrix_norm(statistics.whitening.T @ cross, 2))
