"""Splitting steepest descent: neurons split where that lowers the loss to second order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from nas_bench.growth import (
    Activity,
    GrowthMethod,
    LogUniform,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteError,
    SiteStatistics,
    gaussian,
    lowest,
)

SHARPNESS = 3.0
"""β of the softplus whose second derivative stands for that of ReLU, the authors'."""
ENTRIES = 2**28
"""Of all S_i together: 2 GB in float64."""


@dataclass(frozen=True)
class Splitting(GrowthMethod):
    """Neuron θ_i becomes θ_i + εv and θ_i − εv, each with half of its fan-out.

    v is the eigenvector of S_i = E[∂ℓ/∂h_i σ''(z_i) x xᵀ] with the lowest eigenvalue λ: the loss
    falls by ε²|λ|/2, up to O(ε⁴). The neurons with the lowest λ are split, once each; those with
    λ ≥ 0 are not. The function is kept up to O(ε²). Left out is what a split does to the choice
    of max pooling, that another position of a window may become the largest.

    Attributes:
        epsilon: ε, the authors' 0.01.
        fast: λ and v from Rayleigh quotients, without p × p matrices. The authors take stochastic
            gradient steps; here they are the lowest in the Krylov space of `products` vectors S v.
        products: how many, 10; p of them are exact.
        samples: of the statistics.

    References:
        Splitting Steepest Descent for Growing Neural Architectures, Liu, Wu, Wang, 2019, theorem
        3.2. https://arxiv.org/abs/1910.02366
        Energy-Aware Neural Architecture Optimization with Fast Splitting Steepest Descent, Wang
        et al., 2019. https://arxiv.org/abs/1910.03103
    """

    name: ClassVar[str] = "splitting"
    summary: ClassVar[str] = "existing neurons split in two where that lowers the loss"
    reference: ClassVar[str] = "Liu, Wu, Wang, NeurIPS 2019, arXiv 1910.02366"
    grows_from: ClassVar[tuple[Literal["seed", "quarter"], ...]] = ("quarter",)
    search_space: ClassVar[Mapping[str, Range]] = {"epsilon": LogUniform(1e-3, 1e-1)}

    epsilon: float = 0.01
    fast: bool = False
    products: int = 10
    samples: int = 500

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError(f"epsilon is {self.epsilon}, expected a number above 0, at most 1")
        for name, value in (("products", self.products), ("samples", self.samples)):
            if not 1 <= value <= 5000:
                raise ValueError(f"{name} is {value}, expected a number from 1 to 5000")

    def statistics_samples(self, site: Site, model: nn.Module, k: int) -> int:
        """See the base class."""
        return self.samples

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Activity.needed(site, self.name)

    @torch.no_grad()
    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        seen = Activity(statistics)
        weights = seen.loss_slope * statistics.curvature(seen.present, SHARPNESS)
        values, directions = self._lowest(seen, weights, generator)
        order = values.argsort(stable=True)[:k]
        split = order[values[order] < -statistics.cut * seen.powers(weights)[order]]
        return statistics.split(split, self.epsilon * directions[split], -values[split])

    def _lowest(
        self, seen: Activity, weights: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """The lowest eigenvalue of each S_i, and its unit vector."""
        rows = seen.statistics.grown_weight
        width, p = rows.shape
        if self.fast:
            start = gaussian(width, p, generator, rows)
            return lowest(lambda v: seen.products(weights, v), start, min(self.products, p))
        if width * p**2 > ENTRIES:
            raise SiteError(
                f"splitting needs {width} matrices of {p} × {p} at site {seen.statistics.site}, "
                f"{8e-9 * width * p**2:.1f} GB: take splitting[fast=true], which needs none"
            )
        values, vectors = torch.linalg.eigh(seen.grams(weights))
        return values[:, 0], vectors[:, :, 0]
