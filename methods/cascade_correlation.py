"""Cascade correlation: neurons whose activity covaries with the remaining errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from nas_bench.growth import Choice, PooledNeurons, Range, Rest, SiteStatistics


@dataclass(frozen=True)
class Errors(Rest):
    """Goals that are left, centred.

    Attributes:
        activation: of new neurons.
        inputs: b₂, shape (rows, p).
        goals: v − E v, shape (rows, d).
    """

    activation: Callable[[Tensor, Tensor | None], Tensor]
    inputs: Tensor
    goals: Tensor

    def score(self, rows: Tensor) -> Tensor:
        """See the base class: Σ_o |E (h − E h) v_o|."""
        covariance = self._activity(rows).T @ self.goals / len(self.goals)
        return covariance.abs().sum(1)

    def beside(self, row: Tensor) -> "Errors":
        """See the base class: the goals without their fit by the new activity."""
        h = self._activity(row[None])
        return replace(self, goals=self.goals - h @ (h.T @ self.goals) / h.square().sum())

    def _activity(self, rows: Tensor) -> Tensor:
        h = self.activation(self.inputs @ rows.T, None)
        return h - h.mean(0)


@dataclass(frozen=True)
class CascadeCorrelation(PooledNeurons):
    """The candidate of a pool with the largest S = Σ_o |cov(h, v_o)|, after gradient ascent on S.

    The goals stand for the errors of the original; each neuron's part of them is taken out before
    the next is looked for, as training the outputs would do. Two things of the original are not
    said here: a fan-in is not frozen once it is there, and neurons of one growth do not read each
    other. Ascent is plain, with a step size for each candidate, not Quickprop.

    Attributes:
        candidates: in a pool, the authors' 4 to 8.
        steps: of gradient ascent.

    References:
        The Cascade-Correlation Learning Architecture, Fahlman, Lebiere, 1990, equation 1.
        https://papers.nips.cc/paper/207-the-cascade-correlation-learning-architecture
    """

    name: ClassVar[str] = "cascade_correlation"
    summary: ClassVar[str] = "silent neurons that covary most with the remaining goals"
    reference: ClassVar[str] = "Fahlman, Lebiere, NeurIPS 1990"
    search_space: ClassVar[Mapping[str, Range]] = {"candidates": Choice((4, 8, 16, 32))}

    def rest(self, statistics: SiteStatistics) -> Errors:
        """See the base class."""
        inputs, goals = statistics.sampled_rows
        return Errors(statistics.activation, inputs, goals - goals.mean(0))
