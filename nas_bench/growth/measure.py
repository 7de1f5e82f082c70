"""Measuring site statistics: one forward and backward pass for all sites together."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nas_bench.growth.capture import Batch, Captured, Loss, Passes, capture
from nas_bench.growth.linalg import gram
from nas_bench.growth.method import Need
from nas_bench.growth.paths import follow
from nas_bench.growth.sites import Site, linear
from nas_bench.growth.statistics import (
    FLOAT32_CUT,
    FLOAT64_CUT,
    SiteSamples,
    SiteStatistics,
    Sums,
    sample_limit,
)


def statistics_batch(inputs: int, positions: int, dataset: int, factor: float = 1.0) -> int:
    """How many samples statistics need: n = clip(c p²/P, 500, dataset) (TINY, D.1).

    Args:
        inputs: p, what the grown layer reads, with the constant.
        positions: P, rows per sample.
        dataset: samples there are.
        factor: c.
    """
    return min(max(round(factor * inputs**2 / positions), 500), dataset)


def measure(
    model: nn.Module,
    sites: Sequence[Site],
    batches: Iterable[Batch],
    loss: Loss,
    needs: Mapping[str, Need],
    *,
    seed: int = 0,
) -> dict[str, SiteStatistics]:
    """The statistics of all sites from one pass over the data, in eval mode.

    Products are made in the precision of the network, sums and the solutions in float64.

    Args:
        model: left as it is.
        sites: to measure.
        batches: of (inputs, targets).
        loss: of (outputs, targets), the mean over samples.
        needs: what is read of each site, by its name; where nothing is read anywhere, no pass is
            made.
        seed: of the random sample; statistics that are to be added need different ones.

    Raises:
        ValueError: if there is no data.
    """
    needs = {site.name: needs.get(site.name, Need.NOTHING) for site in sites}
    wanted = [site for site in sites if needs[site.name]]
    goals = any(Need.GOAL in needs[site.name] for site in wanted)
    generator = torch.Generator().manual_seed(seed)
    sums: dict[str, Sums] = {}
    samples: dict[str, SiteSamples] = {}
    device = next(model.parameters()).device
    stream = batches if isinstance(batches, Passes) else Passes(batches, device)
    for batch in stream if wanted else ():
        seen = capture(model, wanted, batch, loss, goals=goals)
        products = _Products(seen)
        keys = torch.rand(seen.samples, generator=generator, dtype=torch.float64)
        for site in wanted:
            new = products.sums(site, needs[site.name])
            sums[site.name] = sums[site.name] + new if site.name in sums else new
            if Need.SAMPLES in needs[site.name]:
                sample = products.samples(site, keys, _biases(model, site))
                old = samples.get(site.name)
                merged = sample if old is None else old.merged(sample)
                samples[site.name] = merged.smallest(sample_limit(site.positions))
    if wanted and not sums:
        raise ValueError("no data to measure: the batches are empty")
    return {s.name: _statistics(model, s, sums.get(s.name), samples.get(s.name)) for s in sites}


class _Products:
    """Products of what one batch shows; those that sites share are made once."""

    def __init__(self, seen: Captured) -> None:
        self.seen = seen
        self.made: dict[tuple[str, ...], Tensor] = {}

    def sums(self, site: Site, needs: Need) -> Sums:
        """The batch's share in the sums of a site."""
        grown, following = site.grown, site.next
        hidden, goal = Need.HIDDEN in needs, Need.GOAL in needs
        return Sums(
            count=self.seen.samples,
            input_gram=self._gram(grown, grown) if Need.INPUTS in needs else None,
            inputs=self._moments(grown),  # after the Gram, whose diagonal it takes
            hidden_gram=self._gram(following, following) if hidden else None,
            input_hidden=self._gram(grown, following) if Need.CROSS in needs else None,
            input_goal=self._with_goal(grown, following) if goal else None,
            hidden_goal=self._with_goal(following, following) if goal else None,
            goal_gram=self._goal_gram(following) if goal else None,
        )

    def samples(self, site: Site, keys: Tensor, biases: tuple[bool, bool]) -> SiteSamples:
        """The batch's rows of a site, those with the smallest keys."""
        order = keys.argsort()[: sample_limit(site.positions)]

        def rows(x: Tensor, constant: bool) -> Tensor:
            chosen = x[order.to(x.device)].flatten(1, -2) if x.dim() > 2 else x[order, None]
            ones = chosen.new_ones(*chosen.shape[:-1], 1)
            return (torch.cat((chosen, ones), -1) if constant else chosen).double()

        goals = self.seen.goals.get(site.next)
        return SiteSamples(
            keys=keys[order],
            inputs=rows(self.seen.inputs[site.grown], biases[0]),
            hidden=rows(self.seen.inputs[site.next], biases[1]),
            goals=None if goals is None else rows(goals, False),
        )

    def _moments(self, layer: str) -> Tensor:
        def make() -> Tensor:
            x = self._rows(layer)
            whole = self.made.get(("gram", layer, layer))
            squares = x.square().sum(0) if whole is None else whole.diagonal()[:-1]
            ones = x.new_full((2, 1), len(x), dtype=torch.float64)
            return torch.cat((torch.stack((self._sum(layer), squares.double())), ones), 1)

        return self._once(("moments", layer), make)

    def _gram(self, left: str, right: str) -> Tensor:
        def make() -> Tensor:
            x, y = self._rows(left), self._rows(right)
            product = gram(x) if left == right else x.T @ y
            return _bordered(product, self._sum(left), self._sum(right), len(x))

        return self._once(("gram", left, right), make)

    def _sum(self, layer: str) -> Tensor:
        return self._once(("sum", layer), lambda: self._rows(layer).sum(0))

    def _with_goal(self, layer: str, following: str) -> Tensor:
        def make() -> Tensor:
            x, v = self._rows(layer), self.seen.goals[following].flatten(0, -2)
            return torch.cat(((x.T @ v).double(), v.double().sum(0)[None]))

        return self._once(("goal", layer, following), make)

    def _goal_gram(self, following: str) -> Tensor:
        def make() -> Tensor:
            v = self.seen.goals[following].flatten(0, -2)
            return v.T @ v

        return self._once(("goals", following), make)

    def _rows(self, layer: str) -> Tensor:
        return self.seen.inputs[layer].flatten(0, -2)

    def _once(self, key: tuple[str, ...], make: Callable[[], Tensor]) -> Tensor:
        if key not in self.made:
            self.made[key] = make().double()
        return self.made[key]


def _bordered(product: Tensor, left: Tensor, right: Tensor, rows: int) -> Tensor:
    """The product of two sets of rows, given their sums, with a constant 1 appended to both."""
    bordered = left.new_full((len(left) + 1, len(right) + 1), rows)
    bordered[:-1, :-1] = product
    bordered[:-1, -1] = left
    bordered[-1, :-1] = right
    return bordered


def _biases(model: nn.Module, site: Site) -> tuple[bool, bool]:
    grown, following = linear(model, site.grown), linear(model, site.next)
    return grown.bias is not None, following.bias is not None


def _affine(layer: nn.Linear) -> Tensor:
    """The layer's weight with its bias last, in float64."""
    weight = layer.weight.detach()
    columns = weight if layer.bias is None else torch.cat((weight, layer.bias[:, None]), 1)
    return columns.detach().double()


def _statistics(
    model: nn.Module, site: Site, sums: Sums | None, samples: SiteSamples | None
) -> SiteStatistics:
    grown, following = linear(model, site.grown), linear(model, site.next)
    exact = grown.weight.dtype == torch.float64
    return SiteStatistics(
        site=site.name,
        sums=sums or Sums(0),
        positions=site.positions,
        grown_weight=_affine(grown),
        next_weight=_affine(following),
        grown_bias=grown.bias is not None,
        next_bias=following.bias is not None,
        cut=FLOAT64_CUT if exact else FLOAT32_CUT,
        activation=lambda z: follow(model, site.path, z),
        batch_norm=bool(site.batch_norms),
        samples=samples,
    )
