"""Firefly: split neurons and new ones in one competition, by what each promises."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from nas_bench.growth import (
    Activity,
    GrowthMethod,
    LogUniform,
    Need,
    NewNeurons,
    Range,
    Site,
    SiteStatistics,
    ascended,
    gaussian,
    random_fan_in,
    with_mean_norm,
)

SAME = 0.95
"""Cosine of the activities of two new neurons that are taken for one."""


@dataclass(frozen=True)
class Firefly(GrowthMethod):
    """The best of all present neurons, split, and of a pool of new ones, by gradient ascent.

    Neuron θ_i becomes θ_i ± δ_i with half of its fan-out each, ‖δ_i‖ = ε times the mean row; a
    new one has a fan-out of `birth` times the mean size of a present one, along what is wanted,
    or a smaller one with which it adds `birth` times as much to what the next layer reads as a
    present neuron does: taps that all want the same add up. What is climbed, and what the greedy
    choice compares, is the drop of the loss that the goals promise, first order in what the next
    layer reads but exact in δ: ⟨v, W_i (½h(θ_i + δ) + ½h(θ_i − δ) − h(θ_i))⟩. This is the paper's
    second step with goals in place of gradients. Its first, an epoch of training of all
    perturbations together, is not this interface: a method sees one pass over the goals and
    trains nothing. Two things follow. Candidates that climb alone meet at one optimum: of new
    neurons whose activities have a cosine above 0.95 the best is taken. And δ stays as large as
    it began: 0.1, with which the authors' training begins, promised +1.06 on Fashion-MNIST and
    measured −0.98.

    Attributes:
        epsilon: ε, which in the authors' code begins at 0.1 and is trained.
        birth: of new fan-outs, which there begin at 0.01 and are trained, too.
        candidates: new neurons in the pool, the authors' 70.
        steps: of gradient ascent.

    References:
        Firefly Neural Architecture Descent, Wu, Liu, Stone, Liu, 2020, section 2.1.
        https://arxiv.org/abs/2102.08574
    """

    name: ClassVar[str] = "firefly"
    summary: ClassVar[str] = "splits and new neurons by the drop that the goals promise"
    reference: ClassVar[str] = "Wu et al., NeurIPS 2020, arXiv 2102.08574"
    version: ClassVar[int] = 3
    search_space: ClassVar[Mapping[str, Range]] = {
        "epsilon": LogUniform(1e-3, 1e-1),
        "birth": LogUniform(1e-3, 1.0),
    }

    epsilon: float = 0.01
    birth: float = 0.01
    candidates: int = 70
    steps: int = 10

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("birth", self.birth)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}, expected a number above 0, at most 1")
        if not 1 <= self.candidates <= 10**5:
            raise ValueError(f"candidates is {self.candidates}, expected a number from 1 to 10^5")
        if not 0 <= self.steps <= 10**4:
            raise ValueError(f"steps is {self.steps}, expected a number from 0 to 10^4")

    def needs(self, site: Site) -> Need:
        """See the base class."""
        return Activity.needed(site, self.name)

    @torch.no_grad()
    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        seen = Activity(statistics)
        moves, split_gains = self._splits(seen, generator)
        fan_in, fan_out, new_gains = self._new(seen, generator)
        half = statistics.fan_out / 2
        copied = torch.cat((statistics.channels, statistics.channels.new_full((len(fan_in),), -1)))
        gains = torch.cat((split_gains, new_gains))
        best = gains.argsort(descending=True, stable=True)[:k]
        best = best[gains[best] > 0]
        split = copied[best][copied[best] >= 0]
        return NewNeurons(
            fan_in=torch.cat((statistics.grown_weight - moves, fan_in))[best],
            fan_out=torch.cat((half, fan_out))[best],
            gains=gains[best],
            weight_update=statistics.taken(split, half[split]) if len(split) else None,
            grown_update=statistics.moved(split, moves[split]) if len(split) else None,
            copied=copied[best] if len(split) else None,
        )

    def _splits(self, seen: Activity, generator: Generator) -> tuple[Tensor, Tensor]:
        """δ of every present neuron, shape (width, p), and what it promises."""
        statistics = seen.statistics
        rows, channels = statistics.grown_weight, statistics.channels

        def promised(moves: Tensor) -> Tensor:
            by = seen.pre_activity(moves)
            above = statistics.activation(seen.present + by, channels)
            below = statistics.activation(seen.present - by, channels)
            return -seen.mean(seen.loss_slope * ((above + below) / 2 - seen.at_rest))

        size = self.epsilon * _size(rows)

        def short(moves: Tensor) -> Tensor:
            return moves * (size / moves.norm(dim=1, keepdim=True))

        start = gaussian(rows.shape[0], rows.shape[1], generator, rows)
        return ascended(promised, start, self.steps, short)

    def _new(self, seen: Activity, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Fan-in and fan-out of new neurons, and what they promise."""
        statistics = seen.statistics
        size = self.birth * _size(statistics.fan_out.flatten(1))

        def wanted(rows: Tensor) -> Tensor:
            return seen.wanted(statistics.activation(seen.pre_activity(rows), None))

        pool = random_fan_in(statistics, self.candidates, generator)
        rows, gains = ascended(
            lambda drawn: size * wanted(drawn).flatten(1).norm(dim=1),
            pool, self.steps, lambda drawn: with_mean_norm(drawn, statistics),
        )  # fmt: skip
        h, fan_out = statistics.activation(seen.pre_activity(rows), None), wanted(rows)
        norm = fan_out.flatten(1).norm(dim=1)[:, None, None]
        fan_out = torch.where(norm > 0, size * fan_out / norm, 0.0)
        less = (self._limit(seen) / seen.added(h, fan_out, None)).clamp(max=1.0)
        fan_out, gains = fan_out * less[:, None, None], gains * less
        own = _distinct(h, gains)
        return rows[own], fan_out[own], gains[own]

    def _limit(self, seen: Activity) -> Tensor:
        """What a new neuron may add to what the next layer reads; no limit where none adds."""
        statistics = seen.statistics
        added = seen.added(seen.at_rest, statistics.fan_out, statistics.channels).mean()
        return torch.where(added > 0, self.birth * added, torch.inf)


def _distinct(activities: Tensor, gains: Tensor) -> Tensor:
    """Which neurons (the second dimension) are not like one that promises more, best first."""
    flat = activities.transpose(0, 1).flatten(1)
    norms = flat.norm(dim=1)
    alike = (flat @ flat.T > SAME * norms[:, None] * norms).tolist()  # the host waits once
    taken: list[int] = []
    for index in gains.argsort(descending=True, stable=True).tolist():
        if not any(alike[index][other] for other in taken):
            taken.append(index)
    return torch.tensor(taken, device=gains.device)


def _size(rows: Tensor) -> Tensor:
    """The mean norm of rows, 1 where all are zero."""
    size = rows.norm(dim=1).mean()
    return torch.where(size > 0, size, 1.0)
