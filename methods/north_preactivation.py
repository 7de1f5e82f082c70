"""NORTH-Preactivation: silent neurons whose pre-activities are orthogonal to all present ones."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    InverseRoot,
    Need,
    NewNeurons,
    RankedCandidates,
    Site,
    SiteStatistics,
    by_effective_rank,
    gaussian,
    inverse_root,
    inverse_root_of_rows,
    with_mean_norm,
)

KERNEL_CUT = 1e-10
BIAS_CUT = 1e-6


@dataclass(frozen=True)
class NorthPreactivation(RankedCandidates):
    """Random fan-in in the kernel of the present pre-activities, zero fan-out.

    α = T (I − Q Q⁺) ξ with Q = Tᵀ S Wᵀ, W the present rows and ξ Gaussian: over the data, the new
    pre-activity is orthogonal to every present one. Of many candidates those are kept whose
    post-activity raises the effective rank of the layer's post-activities most.

    This is NORTH's initialiser; when and how many neurons are added is the schedule's, not NORTH's
    trigger. The candidates lie in directions of little variance and are rescaled by the norm of
    their weights: on Fashion-MNIST new pre-activities have 14 to 35 % of the present ones' rms at
    the input site and 3 to 6 % at the second one, and their fan-out's gradient is as small.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022.
        https://arxiv.org/abs/2202.08539
    """

    name: ClassVar[str] = "north_preactivation"
    summary: ClassVar[str] = "NORTH's initialiser: orthogonal new pre-activities, zero fan-out"
    reference: ClassVar[str] = "Maile et al., AutoML 2022, arXiv 2202.08539"
    version: ClassVar[int] = 3

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.PATCHES | Need.SAMPLES

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        root = self._root(statistics)
        present = self._present(statistics, root)
        rank = root.rank - present.shape[1]
        drawn = gaussian(self.drawn(statistics, k), root.rank, generator, present).T
        drawn = root.weights(drawn - present @ (present.T @ drawn)).T
        fan_in = (
            with_mean_norm(self._reading(drawn, statistics), statistics) if rank else drawn[:0]
        )
        best = by_effective_rank(statistics, fan_in, self.effective)[: min(k, rank)]
        return NewNeurons(
            fan_in=fan_in[best],
            fan_out=fan_in.new_zeros(len(best), statistics.taps, statistics.outputs),
            gains=fan_in.new_zeros(len(best)),
        )

    def _root(self, statistics: SiteStatistics) -> InverseRoot:
        """T of all positions; of few rows, where they are all there is, at their price."""
        p = statistics.grown_weight.shape[1]
        if statistics.linear and statistics.count < p:
            rows = statistics.sampled_inputs
            if len(rows) == statistics.count:
                return inverse_root_of_rows(rows, statistics.cut)
        return inverse_root(statistics.patch_covariance, statistics.cut)

    def _present(self, statistics: SiteStatistics, root: InverseRoot) -> Tensor:
        """An orthonormal basis of Q over all positions, shape (rank S, rank Q)."""
        Q = root.whitened(statistics.patch_covariance @ statistics.grown_weight.T)
        norms = Q.norm(dim=0)
        U, s, _ = torch.linalg.svd(Q[:, norms > 0] / norms[norms > 0], full_matrices=False)
        return U[:, s > KERNEL_CUT * s[:1]]

    def _reading(self, drawn: Tensor, statistics: SiteStatistics) -> Tensor:
        """The candidates that are more than a bias, which no rescaling of weights would bound."""
        if not statistics.grown_bias:
            return drawn
        S, weight, bias = statistics.patch_covariance, drawn[:, :-1], drawn[:, -1]
        read = (weight @ S[:-1, :-1] * weight).sum(1)
        return drawn[read > BIAS_CUT * bias.square() * S[-1, -1]]
