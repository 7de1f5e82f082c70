"""The maps of a batch at a convolutional site, kept so that nothing of size (taps, p, m) is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas_bench.growth.fields import Field, chunks, total
from nas_bench.growth.linalg import gram, signed_sums, trimmed


@dataclass(frozen=True)
class SiteMaps:
    """What both layers of a convolutional site read and what is wanted, sample by sample.

    Attributes:
        field: the geometry of the site.
        keys: random, shape (n,): the order in which a few samples stand for all.
        inputs: what the grown layer reads, shape (n, C, H, W).
        hidden: what the next layer reads, shape (n, width, H', W').
        goals: v, shape (n, d, H″, W″); None if goals were not measured.
        grown_bias: whether the grown layer has a bias, whose constant then is last in products.
        next_bias: likewise of the next layer.
    """

    field: Field
    keys: Tensor
    inputs: Tensor
    hidden: Tensor
    goals: Tensor | None
    grown_bias: bool = True
    next_bias: bool = True

    def __len__(self) -> int:
        return len(self.inputs)

    def __add__(self, other: "SiteMaps") -> "SiteMaps":
        """The maps of both parts of the data."""
        return SiteMaps.joined([self, other])

    @staticmethod
    def joined(parts: Sequence["SiteMaps"]) -> "SiteMaps":
        """The maps of all parts of the data."""
        goals = [part.goals for part in parts if part.goals is not None]
        return replace(
            parts[0],
            keys=torch.cat([part.keys for part in parts]),
            inputs=torch.cat([part.inputs for part in parts]),
            hidden=torch.cat([part.hidden for part in parts]),
            goals=torch.cat(goals) if goals else None,
        )

    def some(self, count: int) -> "SiteMaps":
        """A random sample of the samples."""
        order = self.keys.argsort()[:count].to(self.inputs.device)
        return replace(
            self,
            keys=self.keys[order.cpu()],
            inputs=self.inputs[order],
            hidden=self.hidden[order],
            goals=None if self.goals is None else self.goals[order],
        )

    def cross(self, goals: Tensor) -> Tensor:
        """E Σ_q ū(q, o) g(q)ᵀ for goals g in place of v, shape (p, taps · d), float64."""
        parts = [self.field.cross(carried, goals[part]) for part, carried in self._carried()]
        return trimmed(total(parts) / len(self), self.grown_bias)

    def signed_crosses(self, goals: Tensor, signs: Tensor) -> Tensor:
        """`cross` of goals whose samples have signs, shape (draws, p, taps · d), float64.

        Args:
            goals: shape of v.
            signs: shape (draws, n).
        """
        parts = []
        for part, carried in self._carried():
            left, right = self.field.products(carried, goals[part])
            sums = signed_sums(signs[:, part], left, right)
            parts.append(sums.reshape(len(signs), len(carried), -1))
        crosses = total(parts) / len(self)
        return crosses if self.grown_bias else crosses[:, :-1]

    def signed_hidden_crosses(self, goals: Tensor, signs: Tensor) -> Tensor:
        """`hidden_cross` of goals whose samples have signs, shape (draws, m, d), float64."""
        kernel, parts = self.field.next, []
        for part in chunks(kernel, self.hidden):
            read = kernel.patches(self.hidden[part]).flatten(2).transpose(0, 1)
            parts.append(signed_sums(signs[:, part], read, goals[part].flatten(2).mT))
        crosses = total(parts) / len(self)
        return crosses if self.next_bias else crosses[:, :-1]

    def hidden_products(self) -> Tensor:
        """E Σ_q ū(q, o) b₁(q)ᵀ for every tap, shape (p, taps · m), float64."""
        kernel, parts = self.field.next, []
        for part, carried in self._carried():
            read = kernel.patches(self.hidden[part]).transpose(0, 1)
            parts.append(self.field.cross(carried, read if self.next_bias else read[:, :-1]))
        return trimmed(total(parts) / len(self), self.grown_bias)

    def _carried(self) -> Iterator[tuple[slice, Tensor]]:
        """ū of some samples after the other."""
        for part in chunks(self.field.grown, self.inputs):
            carried, _ = self.field.carried(self.field.grown.patches(self.inputs[part]))
            yield part, carried

    def tap_gram(self) -> Tensor:
        """E Σ_q ū(q, o) ū(q, o')ᵀ, shape (p, taps, p, taps), float64."""
        field, parts = self.field, []
        for part in chunks(field.grown, self.inputs, field.next.taps):
            carried, _ = field.carried(field.grown.patches(self.inputs[part]))
            read = field.next.patches(carried.transpose(0, 1))[:-1]
            parts.append(gram(read.flatten(1).T))
        shape = (-1, field.next.taps)
        product = (total(parts) / len(self)).unflatten(1, shape).unflatten(0, shape)
        return product if self.grown_bias else product[:-1, :, :-1]

    def hidden_cross(self, goals: Tensor) -> Tensor:
        """E Σ_q b₁(q) g(q)ᵀ for goals g in place of v, shape (m, d), float64."""
        product = self.field.next.weight_gradient(self.hidden, goals).flatten(1)
        if self.next_bias:
            product = torch.cat((product, goals.sum((0, 2, 3))[:, None]), 1)
        return product.T.double() / len(self)

    def hidden_gram(self) -> Tensor:
        """E Σ_q b₁(q) b₁(q)ᵀ, shape (m, m), float64."""
        kernel = self.field.next
        parts = [
            gram(kernel.patches(self.hidden[part]).flatten(1).T)
            for part in chunks(kernel, self.hidden)
        ]
        return trimmed(total(parts) / len(self), self.next_bias, self.next_bias)

    def fitted(self, update: Tensor) -> Tensor:
        """What a weight (d, m) of the next layer makes of the hidden maps, shape of the goals."""
        return self.field.next.apply(self.hidden, update.to(self.hidden))

    def change(self, fan_in: Tensor, fan_out: Tensor) -> Tensor:
        """v_new = Σ_k ω_k α_kᵀ ū, shape of the goals."""
        weights = fan_in.to(self.inputs), fan_out.to(self.inputs)
        return self.field.linear_change(self.inputs, *weights)
