"""NORTH-Weight: silent neurons whose weights are orthogonal to all present ones."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from nas_bench.growth import (
    GrowthMethod,
    Need,
    NewNeurons,
    Site,
    SiteStatistics,
    random_fan_in,
    with_mean_norm,
)

KERNEL_CUT = 1e-10


@dataclass(frozen=True)
class NorthWeight(GrowthMethod):
    """Random fan-in less its projection on the present rows, of their mean norm; zero fan-out.

    Only while a layer has fewer neurons than inputs: afterwards the present rows span everything,
    and fan-in is just random. The bias, which is 0, takes no part. Directions are Gaussian, the
    authors' Glorot uniform.

    References:
        When, where, and how to add new neurons to ANNs, Maile, Rachelson, Luga, Wilson, 2022.
        https://arxiv.org/abs/2202.08539
    """

    name: ClassVar[str] = "north_weight"
    summary: ClassVar[str] = "silent neurons with weights orthogonal to the present ones"
    reference: ClassVar[str] = "Maile et al., AutoML 2022, arXiv 2202.08539"

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        fan_in = random_fan_in(statistics, k, generator)
        features = fan_in.shape[1] - statistics.grown_bias
        _, s, rows = torch.linalg.svd(statistics.grown_weight[:, :features], full_matrices=False)
        rows = rows[s > KERNEL_CUT * s[:1]]
        if len(rows) < features:
            weight = fan_in[:, :features]
            fan_in[:, :features] = weight - (weight @ rows.T) @ rows
        fan_in = with_mean_norm(fan_in, statistics)
        return NewNeurons(
            fan_in=fan_in,
            fan_out=fan_in.new_zeros(k, statistics.taps, statistics.outputs),
            gains=fan_in.new_zeros(k),
        )
