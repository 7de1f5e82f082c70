"""GradMax: silent neurons that will receive the largest possible gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, nn

from nas_bench.growth import (
    GrowthMethod,
    LogUniform,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
)
from nas_bench.growth import leading_directions as directions


@dataclass(frozen=True)
class GradMax(GrowthMethod):
    """Zero fan-in, and orthonormal fan-out that maximises the gradient of the fan-in.

    The gradient of α_k is σ'(0) n Ñ ω_k, so the best orthonormal ω are the leading right singular
    vectors of Ñ, without its bias row. Batch norm removes means in training mode: behind one,
    inputs are centred.

    Attributes:
        scale: norm of each fan-out as a fraction of the mean norm of the next layer's columns.
        samples: of the minibatch whose gradient is maximised.

    References:
        GradMax: Growing Neural Networks using Gradient Information, Evci, van Merriënboer,
        Unterthiner, Vladymyrov, Pedregosa, 2022. https://arxiv.org/abs/2201.05125
    """

    name: ClassVar[str] = "gradmax"
    summary: ClassVar[str] = "zero fan-in, fan-out of maximal gradient"
    reference: ClassVar[str] = "Evci et al., ICLR 2022, arXiv 2201.05125"
    search_space: ClassVar[Mapping[str, Range]] = {"scale": LogUniform(0.1, 2.0)}
    version: ClassVar[int] = 2

    scale: float = 0.5
    samples: int = 128

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= 10**9:
            raise ValueError(f"samples is {self.samples}, expected a number from 1 to 10^9")
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}, expected a number greater than 0")

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    @property
    def zero_fan_in(self) -> bool:
        """See the base class."""
        return True

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.GOAL

    def statistics_samples(self, site: Site, model: nn.Module, k: int) -> int:
        """See the base class."""
        return self.samples

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        features = slice(None, -1) if statistics.grown_bias else slice(None)
        largest = statistics.input_power.sum().sqrt()  # σ₁(Ñ) ≤ √E‖b₂‖² √E‖v‖²
        tolerance = statistics.gain_tolerance * float(largest)
        _, gains, w = directions(statistics.silent_gradient[features], tolerance)
        norm = self.scale * statistics.fan_out.flatten(1).norm(dim=1).mean()
        kept = min(len(gains), k) if norm > 0 else 0  # with no fan-out either, dead for ever
        fan_out = norm * w[:, :kept].T
        return NewNeurons(
            fan_in=fan_out.new_zeros(kept, statistics.grown_weight.shape[1]),
            fan_out=fan_out.reshape(kept, statistics.taps, statistics.outputs),
            gains=gains[:kept],
        )
