"""Sums over the data at a site between linear layers: samples and positions are rows."""

from collections.abc import Callable

import torch
from torch import Tensor

from nas_bench.growth.capture import Captured
from nas_bench.growth.linalg import gram
from nas_bench.growth.method import Need
from nas_bench.growth.sites import Site
from nas_bench.growth.sums import Part, SiteSamples, Sums, sample_limit


class RowProducts:
    """Products of what one batch shows; those that sites share are made once."""

    def __init__(self, seen: Captured) -> None:
        self.seen = seen
        self.made: dict[tuple[str, ...], Tensor] = {}

    def part(self, site: Site, needs: Need, keys: Tensor) -> Part:
        """The batch's share in the statistics of a site."""
        samples = (self._samples(site, keys),) if Need.SAMPLES in needs else ()
        return Part(self._sums(site, needs), samples)

    def _sums(self, site: Site, needs: Need) -> Sums:
        grown, following = site.grown, site.next
        hidden, goal = Need.HIDDEN in needs, Need.GOAL in needs
        return Sums(
            count=self.seen.samples,
            input_gram=self._gram(grown, grown) if Need.INPUTS in needs else None,
            patch_gram=self._gram(grown, grown) if Need.PATCHES in needs else None,
            inputs=self._moments(grown),  # after the Gram, whose diagonal it takes
            hidden_gram=self._gram(following, following) if hidden else None,
            input_hidden=self._gram(grown, following) if Need.CROSS in needs else None,
            input_goal=self._with_goal(grown, following) if goal else None,
            hidden_goal=self._with_goal(following, following) if goal else None,
            goal_gram=self._goal_gram(following) if goal else None,
            goal_sum=self._with_goal(grown, following)[-1] if goal else None,
        )

    def _samples(self, site: Site, keys: Tensor) -> SiteSamples:
        """The batch's rows of a site, those with the smallest keys."""
        order = keys.argsort()[: sample_limit(site.positions)]

        def rows(x: Tensor) -> Tensor:
            chosen = x[order.to(x.device)].flatten(1, -2) if x.dim() > 2 else x[order, None]
            return chosen.double()

        goals = self.seen.goals.get(site.next)
        return SiteSamples(
            keys=keys[order],
            inputs=with_constant(rows(self.seen.inputs[site.grown])),
            hidden=with_constant(rows(self.seen.inputs[site.next])),
            goals=None if goals is None else rows(goals),
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


def with_constant(rows: Tensor) -> Tensor:
    """Rows (…, features) with a constant 1 last."""
    return torch.cat((rows, rows.new_ones(*rows.shape[:-1], 1)), -1)


def _bordered(product: Tensor, left: Tensor, right: Tensor, rows: int) -> Tensor:
    """The product of two sets of rows, given their sums, with a constant 1 appended to both."""
    bordered = left.new_full((len(left) + 1, len(right) + 1), rows)
    bordered[:-1, :-1] = product
    bordered[:-1, -1] = left
    bordered[-1, :-1] = right
    return bordered
