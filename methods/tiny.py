"""TINY: the neurons that best do what the existing weights cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    Choice,
    LineSearched,
    LogUniform,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
    exact_neurons,
    in_metric,
    inverse_root,
    leading_directions,
    significance,
)


@dataclass(frozen=True)
class Tiny(LineSearched):
    """Optimal neurons of Proposition 3.2, from the SVD of S^{-1/2} N = Σ λ u wᵀ.

    α_k = √λ_k S^{-1/2} u_k and ω_k = √λ_k w_k minimise E‖v_p − Σ ω_k α_kᵀ b₂‖², where v_p is the
    part of the goal update that no update of the existing weights can do. Where the next layer
    reads a neuron through several taps, they minimise the paper's bound on that norm (C.2), and
    are rescaled by t* = ⟨v_p, v_new⟩/‖v_new‖², which the bound leaves open.

    Attributes:
        projection: take v_p for the goal (else v itself, and existing weights are not updated).
        update: also apply δW*, the best update of the existing weights (Proposition 3.1).
        significance: drop neurons whose gain could be chance (appendix D.3).
        fisher: measure the goal in the metric of its own covariance E = E[v vᵀ], the empirical
            Fisher matrix of the next layer's outputs, as FOGRO does: the SVD is that of
            S^{-1/2} N E^{-1/2}, and ω_k = √λ_k E^{-1/2} w_k.
        shrinkage: a of (1 − a) E + a tr(E)/d I, which stands for E there.
        exact: behind several taps, go on from these neurons by alternating least squares to ones
            that minimise the norm itself.

    References:
        Growing Tiny Networks: Spotting Expressivity Bottlenecks and Fixing Them Optimally,
        Verbockhaven, Rudkiewicz, Chevallier, Charpiat, 2024. https://arxiv.org/abs/2405.19816
    """

    name: ClassVar[str] = "tiny"
    summary: ClassVar[str] = "neurons that best reduce the expressivity bottleneck"
    reference: ClassVar[str] = "Verbockhaven et al., TMLR 2024, arXiv 2405.19816"
    version: ClassVar[int] = 2
    search_space: ClassVar[Mapping[str, Range]] = {
        "significance": Choice((True, False)),
        "ridge": LogUniform(1e-5, 1e-1),
        "statistics_factor": LogUniform(0.01, 1.0),
    }

    projection: bool = True
    update: bool = True
    significance: bool = True
    exact: bool = False
    fisher: bool = False
    shrinkage: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exact and self.fisher:
            raise ValueError("tiny takes exact or fisher, not both: they fit different norms")
        if not 0 <= self.shrinkage <= 1:
            raise ValueError(f"shrinkage is {self.shrinkage}, expected a share from 0 to 1")
        if self.shrinkage != Tiny.shrinkage and not self.fisher:
            raise ValueError("shrinkage is that of the Fisher matrix: give fisher=true, too")

    def needs(self, site: Site) -> Need:
        """See the base class."""
        needs = Need.INPUTS | Need.GOAL
        if self.projection:
            needs |= Need.HIDDEN | Need.CROSS
        if site.map is not None:
            needs |= Need.MAPS
        elif self.significance:
            needs |= Need.SAMPLES
        return needs

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        statistics = statistics.ridged(self.ridge)
        root = statistics.inverse_root
        if self.projection:
            N = statistics.residual_cross_covariance
        else:
            N = statistics.cross_covariance
        metric = self._metric(statistics) if self.fisher else None
        tolerance = statistics.gain_tolerance
        if metric is not None:
            tolerance = statistics.cut * sqrt(metric.shape[1])
        u, gains, w = leading_directions(root.whitened(in_metric(N, metric)), tolerance)
        rank, threshold, draws = len(gains), None, None
        if self.significance:
            tested = significance(
                statistics, gains, generator, projected=self.projection, metric=metric
            )
            rank, threshold = min(rank, tested.significant), tested.threshold
            draws = tested.draws
        kept = min(rank, k)
        size = gains[:kept].sqrt()
        fan_in = (root.weights(u[:, :kept]) * size).T
        fan_out = (w[:, :kept] * size).T.unflatten(1, (statistics.taps, -1))
        if metric is not None:
            fan_out = fan_out @ metric.T
        if self.exact:
            fan_in, fan_out = exact_neurons(statistics, fan_in, fan_out, projected=self.projection)
        t = statistics.rescaling(fan_in, fan_out, projected=self.projection)
        proposal = NewNeurons(
            fan_in=fan_in * sqrt(t),
            fan_out=fan_out * sqrt(t),
            gains=gains[:kept],
            weight_update=statistics.weight_update if self.projection and self.update else None,
            threshold=threshold,
            draws=draws,
            dropped=min(len(gains), k) - kept,
            rescaled=t,
        )
        return self.searched(proposal)

    def _metric(self, statistics: SiteStatistics) -> Tensor:
        """T with T Tᵀ = E⁻¹, shape (d, rank)."""
        E = statistics.goal_covariance
        sphere = torch.eye(len(E), dtype=E.dtype, device=E.device) * E.trace() / len(E)
        return inverse_root(E.lerp(sphere, self.shrinkage), statistics.cut).matrix
