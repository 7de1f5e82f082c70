"""Sums over the data at a convolutional site, from patches made a few samples at a time."""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_bench.growth.capture import Captured
from nas_bench.growth.fields import Field, chunks, total
from nas_bench.growth.linalg import gram
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.method import Need
from nas_bench.growth.sites import Site
from nas_bench.growth.sums import Part, SiteSamples, Sums, sample_limit


@dataclass(frozen=True)
class FieldProducts:
    """Products of the maps that one batch shows at a site, in the precision of the maps.

    Attributes:
        field: the geometry of the site.
        inputs: what the grown layer reads, shape (n, C, H, W).
        hidden: what the next layer reads, shape (n, width, H', W').
        goals: v, shape (n, d, H″, W″), or None.
    """

    field: Field
    inputs: Tensor
    hidden: Tensor
    goals: Tensor | None

    @classmethod
    def of(cls, site: Site, field: Field, seen: Captured) -> "FieldProducts":
        """Those of a batch; rows behind a flatten become maps again."""
        hidden, goals = seen.inputs[site.next], seen.goals.get(site.next)
        if hidden.dim() == 2:
            hidden = hidden.unflatten(1, (-1, *field.size))
            goals = None if goals is None else goals[:, :, None, None]
        return cls(field, seen.inputs[site.grown], hidden, goals)

    def part(self, site: Site, needs: Need, keys: Tensor) -> Part:
        """The batch's share in the statistics of a site."""
        samples = (self._samples(keys),) if Need.SAMPLES in needs else ()
        maps = SiteMaps(self.field, keys, self.inputs, self.hidden, self.goals)
        return Part(self._sums(needs), samples, (maps,) if Need.MAPS in needs else ())

    def _samples(self, keys: Tensor) -> SiteSamples:
        """The patches of the samples with the smallest keys."""
        height, width = self.field.grown.positions(*self.inputs.shape[2:])
        order = keys.argsort()[: sample_limit(height * width)]
        patches = self.field.grown.patches(self.inputs[order.to(self.inputs.device)])
        rows = patches.flatten(2).permute(1, 2, 0).double()
        return SiteSamples(keys[order], rows, None, None)

    def _sums(self, needs: Need) -> Sums:
        v = None if self.goals is None else self.goals.transpose(0, 1).flatten(1)
        return Sums(
            count=len(self.inputs),
            goal_gram=None if v is None else (v @ v.T).double(),
            **self._at_grown(needs),
            **self._at_next(needs),
        )

    def _at_grown(self, needs: Need) -> dict[str, Tensor]:
        """Products of what the grown layer reads, carried to where the next layer reads it."""
        made: dict[str, list[Tensor]] = defaultdict(list)
        field, positions = self.field, self.field.size[0] * self.field.size[1]
        readers = field.next.readers(*field.size, self.inputs)
        root = None if (readers == 1).all() else readers.sqrt()
        if Need.GOAL in needs and self.goals is not None:
            constant, goals = field.constant(self.inputs[:1]), self.goals.sum(0, keepdim=True)
            made["goal_sum"].append(field.cross(constant, goals)[0])
        cross = Need.GOAL in needs and Need.MAPS not in needs
        for part in chunks(field.grown, self.inputs):
            patches = field.grown.patches(self.inputs[part])
            if Need.PATCHES in needs:
                made["patch_gram"].append(_gram(patches))
            carried, mean = field.carried(patches)
            if cross and self.goals is not None:
                made["input_goal"].append(field.cross(carried, self.goals[part]))
            if field.normalised_flat:
                made["tap_inputs"].append(carried.sum(1).flatten(1))
            if Need.INPUTS in needs:
                weighted = _gram(carried if root is None else carried.mul_(root))
                squares = weighted.diagonal()
                made["input_gram"].append(weighted)
            else:
                squares = (carried.square() * readers).sum((1, 2, 3))
            made["inputs"].append(torch.stack((mean * positions, squares)))
        return {name: total(parts) for name, parts in made.items()}

    def _at_next(self, needs: Need) -> dict[str, Tensor]:
        """Products of what the next layer reads."""
        if Need.HIDDEN not in needs:
            return {}
        made: dict[str, list[Tensor]] = defaultdict(list)
        for part in chunks(self.field.next, self.hidden):
            patches = self.field.next.patches(self.hidden[part])
            made["hidden_gram"].append(_gram(patches))
            if self.goals is not None:
                v = self.goals[part].transpose(0, 1).flatten(1)
                made["hidden_goal"].append(patches.flatten(1) @ v.T)
        return {name: total(parts) for name, parts in made.items()}


def _gram(maps: Tensor) -> Tensor:
    return gram(maps.flatten(1).T)
