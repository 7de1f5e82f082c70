"""Variance Transfer: pairs of new neurons that cancel each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal, get_args

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    Choice,
    GrowthMethod,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
    gaussian,
    random_fan_in,
)

Rescaling = Literal["none", "linear", "root"]


@dataclass(frozen=True)
class VarianceTransfer(GrowthMethod):
    """Fan-in [V, V] and fan-out [Z, −Z] with Kaiming-normal V and Z: the function is kept.

    Of an odd number of neurons the last one is silent.

    Attributes:
        rescaling: of the existing fan-out, so that the next layer's pre-activities keep their
            variance when the new ones come apart: by C/(C + k) ("linear", the paper's), its root
            ("root", the authors' library of growing networks) or not at all. Rescaling changes the
            function, which only a norm behind the next layer undoes, in training mode.

    References:
        Accelerated Training via Incrementally Growing Neural Networks using Variance Transfer and
        Learning Rate Adaptation, Yuan, Savarese, Maire, 2023. https://arxiv.org/abs/2306.12700.
        The paper's variances are 1/fan-in, half of these: behind ReLU half of it is lost.
    """

    name: ClassVar[str] = "variance_transfer"
    summary: ClassVar[str] = "pairs of new neurons that cancel each other"
    reference: ClassVar[str] = "Yuan et al., NeurIPS 2023, arXiv 2306.12700"
    search_space: ClassVar[Mapping[str, Range]] = {"rescaling": Choice(get_args(Rescaling))}

    rescaling: Rescaling = "none"

    def __post_init__(self) -> None:
        if self.rescaling not in get_args(Rescaling):
            raise ValueError(
                f"rescaling is {self.rescaling!r}, expected {', '.join(get_args(Rescaling))}"
            )

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return self.rescaling == "none"

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Need.NOTHING

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        pairs, taps, d = (k + 1) // 2, statistics.taps, statistics.outputs
        V = random_fan_in(statistics, pairs, generator)
        Z = gaussian(pairs, taps * d, generator, V) * sqrt(2 / ((statistics.width + k) * taps))
        Z = torch.stack((Z, -Z), 1).flatten(0, 1)[:k].unflatten(1, (taps, d))
        if k % 2:
            Z[-1] = 0.0
        return NewNeurons(
            fan_in=V.repeat_interleave(2, dim=0)[:k],
            fan_out=Z,
            gains=V.new_zeros(k),
            weight_update=self._rescaled(statistics, k),
        )

    def _rescaled(self, statistics: SiteStatistics, k: int) -> Tensor | None:
        """What is added to the existing fan-out."""
        if self.rescaling == "none":
            return None
        share = statistics.width / (statistics.width + k)
        factor = share if self.rescaling == "linear" else sqrt(share)
        return statistics.taken(statistics.channels, (1 - factor) * statistics.fan_out)
