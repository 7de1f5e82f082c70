"""Site statistics: sums over the data, gathered for all sites in one pass.

Notation of *Growing Tiny Networks* (Verbockhaven et al., arXiv 2405.19816), samples in rows: b₂ is
what the grown layer reads, b₁ what the next layer reads, each with a constant 1 last where the
layer has a bias; v = −∂ℓ/∂a is the goal update of the next layer's pre-activity, per sample;
E is the sum over positions and the mean over samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from nas_bench.growth.linalg import whitening
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.sums import SiteSamples, Sums

FLOAT64_CUT = 1e-10
FLOAT32_CUT = 1e-6


@dataclass(frozen=True)
class SiteStatistics:
    """What the data says about one site: everything a growth method may read.

    A method reads only what it declared in `needs`; the rest raises an error that says so.

    Attributes:
        site: name of the grown layer.
        sums: over the data.
        positions: rows per sample of what new neurons would add to the next layer's input.
        grown_weight: of the grown layer, bias last, shape (width, p).
        next_weight: of the next layer, bias last, shape (d, m); all taps of a hidden neuron
            stand together.
        grown_bias: whether the grown layer has a bias.
        next_bias: whether the next layer has a bias.
        cut: relative cut of eigenvalues that belongs to the precision of the products.
        activation: what the path's activations make of rows of pre-activities (…, k): of new
            neurons, or of copies of the existing neurons in its second argument.
        batch_norm: whether a batch norm is in the path.
        samples: a bounded random sample, where declared.
        taps: how often the next layer reads each hidden neuron; 1 for linear layers.
        maps: of all samples, where declared and the hidden activity is a map.
        linear: whether both layers are linear and nothing is a map.
    """

    site: str
    sums: Sums
    positions: int
    grown_weight: Tensor
    next_weight: Tensor
    grown_bias: bool
    next_bias: bool
    cut: float
    activation: Callable[[Tensor, Tensor | None], Tensor]
    batch_norm: bool
    samples: SiteSamples | None = None
    taps: int = 1
    maps: SiteMaps | None = None
    linear: bool = True

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
            samples = samples.merged(other.samples)
        maps = None if self.maps is None or other.maps is None else self.maps + other.maps
        return replace(self, sums=self.sums + other.sums, samples=samples, maps=maps)

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
    def patch_covariance(self) -> Tensor:
        """E Σ_r u uᵀ over all positions r of the pre-activities, shape (p, p)."""
        gram = self._read(self.sums.patch_gram, "patch_covariance", "PATCHES")
        return self._inputs(self._inputs(gram).T).T

    @cached_property
    def tap_covariance(self) -> Tensor:
        """E Σ_q ū(q, o) ū(q, o')ᵀ for all pairs of taps, shape (p, taps, p, taps)."""
        p = self.grown_weight.shape[1]
        return self._kept.tap_gram()[:p, :, :p]

    @cached_property
    def fan_out(self) -> Tensor:
        """The weights by which the next layer reads each hidden neuron, shape (width, taps, d)."""
        columns = self.next_weight[:, : self.width * self.taps]
        return columns.reshape(self.outputs, self.width, self.taps).permute(1, 2, 0)

    @cached_property
    def hidden_cross(self) -> Tensor:
        """P = E[b₂ b₁ᵀ], shape (p, m)."""
        cross = self._read(self.sums.input_hidden, "hidden_cross", "CROSS")
        return self._hidden(self._inputs(cross).T).T

    @cached_property
    def cross_covariance(self) -> Tensor:
        """Ñ = E[b₂ vᵀ], shape (p, taps · d)."""
        if self.maps is not None and self.sums.input_goal is None:
            return self.cross_with(self.maps, self.goals)
        return self._inputs(self._read(self.sums.input_goal, "cross_covariance", "GOAL"))

    @cached_property
    def hidden_goal(self) -> Tensor:
        """M = E[b₁ vᵀ], shape (m, d)."""
        return self._hidden(self._read(self.sums.hidden_goal, "hidden_goal", "GOAL"))

    @cached_property
    def goal_sum(self) -> Tensor:
        """E v, summed over the positions that each tap reads, shape (taps · d,)."""
        return self._read(self.sums.goal_sum, "goal_sum", "GOAL")

    @cached_property
    def mean_cross(self) -> Tensor:
        """What the means that batch norm removes make of Ñ, shape (p, taps · d)."""
        if self.sums.tap_inputs is None:
            return self.input_mean[:, None] * self.goal_sum
        means = self._inputs(self.sums.tap_inputs / self.count)
        return (means[:, :, None] * self.goal_sum.unflatten(0, (self.taps, -1))).flatten(1)

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
        """N = E[b₂ v_pᵀ], shape (p, taps · d); with rows, N = Ñ − P δW*ᵀ."""
        if self.maps is not None:
            return self.cross_with(self.maps, self.residual_goals)
        return self.cross_covariance - self.hidden_cross @ self.weight_update.T

    @cached_property
    def residual_goals(self) -> Tensor:
        """v_p = v − δW* ⋆ b₁ of every sample, shape of the maps' goals."""
        return self.goals - self._kept.fitted(self.weight_update)

    @property
    def goals(self) -> Tensor:
        """The goal update v of every sample, where maps were kept."""
        if self._kept.goals is None:
            raise ValueError(
                f"the goals of {self.site} were not measured; "
                "declare Need.GOAL in the method's needs"
            )
        return self._kept.goals

    @property
    def _kept(self) -> SiteMaps:
        if self.maps is None:
            raise ValueError(
                f"the maps of {self.site} were not kept; declare Need.MAPS in the method's needs"
            )
        return self.maps

    def cross_with(self, maps: SiteMaps, goals: Tensor) -> Tensor:
        """E[b₂ gᵀ] over some maps of this site and goals g, shape (p, taps · d)."""
        return self._inputs(maps.cross(goals))

    def hidden_cross_with(self, maps: SiteMaps, goals: Tensor) -> Tensor:
        """E[b₁ gᵀ] over some maps of this site and goals g, shape (m, d)."""
        return self._hidden(maps.hidden_cross(goals))

    def hidden_gram_of(self, maps: SiteMaps) -> Tensor:
        """E[b₁ b₁ᵀ] over some maps of this site, shape (m, m)."""
        return self._hidden(self._hidden(maps.hidden_gram()).T).T

    def rescaling(self, fan_in: Tensor, fan_out: Tensor, *, projected: bool) -> float:
        """t* = ⟨g, v_new⟩/‖v_new‖²: how far the neurons' linear part should go towards the goal.

        1 with a single tap, where the decomposition is exact, and where nothing is proposed.

        Args:
            fan_in: α, shape (k, p).
            fan_out: ω, shape (k, taps, d).
            projected: whether the goal g is v_p (else v itself).
        """
        if self.taps == 1 or not len(fan_in):
            return 1.0
        goals = self.residual_goals if projected else self.goals
        change = self._kept.change(fan_in, fan_out).double()
        size = float(change.square().sum())
        return float((goals.double() * change).sum()) / size if size > 0 else 1.0

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
