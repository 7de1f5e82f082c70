"""Which gains could be chance: the largest gain under H₀, that the goal has no mean given b₂.

In place of the null draws of appendix D.3 of *Growing Tiny Networks* (arXiv 2405.19816), Gaussian
with one variance for all samples: a trained network's goals are small where it is sure and large
where it is not, and rare inputs, brought to unit variance, then look like signal.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from typing import cast

import torch
from torch import Generator, Tensor

from nas_bench.growth.linalg import (
    InverseRoot,
    in_metric,
    inverse_root,
    ridged,
    spectral_norms,
)
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.sums import SiteSamples

DRAWS = 19
"""The largest of so many draws is exceeded by chance once in 20 times. None is made that cannot
change how many gains are significant."""
ROW_GROUPS, MAP_GROUPS = (1, 2, 4, 12), (1, 18)
"""Draws that are made together: the first ones decide most tests, the others are cheaper so."""
DRAWN_ENTRIES = 2**26
"""Of draws that are made together, at most so many."""
FEW_FEATURES = 4
"""Hidden features of maps, for each output of the next layer, up to which their products with the
inputs are made once for all draws."""
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


Crosses = Callable[[Tensor], tuple[Tensor, Tensor | float]]
"""By signs of the samples, shape (draws, n'): E[b₂ gᵀ] for the goals g of each draw, shape (draws,
p, taps · d), and by how much they are to be scaled, because the fit took that from them."""


@dataclass(frozen=True)
class _Null:
    """What null draws are made of.

    Attributes:
        samples: n', that stand for all.
        rows: of goals that a sample has.
        entries: that a draw needs in memory.
        crosses: of draws.
        groups: of draws that are made together.
        root: whitening of the inputs that are tested.
        gains: that are tested, falling.
        metric: of the goals, as in `significance`.
    """

    samples: int
    rows: int
    entries: int
    crosses: Crosses
    groups: tuple[int, ...]
    root: InverseRoot
    gains: Tensor
    metric: Tensor | None

    def largest(self, signs: Tensor) -> Tensor:
        """The largest gain of each draw, shape (draws,)."""
        crosses, lost = self.crosses(signs)
        crosses = in_metric(crosses, self.metric)
        white = self.root.whitened(crosses.transpose(0, 1).flatten(1))
        largest = lost * spectral_norms(white.unflatten(1, (len(signs), -1)).transpose(0, 1))
        return largest.nan_to_num(math.inf, math.inf)


def significance(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool,
    metric: Tensor | None = None,
) -> Significance:  # fmt: skip
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
        metric: T of shape (d, r) by which the goals are multiplied, as Tᵀ v, in the gains.
    """
    tested, draws = null_gains(statistics, gains, generator, projected=projected, metric=metric)
    threshold, above, made = 0.0, len(tested), 0
    while above and made < DRAWS:
        threshold, made = max(threshold, next(draws)), made + 1
        above = int((tested > threshold).sum())
    return Significance(threshold, above, made)


def null_gains(
    statistics: SiteStatistics, gains: Tensor, generator: Generator, *, projected: bool,
    metric: Tensor | None = None,
) -> tuple[Tensor, Iterator[float]]:  # fmt: skip
    """The gains that are tested, falling, and the largest gain of one null draw after the other.

    As `significance`, which needs not all of them. Without degrees of freedom they are infinite.
    """
    if statistics.maps is None:
        null = _on_rows(statistics, gains, metric, projected=projected)
    else:
        null = _on_maps(statistics, statistics.maps, gains, metric, projected=projected)
    fitted = projected and null.rows * null.samples <= statistics.hidden_inverse_root.rank
    if null.samples < 2 or fitted:  # what is left of a goal that is fitted is rounding
        return null.gains, repeat(math.inf)
    signs = torch.randint(2, (DRAWS, null.samples), generator=generator) * 2 - 1
    return null.gains, _one_by_one(null, signs, math.sqrt(null.samples / statistics.count))


def _one_by_one(null: _Null, signs: Tensor, scale: float) -> Iterator[float]:
    """Gains of draws in turn, made a few at a time."""
    fitting = max(1, DRAWN_ENTRIES // max(1, null.entries))
    for group in signs.split(list(null.groups)):
        for part in group.split(fitting):
            yield from (scale * null.largest(part)).tolist()


def _on_rows(
    statistics: SiteStatistics, gains: Tensor, metric: Tensor | None, *, projected: bool
) -> _Null:
    samples = _complete(statistics)
    inputs, goals, fitted, root = samples.inputs, samples.goals, None, statistics.inverse_root
    if projected:
        fitted = _fit_rows(samples.hidden, statistics)
        goals = goals - samples.hidden @ statistics.weight_update.T
    else:
        inputs, goals = inputs - statistics.input_mean, goals - goals.mean((0, 1))
        root, gains = _centred(statistics, metric)
    b2 = inputs.flatten(0, 1)

    def crosses(signs: Tensor) -> tuple[Tensor, Tensor | float]:
        signed = goals[:, :, None] * signs.T[:, None, :, None].to(goals)
        v, lost = signed.flatten(2), 1.0
        if fitted is not None:
            again = v - fitted(v)  # v_p was projected once, the null goal twice
            lost = _norms(in_metric(v, metric), len(signs))
            lost = lost / _norms(in_metric(again, metric), len(signs))
            v = again
        cross = b2.T @ v.flatten(0, 1) / len(goals)
        return cross.unflatten(1, (len(signs), -1)).transpose(0, 1), lost

    return _Null(
        len(goals), goals.shape[1], goals.numel(), crosses, ROW_GROUPS, root, gains, metric
    )


def _norms(v: Tensor, draws: int) -> Tensor:
    return v.unflatten(2, (draws, -1)).movedim(2, 0).flatten(1).double().norm(dim=1)


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


def _centred(statistics: SiteStatistics, metric: Tensor | None) -> tuple[InverseRoot, Tensor]:
    """Whitening and gains with the means of b₂ and v subtracted."""
    mean, rows = statistics.input_mean, statistics.positions
    whole = statistics.ridged_covariance
    covariance = whole - rows * mean[:, None] * mean
    varies = covariance.diagonal() > statistics.cut * whole.diagonal()
    root = inverse_root(covariance * (varies & varies[:, None]), statistics.solving_cut)
    cross = statistics.cross_covariance - mean[:, None] * statistics.goal_sum
    return root, torch.linalg.svdvals(root.whitened(in_metric(cross, metric)))


def _on_maps(
    statistics: SiteStatistics, maps: SiteMaps, gains: Tensor, metric: Tensor | None,
    *, projected: bool,
) -> _Null:  # fmt: skip
    """Unprojected goals are centred at each position, which centres every draw."""
    root, rows = statistics.inverse_root, max(1, statistics.goals[0, 0].numel())
    if projected:
        goals = statistics.residual_goals
    else:
        goals = statistics.goals - statistics.goals.mean(0)
        gains = torch.linalg.svdvals(root.whitened(in_metric(maps.cross(goals), metric)))
    count = min(len(maps), max(MAP_SAMPLES, 4 * statistics.next_weight.shape[1] // rows))
    few, goals = maps.some(count), replace(maps, goals=goals).some(count).goals
    goals = cast("Tensor", goals)
    fit = _MapFit(few, goals, statistics, metric) if projected else None

    def crosses(signs: Tensor) -> tuple[Tensor, Tensor | float]:
        if len(signs) > 1:
            signed = few.signed_crosses(goals, signs)
            fitted, lost = fit.taken(signs) if fit else (0.0, 1.0)
            return signed - fitted, lost
        v = goals * signs.T[..., None, None].to(goals)
        if fit is None:
            return few.cross(v)[None], 1.0
        left = fit.left(v)
        before, after = (float(in_metric(x.movedim(1, -1), metric).norm()) for x in (v, left))
        return few.cross(left)[None], before / after if after else math.inf

    entries = len(root.alive) * statistics.taps * goals.shape[1]
    return _Null(count, rows, entries, crosses, MAP_GROUPS, root, gains, metric)


@dataclass(frozen=True)
class _MapFit:
    """Least squares from hidden maps.

    v_p was projected once, a null goal is twice: what is left of it gets back the norm it had.

    Attributes:
        maps: n' samples.
        goals: v_p of them.
        statistics: of the site.
        metric: in which norms are taken.
    """

    maps: SiteMaps
    goals: Tensor
    statistics: SiteStatistics
    metric: Tensor | None

    def left(self, v: Tensor) -> Tensor:
        """What it leaves of the goals of one draw, shape (n', d, H, W)."""
        weights = self._root.solve(self.maps.hidden_cross(v))
        return v - self.maps.fitted(weights.T)

    def taken(self, signs: Tensor) -> tuple[Tensor, Tensor]:
        """What it takes from the crosses of draws, whose goals are never made.

        Returns:
            Shape (draws, p, taps · d), and by how much what is left has shrunk, shape (draws,).
        """
        crosses = self.maps.signed_hidden_crosses(self.goals, signs)
        draws, features, outputs = crosses.shape
        beside = crosses.transpose(0, 1).flatten(1)
        weights = self._root.solve(beside)
        if features <= FEW_FEATURES * outputs:
            fitted = self.maps.hidden_products().unflatten(1, (-1, features)) @ weights
        else:
            fitted = self.maps.cross(self.maps.fitted(weights.T))
        fitted = fitted.reshape(len(fitted), -1, draws, outputs).permute(2, 0, 1, 3).flatten(2)
        goals = in_metric(self.goals.movedim(1, -1), self.metric)
        power = goals.double().square().sum() / len(self.maps)
        removed = self._gram @ weights - 2 * beside
        product = in_metric(weights, self.metric) * in_metric(removed, self.metric)
        left = power + product.unflatten(1, (draws, -1)).sum((0, 2))
        return fitted, (power / left).sqrt()

    @cached_property
    def _gram(self) -> Tensor:
        return self.maps.hidden_gram()

    @cached_property
    def _root(self) -> InverseRoot:
        statistics = self.statistics
        gram = ridged(self._gram, statistics.ridge, constant=statistics.next_bias)
        return inverse_root(gram, statistics.solving_cut)
