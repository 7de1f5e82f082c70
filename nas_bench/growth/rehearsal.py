"""A growth tried on a few samples, which says what it will cost on all of them."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass

from torch import Generator

from nas_bench.growth.batches import Batch, checked
from nas_bench.growth.event import GrowthEvent
from nas_bench.growth.kaiming import gaussian, random_fan_in
from nas_bench.growth.method import GrowthMethod, NewNeurons
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.text import human, spoken

FEW, MANY = 64, 1000
"""A quarter of the samples is tried, but at least and at most so many."""


@dataclass(frozen=True)
class GrowthCost:
    """What a growth will cost, by part.

    Attributes:
        flops: multiply-adds, estimated, as events count them.
        seconds: estimated, at the speed of the trial.
    """

    flops: Mapping[str, float]
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        whole = _spoken(sum(self.flops.values()), sum(self.seconds.values()))
        paid = {part: flops for part, flops in self.flops.items() if flops}
        parts = [f"{p.replace('_', ' ')} {_spoken(f, self.seconds[p])}" for p, f in paid.items()]
        return f"about {whole}" + (f" ({'; '.join(parts)})" if parts else "")


def few(count: int) -> int:
    """How many of so many samples are tried."""
    return min(count, max(FEW, min(count // 4, MANY)))


def count_samples(batches: Iterable[Batch], limit: float) -> int:
    """How many samples the data has, counted up to a limit."""
    total = 0
    for number, batch in enumerate(batches, start=1):
        total += len(checked(batch, f"batch {number}")[0])
        if total >= limit:
            return int(limit)
    return total


def extrapolated(
    tried: Callable[[int, int], list[GrowthEvent]], samples: int, searched: int
) -> GrowthCost:
    """The cost of a growth, from two trials of it.

    FLOPs are in proportion to the samples; those of a decomposition, which may read some, and all
    seconds lie on the line through both trials.

    Args:
        tried: the events of a growth on so many samples, with so many of the search batch.
        samples: of the statistics.
        searched: of the search batch.
    """
    n, s = few(samples), few(searched)
    half, events = tried(max(1, n // 2), max(1, s // 2)), tried(n, s)
    flops, seconds = {}, _total(event.seconds for event in events)
    less = _total(event.flops for event in half), _total(event.seconds for event in half)
    for part, f in _total(event.flops for event in events).items():
        now, whole = (s, searched) if part == "line_search" else (n, samples)
        further = (whole - now) / max(1, now - now // 2)
        rise = max(0.0, f - less[0].get(part, f)) * further
        flops[part] = f + rise if part == "decomposition" else f * whole / now
        seconds[part] += max(0.0, seconds[part] - less[1].get(part, seconds[part])) * further
    return GrowthCost(flops, seconds)


def eager(method: GrowthMethod) -> GrowthMethod:
    """The method, with random neurons in place of those that were not significant.

    On a few samples fewer are, and what is not proposed costs no line search.
    """

    class Eager(type(method)):
        __slots__ = ()

        def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
            proposal = super().propose(statistics, k, generator)
            if not isinstance(proposal, NewNeurons):  # which the growth refuses
                return proposal
            lacking = min(proposal.dropped, k - len(proposal))
            if lacking <= 0:
                return proposal
            return proposal.joined(_random(statistics, lacking, generator))

    trial = copy(method)
    object.__setattr__(trial, "__class__", Eager)  # also of a frozen class, and one with slots
    return trial


def _random(statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
    fan_in = random_fan_in(statistics, k, generator)
    taps, d = statistics.taps, statistics.outputs
    fan_out = gaussian(k, taps * d, generator, fan_in).unflatten(1, (taps, d))
    return NewNeurons(fan_in, fan_out, fan_in.new_zeros(k))


def _total(costs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for cost in costs:
        for part, value in cost.items():
            total[part] = total.get(part, 0.0) + value
    return total


def _spoken(flops: float, seconds: float) -> str:
    return f"{human(flops)} FLOPs, {spoken(seconds)}"
