"""What was measured at a site, per sample: sums over the data, gathered for all sites in one pass.

Notation of *Growing Tiny Networks* (Verbockhaven et al., arXiv 2405.19816), samples in rows: b₂ is
what the grown layer reads, b₁ what the next layer reads, each with a constant 1 last where the
layer has a bias; v = −∂ℓ/∂a is the goal update of the next layer's pre-activity, per sample;
E is the sum over positions and the mean over samples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from nas_bench.growth.linalg import trimmed
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.site_weights import SiteWeights
from nas_bench.growth.sums import SiteSamples, Sums

_MEASURED = {
    "INPUTS": "input_gram",
    "HIDDEN": "hidden_gram",
    "CROSS": "input_hidden",
    "GOAL": "goal_gram",
    "PATCHES": "patch_gram",
}
"""The sums that are there if a need was declared."""


@dataclass(frozen=True, kw_only=True)
class SiteMoments(SiteWeights):
    """The products of what the layers of one site read, per sample, beside its weights.

    Attributes:
        sums: over the data.
        positions: rows per sample of what new neurons would add to the next layer's input.
        cut: relative cut of eigenvalues that belongs to the precision of the products.
        activation: what the path's activations make of rows of pre-activities (…, k): of new
            neurons, or of copies of the existing neurons in its second argument.
        carried: what the rest of the path, before a flatten, makes of their maps; the identity of
            rows.
        curvature: second derivatives of the path's activations at the existing neurons'
            pre-activities, with the sharpness of the softplus that stands for a kink.
        batch_norm: whether a batch norm is in the path.
        samples: a bounded random sample, where declared.
        maps: of all samples, where declared and the hidden activity is a map.
        linear: whether both layers are linear and nothing is a map.
    """

    sums: Sums
    positions: int
    cut: float
    activation: Callable[[Tensor, Tensor | None], Tensor]
    carried: Callable[[Tensor, Tensor | None], Tensor]
    curvature: Callable[[Tensor, float], Tensor]
    batch_norm: bool
    samples: SiteSamples | None = None
    maps: SiteMaps | None = None
    linear: bool = True

    @property
    def count(self) -> int:
        """n, samples measured."""
        return self.sums.count

    @property
    def sampled_inputs(self) -> Tensor:
        """b₂ of the sampled rows, shape (rows, p)."""
        return self._sampled.inputs.flatten(0, 1)

    @property
    def sampled_rows(self) -> tuple[Tensor, Tensor]:
        """b₂ and v of the sampled rows, shapes (rows, p) and (rows, d); of linear pairs."""
        goals = self._sampled.goals
        if goals is None:
            raise ValueError(f"the goals of {self.site} were not measured; declare Need.GOAL")
        return self.sampled_inputs, goals.flatten(0, 1)

    @property
    def sampled_hidden(self) -> Tensor:
        """b₁ of the sampled rows, shape (rows, m); of linear pairs."""
        hidden = self._sampled.hidden
        if hidden is None:
            raise ValueError(f"{self.site} has a map, whose hidden activities are no rows")
        return hidden.flatten(0, 1)

    @property
    def _sampled(self) -> SiteSamples:
        if self.samples is None:
            raise ValueError(f"no rows of {self.site} were sampled; declare Need.SAMPLES")
        return self.samples

    @cached_property
    def input_mean(self) -> Tensor:
        """Mean of b₂ over samples and positions, shape (p,)."""
        sums = self._read(self.sums.inputs, "input_mean")
        return trimmed(sums[0], self.grown_bias) / self.positions

    @cached_property
    def input_power(self) -> Tensor:
        """E b₂² of every input, the diagonal of S, shape (p,)."""
        sums = self._read(self.sums.inputs, "input_power")
        return trimmed(sums[1], self.grown_bias)

    @cached_property
    def covariance(self) -> Tensor:
        """S = E[b₂ b₂ᵀ], shape (p, p)."""
        gram = self._read(self.sums.input_gram, "covariance", "INPUTS")
        return trimmed(gram, self.grown_bias, self.grown_bias)

    @cached_property
    def hidden_covariance(self) -> Tensor:
        """S₁ = E[b₁ b₁ᵀ], shape (m, m)."""
        gram = self._read(self.sums.hidden_gram, "hidden_covariance", "HIDDEN")
        return trimmed(gram, self.next_bias, self.next_bias)

    @cached_property
    def patch_covariance(self) -> Tensor:
        """E Σ_r u uᵀ over all positions r of the pre-activities, shape (p, p)."""
        gram = self._read(self.sums.patch_gram, "patch_covariance", "PATCHES")
        return trimmed(gram, self.grown_bias, self.grown_bias)

    @cached_property
    def tap_covariance(self) -> Tensor:
        """E Σ_q ū(q, o) ū(q, o')ᵀ for all pairs of taps, shape (p, taps, p, taps)."""
        return self._kept.tap_gram()

    @cached_property
    def hidden_cross(self) -> Tensor:
        """P = E[b₂ b₁ᵀ], shape (p, m)."""
        cross = self._read(self.sums.input_hidden, "hidden_cross", "CROSS")
        return trimmed(cross, self.grown_bias, self.next_bias)

    @cached_property
    def cross_covariance(self) -> Tensor:
        """Ñ = E[b₂ vᵀ], shape (p, taps · d)."""
        if self.maps is not None and self.sums.input_goal is None:
            return self.maps.cross(self.goals)
        cross = self._read(self.sums.input_goal, "cross_covariance", "GOAL")
        return trimmed(cross, self.grown_bias)

    @cached_property
    def hidden_goal(self) -> Tensor:
        """M = E[b₁ vᵀ], shape (m, d)."""
        cross = self._read(self.sums.hidden_goal, "hidden_goal", "HIDDEN", "GOAL")
        return trimmed(cross, self.next_bias)

    @cached_property
    def goal_sum(self) -> Tensor:
        """E v, summed over the positions that each tap reads, shape (taps · d,)."""
        return self._read(self.sums.goal_sum, "goal_sum", "GOAL")

    @cached_property
    def goal_covariance(self) -> Tensor:
        """E[v vᵀ], shape (d, d)."""
        return self._read(self.sums.goal_gram, "goal_covariance", "GOAL")

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

    def _read(self, total: Tensor | None, name: str, *needs: str) -> Tensor:
        if total is not None:
            return total / self.count
        asked = needs or ("INPUTS",)
        missing = [need for need in asked if getattr(self.sums, _MEASURED[need]) is None]
        declared = " and ".join(f"Need.{need}" for need in missing or asked)
        raise ValueError(
            f"{name} of {self.site} was not measured; declare {declared} in the method's needs"
        )
