"""Site statistics: sums over the data, gathered for all sites in one pass.

Notation of *Growing Tiny Networks* (Verbockhaven et al., arXiv 2405.19816), samples in rows: b₂ is
what the grown layer reads, b₁ what the next layer reads, each with a constant 1 last where the
layer has a bias; v = −∂ℓ/∂a is the goal update of the next layer's pre-activity, per sample;
E is the sum over positions and the mean over samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nas_bench.growth.linalg import whitening

FLOAT64_CUT = 1e-10
FLOAT32_CUT = 1e-6
SAMPLES, SAMPLED_ROWS = 1000, 20_000


def sample_limit(positions: int) -> int:
    """How many samples of so many rows a sample holds at most."""
    return max(2, min(SAMPLES, SAMPLED_ROWS // positions))


@dataclass(frozen=True)
class SiteSamples:
    """A bounded random sample of the data at a site.

    Attributes:
        keys: random, shape (s,); the smallest keys of all samples are kept, so samples merge.
        inputs: b₂, shape (s, positions, p).
        hidden: b₁, shape (s, positions, m).
        goals: v, shape (s, positions, d), or None if goals were not measured.
    """

    keys: Tensor
    inputs: Tensor
    hidden: Tensor
    goals: Tensor | None

    def smallest(self, limit: int) -> "SiteSamples":
        """The `limit` samples with the smallest keys, in the order of their keys."""
        order = self.keys.argsort()[:limit]
        there = order.to(self.inputs.device)
        goals = None if self.goals is None else self.goals[there]
        return SiteSamples(self.keys[order], self.inputs[there], self.hidden[there], goals)

    def merged(self, other: "SiteSamples") -> "SiteSamples":
        """Both samples together."""
        goals = None
        if self.goals is not None and other.goals is not None:
            goals = torch.cat((self.goals, other.goals))
        return SiteSamples(
            keys=torch.cat((self.keys, other.keys)),
            inputs=torch.cat((self.inputs, other.inputs)),
            hidden=torch.cat((self.hidden, other.hidden)),
            goals=goals,
        )


@dataclass(frozen=True)
class Sums:
    """Sums over samples and positions, in float64; a constant 1 is always appended to b₂ and b₁.

    Attributes:
        count: samples.
        inputs: Σ b₂ and Σ b₂² , shape (2, p'), p' features and the constant.
        input_gram: Σ b₂ b₂ᵀ, shape (p', p').
        hidden_gram: Σ b₁ b₁ᵀ, shape (m', m').
        input_hidden: Σ b₂ b₁ᵀ, shape (p', m').
        input_goal: Σ b₂ vᵀ, shape (p', d).
        hidden_goal: Σ b₁ vᵀ, shape (m', d).
        goal_gram: Σ v vᵀ, shape (d, d).
    """

    count: int
    inputs: Tensor | None = None
    input_gram: Tensor | None = None
    hidden_gram: Tensor | None = None
    input_hidden: Tensor | None = None
    input_goal: Tensor | None = None
    hidden_goal: Tensor | None = None
    goal_gram: Tensor | None = None

    def __add__(self, other: "Sums") -> "Sums":
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        sums: dict[str, Any] = {
            k: None if a is None or b is None else a + b for k, (a, b) in pairs.items()
        }
        return Sums(**sums)


@dataclass(frozen=True)
class SiteStatistics:
    """What the data says about one site: everything a growth method may read.

    A method reads only what it declared in `needs`; the rest raises an error that says so.

    Attributes:
        site: name of the grown layer.
        sums: over the data.
        positions: rows per sample.
        grown_weight: of the grown layer, bias last, shape (width, p).
        next_weight: of the next layer, bias last, shape (d, m).
        grown_bias: whether the grown layer has a bias.
        next_bias: whether the next layer has a bias.
        cut: relative cut of eigenvalues that belongs to the precision of the products.
        activation: the path as a function of new channels' pre-activities (…, k).
        batch_norm: whether a batch norm is in the path.
        samples: a bounded random sample, where declared.
        taps: how often the next layer reads each hidden neuron; 1 for linear layers.
    """

    site: str
    sums: Sums
    positions: int
    grown_weight: Tensor
    next_weight: Tensor
    grown_bias: bool
    next_bias: bool
    cut: float
    activation: Callable[[Tensor], Tensor]
    batch_norm: bool
    samples: SiteSamples | None = None
    taps: int = 1

    def __add__(self, other: "SiteStatistics") -> "SiteStatistics":
        """The statistics of both parts of the data together.

        Raises:
            ValueError: if they are of different sites or of different weights.
        """
        same = self.site == other.site and torch.equal(self.grown_weight, other.grown_weight)
        if not same or not torch.equal(self.next_weight, other.next_weight):
            raise ValueError(
                f"statistics of {self.site} and {other.site} belong to different sites or "
                "weights; add statistics of one network only"
            )
        samples = self.samples
        if samples is not None and other.samples is not None:
            limit = sample_limit(self.positions)
            samples = samples.merged(other.samples).smallest(limit)
        return replace(self, sums=self.sums + other.sums, samples=samples)

    @property
    def count(self) -> int:
        """n, samples measured."""
        return self.sums.count

    @property
    def width(self) -> int:
        """Hidden neurons at present."""
        return len(self.grown_weight)

    @property
    def outputs(self) -> int:
        """d, outputs of the next layer."""
        return len(self.next_weight)

    @cached_property
    def input_mean(self) -> Tensor:
        """Mean of b₂ over samples and positions, shape (p,)."""
        return self._inputs(self._read(self.sums.inputs, "input_mean")[0]) / self.positions

    @cached_property
    def input_power(self) -> Tensor:
        """E b₂² of every input, the diagonal of S, shape (p,)."""
        return self._inputs(self._read(self.sums.inputs, "input_power")[1])

    @cached_property
    def covariance(self) -> Tensor:
        """S = E[b₂ b₂ᵀ], shape (p, p)."""
        gram = self._read(self.sums.input_gram, "covariance", "INPUTS")
        return self._inputs(self._inputs(gram).T).T

    @cached_property
    def hidden_covariance(self) -> Tensor:
        """S₁ = E[b₁ b₁ᵀ], shape (m, m)."""
        gram = self._read(self.sums.hidden_gram, "hidden_covariance", "HIDDEN")
        return self._hidden(self._hidden(gram).T).T

    @cached_property
    def hidden_cross(self) -> Tensor:
        """P = E[b₂ b₁ᵀ], shape (p, m)."""
        cross = self._read(self.sums.input_hidden, "hidden_cross", "CROSS")
        return self._hidden(self._inputs(cross).T).T

    @cached_property
    def cross_covariance(self) -> Tensor:
        """Ñ = E[b₂ vᵀ], shape (p, d)."""
        return self._inputs(self._read(self.sums.input_goal, "cross_covariance", "GOAL"))

    @cached_property
    def hidden_goal(self) -> Tensor:
        """M = E[b₁ vᵀ], shape (m, d)."""
        return self._hidden(self._read(self.sums.hidden_goal, "hidden_goal", "GOAL"))

    @cached_property
    def goal_sum(self) -> Tensor:
        """E v, summed over positions, shape (d,)."""
        return self._read(self.sums.input_goal, "goal_sum", "GOAL")[-1]

    @cached_property
    def goal_covariance(self) -> Tensor:
        """E[v vᵀ], shape (d, d)."""
        return self._read(self.sums.goal_gram, "goal_covariance", "GOAL")

    @cached_property
    def whitening(self) -> Tensor:
        """T with Tᵀ S T = I, shape (p, rank S)."""
        return whitening(self.covariance, self.cut)

    @cached_property
    def hidden_whitening(self) -> Tensor:
        """T₁ with T₁ᵀ S₁ T₁ = I, shape (m, rank S₁)."""
        return whitening(self.hidden_covariance, self.cut)

    @cached_property
    def weight_update(self) -> Tensor:
        """δW* = Mᵀ S₁⁺, the best update of the existing weights (Prop. 3.1), shape (d, m)."""
        T = self.hidden_whitening
        return self.hidden_goal.T @ T @ T.T

    @cached_property
    def residual_cross_covariance(self) -> Tensor:
        """N = Ñ − P δW*ᵀ = E[b₂ v_pᵀ], shape (p, d)."""
        return self.cross_covariance - self.hidden_cross @ self.weight_update.T

    @cached_property
    def residual_goal_covariance(self) -> Tensor:
        """E[v_p v_pᵀ] with v_p = v − δW* b₁, shape (d, d)."""
        update, M = self.weight_update, self.hidden_goal
        fitted = update @ M
        return (
            self.goal_covariance - fitted - fitted.T + update @ self.hidden_covariance @ update.T
        )

    @property
    def bottleneck(self) -> float:
        """Ψ = E‖v_p‖²: the part of the goal update that existing weights cannot do."""
        return float(self.residual_goal_covariance.trace())

    @property
    def gain_tolerance(self) -> float:
        """Gains up to it are rounding: the cut times √E‖v‖²."""
        return self.cut * float(self.goal_covariance.trace()) ** 0.5

    def _inputs(self, rows: Tensor) -> Tensor:
        """Rows (or entries) of b₂, without the constant where the grown layer has no bias."""
        return rows if self.grown_bias else rows[:-1]

    def _hidden(self, rows: Tensor) -> Tensor:
        return rows if self.next_bias else rows[:-1]

    def _read(self, total: Tensor | None, name: str, need: str = "INPUTS") -> Tensor:
        if total is None:
            raise ValueError(
                f"{name} of {self.site} was not measured; "
                f"declare Need.{need} in the method's needs"
            )
        return total / self.count
