"""Which gains could be chance: the largest gain under H₀, that the goal has no mean given b₂.

In place of the null draws of appendix D.3 of *Growing Tiny Networks* (arXiv 2405.19816), Gaussian
with one variance for all samples: a trained network's goals are small where it is sure and large
where it is not, and rare inputs, brought to unit variance, then look like signal.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import cast

import torch
from torch import Generator, Tensor

from nas_bench.growth.linalg import InverseRoot, inverse_root, ridged, spectral_norms
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.sums import SiteSamples

DRAWS = 19
"""The largest of so many draws is exceeded by chance once in 20 times. None is made that cannot
change how many gains are significant."""
GROUPS = (1, 2, 4, 12)
"""Draws that are made together: the first ones decide most tests, the others are cheaper so."""
DRAWN_ENTRIES = 2**26
"""Of the goals of draws that are made together, at most so many."""
MAP_SAMPLES = 500
"""Of maps, where these see the next layer's inputs often enough."""


@dataclass(frozen=True)
class Significance:
    """How many of the leading gains are more than chance.

    Attributes:
        threshold: largest gain of the null draws that were made: at least so much, where they
            ended early.
        significant: how many of the (tested) gains are above it.
        draws: how many were made: fewer than `DRAWS` where nothing was left to decide.
    """

    threshold: float
    significant: int
    draws: int


@dataclass(frozen=True)
class _Null:
    """What null draws are made of.

    Attributes:
        goals: v_p, or v without its mean, of a sample of the data, shape (n', …).
        axis: of the d outputs in it; other goals may have more, several draws side by side.
        cross: E[b₂ gᵀ] over the sample for goals g, shape (p, taps · d).
        fitted: what the existing weights can do of goals g, None if that is not taken away.
        root: whitening of the inputs that are tested.
        gains: that are tested, falling.
    """

    goals: Tensor
    axis: int
    cross: Callable[[Tensor], Tensor]
    fitted: Callable[[Tensor], Tensor] | None
    root: InverseRoot
    gains: Tensor

    def largest(self, signs: Tensor) -> Tensor:
        """The largest gain of draws that give each sample's goal a sign, shape (draws,).

        Args:
            signs: shape (draws, n').
        """
        draws, axis, goals = len(signs), self.axis, self.goals.unsqueeze(self.axis)
        shape = [draws if i == axis else 1 for i in range(goals.dim())]
        shape[0] = len(goals)
        v, lost = (goals * signs.T.to(goals).reshape(shape)).flatten(axis, axis + 1), 1.0
        if self.fitted is not None:
            again = v - self.fitted(v)  # v_p was projected once, the null goal twice
            lost = self._norms(v, draws) / self._norms(again, draws)
            v = again
        gains = self.root.whitened(self.cross(v)).unflatten(1, (-1, draws, goals.shape[axis + 1]))
        largest = lost * spectral_norms(gains.permute(2, 0, 1, 3).flatten(2))
        return largest.nan_to_num(math.inf, math.inf)

    def _norms(self, v: Tensor, draws: int) -> Tensor:
        apart = v.unflatten(self.axis, (draws, -1)).movedim(self.axis, 0)
        return apart.flatten(1).double().norm(dim=1)


def significance(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool
) -> Significance:
    """Compare gains with the largest gain of null draws.

    A draw gives each sample's goal a random sign (a wild bootstrap): whether the goal points
    anywhere given the inputs is lost, while its size at each input, and what positions of one
    sample have in common, stay as they are. Unprojected gains are tested with inputs and goals
    centred: uncentred, means alone look real.

    Args:
        statistics: of the site, with samples, or with maps where it has some.
        gains: λ, falling.
        generator: of the null draws.
        projected: whether the gains are those of v_p (else of v itself).
    """
    tested, draws = null_gains(statistics, gains, generator, projected=projected)
    threshold, above, made = 0.0, len(tested), 0
    while above and made < DRAWS:
        threshold, made = max(threshold, next(draws)), made + 1
        above = int((tested > threshold).sum())
    return Significance(threshold, above, made)


def null_gains(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool
) -> tuple[Tensor, Iterator[float]]:
    """The gains that are tested, falling, and the largest gain of one null draw after the other.

    As `significance`, which needs not all of them. Without degrees of freedom they are infinite.
    """
    if statistics.maps is not None:
        null = _on_maps(statistics, statistics.maps, gains, projected=projected)
    else:
        null = _on_rows(statistics, gains, projected=projected)
    count = len(null.goals)
    rows = null.goals[0, 0].numel() if statistics.maps is not None else statistics.positions
    fitted = projected and rows * count <= statistics.hidden_inverse_root.rank
    if count < 2 or fitted:  # what is left of a goal that the existing weights fit is rounding
        return null.gains, repeat(math.inf)
    signs = torch.randint(2, (DRAWS, count), generator=generator) * 2 - 1
    return null.gains, _one_by_one(null, signs, math.sqrt(count / statistics.count))


def _one_by_one(null: _Null, signs: Tensor, scale: float) -> Iterator[float]:
    """Gains of draws in turn, made a few at a time."""
    fitting = max(1, DRAWN_ENTRIES // max(1, null.goals.numel()))
    for group in signs.split(GROUPS):
        for part in group.split(fitting):
            yield from (scale * null.largest(part)).tolist()


def _on_rows(statistics: SiteStatistics, gains: Tensor, *, projected: bool) -> _Null:
    samples = _complete(statistics)
    inputs, goals, fitted, root = samples.inputs, samples.goals, None, statistics.inverse_root
    if projected:
        fitted = _fit_rows(samples.hidden, statistics)
        goals = goals - samples.hidden @ statistics.weight_update.T
    else:
        inputs, goals = inputs - statistics.input_mean, goals - goals.mean((0, 1))
        root, gains = _centred(statistics)
    b2 = inputs.flatten(0, 1)
    return _Null(goals, 2, lambda v: b2.T @ v.flatten(0, 1) / len(goals), fitted, root, gains)


@dataclass(frozen=True)
class _Rows:
    """Rows of samples: inputs, hidden activities and goals, shapes (n', positions, …)."""

    inputs: Tensor
    hidden: Tensor
    goals: Tensor


def _complete(statistics: SiteStatistics) -> _Rows:
    samples: SiteSamples | None = statistics.samples
    if samples is None or samples.goals is None or samples.hidden is None:
        raise ValueError(
            f"the significance of gains at {statistics.site} needs samples and goals; declare "
            "Need.SAMPLES and Need.GOAL"
        )
    return _Rows(samples.inputs, samples.hidden, samples.goals)


def _fit_rows(hidden: Tensor, statistics: SiteStatistics) -> Callable[[Tensor], Tensor]:
    """Least squares from rows of hidden activities, shape (n', positions, m)."""
    rows = hidden.flatten(0, 1)
    gram = ridged(rows.T @ rows, statistics.ridge, constant=statistics.next_bias)
    root = inverse_root(gram, statistics.solving_cut)
    return lambda v: hidden @ root.solve(rows.T @ v.flatten(0, 1))


def _centred(statistics: SiteStatistics) -> tuple[InverseRoot, Tensor]:
    """Whitening and gains with the means of b₂ and v subtracted."""
    mean, rows = statistics.input_mean, statistics.positions
    whole = statistics.ridged_covariance
    covariance = whole - rows * mean[:, None] * mean
    varies = covariance.diagonal() > statistics.cut * whole.diagonal()
    root = inverse_root(covariance * (varies & varies[:, None]), statistics.solving_cut)
    cross = statistics.cross_covariance - mean[:, None] * statistics.goal_sum
    return root, torch.linalg.svdvals(root.whitened(cross))


def _on_maps(
    statistics: SiteStatistics, maps: SiteMaps, gains: Tensor, *, projected: bool
) -> _Null:
    """Unprojected goals are centred at each position, which centres every draw."""
    root, rows = statistics.inverse_root, max(1, statistics.goals[0, 0].numel())
    if projected:
        goals = statistics.residual_goals
    else:
        goals = statistics.goals - statistics.goals.mean(0)
        gains = torch.linalg.svdvals(root.whitened(maps.cross(goals)))
    count = min(len(maps), max(MAP_SAMPLES, 4 * statistics.next_weight.shape[1] // rows))
    few, goals = maps.some(count), replace(maps, goals=goals).some(count).goals
    fitted = _fit_maps(few, statistics) if projected else None
    return _Null(cast("Tensor", goals), 1, few.crossing(), fitted, root, gains)


def _fit_maps(maps: SiteMaps, statistics: SiteStatistics) -> Callable[[Tensor], Tensor]:
    """Least squares from hidden maps."""
    gram = ridged(maps.hidden_gram(), statistics.ridge, constant=statistics.next_bias)
    root = inverse_root(gram, statistics.solving_cut)
    return lambda v: maps.fitted(root.solve(maps.hidden_cross(v)).T)
