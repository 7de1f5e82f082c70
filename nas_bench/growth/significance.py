"""Which gains could be chance: the largest gain under H₀, the goal independent of the inputs.

After appendix D.3 of *Growing Tiny Networks* (arXiv 2405.19816), with the null distribution of the
projected goal and without a second pass over the data.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from nas_bench.growth.linalg import whitening
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.sums import SiteSamples

DRAWS = 20
PAIRINGS = 19
PAIRED_SAMPLES = 100
"""Of maps, where these see the next layer's inputs often enough."""


@dataclass(frozen=True)
class Significance:
    """How many of the leading gains are more than chance.

    Attributes:
        threshold: largest gain of the null draws.
        significant: how many of the (tested) gains are above it.
    """

    threshold: float
    significant: int


@dataclass(frozen=True)
class _Null:
    """What a null distribution needs to know of a site.

    Attributes:
        T: whitening of the inputs that are tested, shape (p, r).
        gains: of the goal that is tested, falling.
        mean: of b₂, shape (p,), if inputs and goals are to be centred.
    """

    T: Tensor
    gains: Tensor
    mean: Tensor | None = None


def significance(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool
) -> Significance:
    """Compare gains with the largest gain of null draws.

    With one row per sample the null distribution is Gaussian with the goal's own covariance;
    with several (tokens, maps) rows are correlated, and inputs are paired with the goals of other
    samples instead. Unprojected gains are tested with inputs and goals centred: uncentred, means
    alone look real.

    Args:
        statistics: of the site; with several rows per sample they include samples or maps.
        gains: λ, falling.
        generator: of the null draws.
        projected: whether the gains are those of v_p (else of v itself).
    """
    if statistics.maps is not None:
        return _on_maps(statistics, statistics.maps, gains, generator, projected=projected)
    null = _Null(statistics.whitening, gains) if projected else _centred(statistics)
    if statistics.positions > 1:
        threshold = _paired(statistics, null, generator)
    elif projected:
        threshold = _projected(statistics, generator)
    else:
        threshold = _unprojected(statistics, null, generator)
    return Significance(threshold, int((null.gains > threshold).sum()))


def _projected(statistics: SiteStatistics, generator: Generator) -> float:
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


def _unprojected(statistics: SiteStatistics, null: _Null, generator: Generator) -> float:
    """Largest of σ_max(G Cov(v)^{1/2}) / √n, G Gaussian."""
    goal = statistics.goal_sum
    noise = torch.linalg.eigvalsh(statistics.goal_covariance - goal[:, None] * goal)
    rows = null.T.new_ones(null.T.shape[1])
    return _largest_gain(rows, noise, generator) / math.sqrt(statistics.count)


def _centred(statistics: SiteStatistics) -> _Null:
    """Whitening and gains with the means of b₂ and v subtracted."""
    mean, rows = statistics.input_mean, statistics.positions
    covariance = statistics.covariance - rows * mean[:, None] * mean
    varies = covariance.diagonal() > statistics.cut * statistics.covariance.diagonal()
    T = torch.zeros_like(covariance)[:, : int(varies.sum())]
    root = whitening(covariance[varies][:, varies], statistics.cut)
    T = T[:, : root.shape[1]]
    T[varies] = root
    cross = statistics.cross_covariance - mean[:, None] * statistics.goal_sum
    return _Null(T, torch.linalg.svdvals(T.T @ cross), mean)


def _largest_gain(rows: Tensor, columns: Tensor, generator: Generator) -> float:
    """Largest σ_max of DRAWS Gaussian matrices with these variances of rows and columns.

    A Gaussian matrix is invariant to rotations, so the eigenvalues of both covariances suffice.
    """
    shape = (DRAWS, len(rows), len(columns))
    G = torch.randn(shape, generator=generator, dtype=torch.float64).to(rows.device)
    scaled = rows.clamp_min(0).sqrt()[:, None] * G * columns.clamp_min(0).sqrt()
    return float(torch.linalg.matrix_norm(scaled, 2).max()) if scaled.numel() else 0.0


def _paired(statistics: SiteStatistics, null: _Null, generator: Generator) -> float:
    """Largest gain when the sampled inputs are paired with the goals of other samples."""
    samples = statistics.samples
    if samples is None or samples.goals is None or samples.hidden is None:
        raise ValueError(
            f"the significance of gains at {statistics.site} needs samples and goals, since it "
            "has several rows per sample; declare Need.SAMPLES and Need.GOAL"
        )
    size = len(samples.keys)
    if size < 2 or (null.mean is None and _all_fitted(statistics, size * statistics.positions)):
        return math.inf
    projector, hidden = None, samples.hidden.flatten(0, 1)
    if null.mean is None:
        samples = replace(
            samples, goals=samples.goals - samples.hidden @ statistics.weight_update.T
        )
        projector = hidden @ whitening(hidden.T @ hidden, statistics.cut)
    shifts = torch.randperm(size - 1, generator=generator)[:PAIRINGS] + 1
    largest = max(_paired_gain(samples, null, projector, int(shift)) for shift in shifts)
    return largest * math.sqrt(size / statistics.count)


def _paired_gain(samples: SiteSamples, null: _Null, projector: Tensor | None, shift: int) -> float:
    """σ_max for the goals of other samples."""
    if samples.goals is None:
        raise ValueError("pairing needs goals")
    inputs, v = samples.inputs.flatten(0, 1), samples.goals.roll(shift, 0).flatten(0, 1)
    lost = 1.0
    if null.mean is not None:
        inputs, v = inputs - null.mean, v - v.mean(0)
    elif projector is not None:
        again = v - projector @ (projector.T @ v)
        lost = float(v.norm() / again.norm())  # v_p was projected once, the null goal twice
        v = again
    gain = lost * float(torch.linalg.matrix_norm(null.T.T @ (inputs.T @ v), 2))
    return math.inf if math.isnan(gain) else gain / len(samples.keys)


def _on_maps(
    statistics: SiteStatistics, maps: SiteMaps, gains: Tensor, generator: Generator, *,
    projected: bool,
) -> Significance:  # fmt: skip
    """Gains on maps against those of inputs paired with the goals of other samples.

    Unprojected goals are centred at each position, which centres every pairing: with the goal's
    mean gone, the mean of the inputs correlates with nothing.
    """
    if projected:
        goals = statistics.residual_goals
    else:
        goals = statistics.goals - statistics.goals.mean(0)
        cross = maps.cross(goals)
        gains = torch.linalg.svdvals(statistics.whitening.T @ cross)
    rows = max(1, statistics.goals[0, 0].numel())
    count = min(len(maps), max(PAIRED_SAMPLES, 4 * statistics.next_weight.shape[1] // rows))
    if count < 2 or (projected and _all_fitted(statistics, rows * len(maps))):
        return Significance(math.inf, 0)
    few = replace(maps, goals=goals).some(count)
    root = whitening(few.hidden_gram(), statistics.cut) if projected else None
    shifts = torch.randperm(count - 1, generator=generator)[:PAIRINGS] + 1
    largest = max(_map_gain(statistics, few, root, int(shift)) for shift in shifts)
    threshold = largest * math.sqrt(count / len(maps))
    return Significance(threshold, int((gains > threshold).sum()))


def _all_fitted(statistics: SiteStatistics, rows: int) -> bool:
    """Whether the existing weights can fit any goal, so that what is left of v is rounding."""
    return rows <= statistics.hidden_whitening.shape[1]


def _map_gain(
    statistics: SiteStatistics, maps: SiteMaps, root: Tensor | None, shift: int
) -> float:
    """σ_max for the goals of other samples, projected once more where a root of S₁⁺ is given."""
    if maps.goals is None:
        raise ValueError("pairing needs goals")
    v, lost = maps.goals.roll(shift, 0), 1.0
    if root is not None:
        M = maps.hidden_cross(v)
        again = v - maps.fitted(M.T @ root @ root.T)
        lost = float(v.norm() / again.norm())  # v_p was projected once, the null goal twice
        v = again
    cross = maps.cross(v)
    gain = lost * float(torch.linalg.matrix_norm(statistics.whitening.T @ cross, 2))
    return math.inf if math.isnan(gain) else gain
