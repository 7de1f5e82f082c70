"""The effective rank of a layer's post-activities, and which candidates raise it most (NORTH)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from nas_bench.growth.method import GrowthMethod
from nas_bench.growth.search_space import LogUniform, Range
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics

GRAM_ENTRIES = 2**24
"""Of the Gram matrices of candidates, at most so many at a time."""


@dataclass(frozen=True)
class RankedCandidates(GrowthMethod):
    """A method that keeps the best of many silent candidates by effective rank.

    Attributes:
        candidates: how many are drawn; of convolutions a tenth, as the authors do.
        effective: singular values above it count in the effective rank.
    """

    search_space: ClassVar[Mapping[str, Range]] = {"effective": LogUniform(1e-3, 1e-1)}

    candidates: int = 1000
    effective: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= 10**6:
            raise ValueError(f"candidates is {self.candidates}, expected a number from 1 to 10^6")
        if self.effective < 0:
            raise ValueError(f"effective is {self.effective}, expected at least 0")

    @property
    def preserves_function(self) -> bool:
        """See the base class."""
        return True

    def statistics_samples(self, site: Site, model: nn.Module, k: int) -> int:
        """Twice the width of the widest layer, as the authors' buffer of activations."""
        layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
        widest = max(len(module.weight) for module in layers)
        return 2 * max(widest, site.width(model) + k)

    def drawn(self, statistics: SiteStatistics, k: int) -> int:
        """How many candidates there are for k neurons."""
        return max(self.candidates if statistics.linear else self.candidates // 10, k)


def effective_rank(statistics: SiteStatistics, effective: float) -> int:
    """How many singular values of H/√rows are above a threshold, at most the width.

    Args:
        statistics: of the site, with samples; H are its post-activities, shape (rows, width).
        effective: the threshold.

    Raises:
        ValueError: if no rows were sampled.
    """
    H = _post_activities(statistics, statistics.sampled_inputs)
    sigma = torch.linalg.eigvalsh(H.T @ H / len(H)).clamp_min(0).sqrt()
    return int((sigma > effective).sum())


def by_effective_rank(statistics: SiteStatistics, fan_in: Tensor, effective: float) -> Tensor:
    """The order of candidates: by effective rank with the present post-activities, ties by Σ σ.

    Args:
        statistics: of the site, with samples.
        fan_in: of the candidates, shape (candidates, p).
        effective: singular values of [H, h]/√rows above it count.

    Returns:
        Indices, best first; as they come where there are no samples.
    """
    if statistics.samples is None or not len(fan_in):
        return torch.arange(len(fan_in))
    rows = statistics.sampled_inputs
    H = _post_activities(statistics, rows)
    new = statistics.activation(rows @ fan_in.T, None)
    size = max(1, GRAM_ENTRIES // (statistics.width + 1) ** 2)
    scores = [_scores(H, part, effective) for part in new.split(size, dim=1)]
    ranks, sums = torch.cat(scores, 1)
    by_sum = sums.argsort(descending=True, stable=True)
    return by_sum[ranks[by_sum].argsort(descending=True, stable=True)]


def _post_activities(statistics: SiteStatistics, rows: Tensor) -> Tensor:
    """H of the present neurons on sampled rows."""
    present = torch.arange(statistics.width, device=rows.device)
    return statistics.activation(rows @ statistics.grown_weight.T, present)


def _scores(H: Tensor, new: Tensor, effective: float) -> Tensor:
    """Effective rank and Σ σ of [H, h]/√rows for each column h of new, shape (2, columns)."""
    rows, m = H.shape
    gram = H.new_empty(new.shape[1], m + 1, m + 1)
    gram[:, :-1, :-1] = H.T @ H / rows
    gram[:, :-1, -1] = gram[:, -1, :-1] = new.T @ H / rows
    gram[:, -1, -1] = new.square().mean(0)
    sigma = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    return torch.stack(((sigma > effective).sum(1), sigma.sum(1)))
