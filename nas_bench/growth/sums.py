"""What a batch adds to the statistics of sites: sums, and samples or maps where asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from nas_bench.growth.maps import SiteMaps

SAMPLES, SAMPLED_ROWS = 5000, 20_000


def sample_limit(positions: int) -> int:
    """How many samples of so many rows a sample holds at most."""
    return max(2, min(SAMPLES, SAMPLED_ROWS // positions))


@dataclass(frozen=True)
class SiteSamples:
    """A bounded random sample of the data at a site.

    Attributes:
        keys: random, shape (s,); the smallest keys of all samples are kept, so samples merge.
        inputs: b₂, shape (s, positions, p).
        hidden: b₁, shape (s, positions, m); None where the hidden activity is a map.
        goals: v, shape (s, positions, d), or None if goals were not measured.
    """

    keys: Tensor
    inputs: Tensor
    hidden: Tensor | None
    goals: Tensor | None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def limit(self) -> int:
        """How many there are at most."""
        return sample_limit(self.inputs.shape[1])

    @classmethod
    def joined(cls, parts: Sequence["SiteSamples"]) -> "SiteSamples":
        """Of all parts together at most `limit` samples, the smallest keys in their order."""
        whole = cls(
            keys=torch.cat([part.keys for part in parts]),
            inputs=torch.cat([part.inputs for part in parts]),
            hidden=_joined([part.hidden for part in parts]),
            goals=_joined([part.goals for part in parts]),
        )
        return whole._bounded()

    def _bounded(self) -> "SiteSamples":
        order = self.keys.argsort()[: self.limit]
        there = order.to(self.inputs.device)
        return SiteSamples(
            keys=self.keys[order],
            inputs=self.inputs[there],
            hidden=None if self.hidden is None else self.hidden[there],
            goals=None if self.goals is None else self.goals[there],
        )

    def trimmed(self, grown_bias: bool, next_bias: bool) -> "SiteSamples":
        """Without the constant 1 where a layer has no bias."""
        inputs, hidden = self.inputs, self.hidden
        if hidden is not None and not next_bias:
            hidden = hidden[..., :-1]
        return replace(self, inputs=inputs if grown_bias else inputs[..., :-1], hidden=hidden)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if len(there) == len(parts) else None


@dataclass(frozen=True)
class Sums:
    """Sums over samples and positions, in float64; a constant 1 is always appended to b₂ and b₁.

    Where the hidden activity is a map, b₂ stands for ū(q, o), what the grown layer reads carried
    to each tap o of each position q of the next layer, and b₁ for the next layer's patches.

    Attributes:
        count: samples.
        inputs: Σ b₂ and Σ b₂² , shape (2, p'), p' features and the constant.
        input_gram: Σ b₂ b₂ᵀ, shape (p', p').
        hidden_gram: Σ b₁ b₁ᵀ, shape (m', m').
        input_hidden: Σ b₂ b₁ᵀ, shape (p', m').
        input_goal: Σ b₂ vᵀ, shape (p', taps · d).
        hidden_goal: Σ b₁ vᵀ, shape (m', d).
        goal_gram: Σ v vᵀ, shape (d, d).
        goal_sum: Σ v for each tap, shape (taps · d,); behind a batch norm only what its constant
            reaches.
        tap_inputs: Σ b₂ for each tap, shape (p', taps), where a batch norm takes their means.
        patch_gram: Σ u uᵀ over the grown layer's own positions, shape (p', p').
    """

    count: int
    inputs: Tensor | None = None
    input_gram: Tensor | None = None
    hidden_gram: Tensor | None = None
    input_hidden: Tensor | None = None
    input_goal: Tensor | None = None
    hidden_goal: Tensor | None = None
    goal_gram: Tensor | None = None
    goal_sum: Tensor | None = None
    tap_inputs: Tensor | None = None
    patch_gram: Tensor | None = None

    def __add__(self, other: "Sums") -> "Sums":
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        sums: dict[str, Any] = {
            k: None if a is None or b is None else a + b for k, (a, b) in pairs.items()
        }
        return Sums(**sums)


@dataclass(frozen=True)
class Part:
    """What one batch, or several, add to the statistics of a site."""

    sums: Sums
    samples: tuple[SiteSamples, ...] = ()
    maps: tuple[SiteMaps, ...] = ()

    def plus(self, other: "Part") -> "Part":
        """Both together, with at most twice as many samples as one may have."""
        samples = self.samples + other.samples
        if samples and sum(len(part) for part in samples) > 2 * samples[0].limit:
            samples = (SiteSamples.joined(samples),)
        return Part(self.sums + other.sums, samples, self.maps + other.maps)
