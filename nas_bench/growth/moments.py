"""What was measured at a site, per sample: sums over the data, gathered for all sites in one pass.

Notation of *Growing Tiny Networks* (Verbockhaven et al., arXiv 2405.19816), samples in rows: b₂ is
what the grown layer reads, b₁ what the next layer reads, each with a constant 1 last where the
layer has a bias; v = −∂ℓ/∂a is the goal update of the next layer's pre-activity, per sample;
E is the sum over positions and the mean over samples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nas_bench.growth.linalg import trimmed
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.sums import SiteSamples, Sums

_MEASURED = {
    "INPUTS": "input_gram",
    "HIDDEN": "hidden_gram",
    "CROSS": "input_hidden",
    "GOAL": "goal_gram",
    "PATCHES": "patch_gram",
}
"""The sums that are there if a need was declared."""


@dataclass(frozen=True)
class SiteMoments:
    """The weights of one site and the products of what its layers read, per sample.

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
        carried: what the rest of the path, before a flatten, makes of their maps; the identity of
            rows.
        curvature: second derivatives of the path's activations at the existing neurons'
            pre-activities, with the sharpness of the softplus that stands for a kink.
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
    carried: Callable[[Tensor, Tensor | None], Tensor]
    curvature: Callable[[Tensor, float], Tensor]
    batch_norm: bool
    samples: SiteSamples | None = None
    taps: int = 1
    maps: SiteMaps | None = None
    linear: bool = True

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
    def fan_out(self) -> Tensor:
        """The weights by which the next layer reads each hidden neuron, shape (width, taps, d)."""
        columns = self.next_weight[:, : self.width * self.taps]
        return columns.reshape(self.outputs, self.width, self.taps).permute(1, 2, 0)

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
    def channels(self) -> Tensor:
        """The numbers of the existing neurons, shape (width,)."""
        return torch.arange(self.width, device=self.grown_weight.device)

    def moved(self, neurons: Tensor, moves: Tensor) -> Tensor:
        """The update of the grown layer's rows that adds to those of some neurons, (width, p).

        Args:
            neurons: which, shape (k,), no two alike.
            moves: shape (k, p).
        """
        return torch.zeros_like(self.grown_weight).index_copy(0, neurons, moves)

    def taken(self, neurons: Tensor, fan_out: Tensor) -> Tensor:
        """The update of the existing weights that takes a fan-out from neurons, shape (d, m).

        Args:
            neurons: which, shape (k,); those named several times lose all of it.
            fan_out: shape (k, taps, d).
        """
        lost = torch.zeros_like(self.fan_out).index_add(0, neurons, fan_out)
        update = torch.zeros_like(self.next_weight)
        update[:, : self.width * self.taps] = -lost.permute(2, 0, 1).flatten(1)
        return update

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
    def mean_cross(self) -> Tensor:
        """What the means that batch norm removes make of Ñ, shape (p, taps · d)."""
        if self.sums.tap_inputs is None:
            return self.input_mean[:, None] * self.goal_sum
        means = trimmed(self.sums.tap_inputs / self.count, self.grown_bias)
        return (means[:, :, None] * self.goal_sum.unflatten(0, (self.taps, -1))).flatten(1)

    @cached_property
    def silent_gradient(self) -> Tensor:
        """Of the fan-in of silent neurons, by their fan-out: Ñ, shape (p, taps · d).

        Batch norm removes means in training mode: behind one, inputs are centred.
        """
        return self.cross_covariance - (self.mean_cross if self.batch_norm else 0.0)

    @property
    def new_neuron_gradient(self) -> float:
        """How large the gradient of a new neuron's fan-in is, with a fan-out as large as others'.

        The root mean square over directions of the fan-out, without the gradient of the bias, as
        if the path had slope 1 at 0.
        """
        features = self.grown_weight.shape[1] - int(self.grown_bias)
        size = self.fan_out.flatten(1).norm(dim=1).mean()
        return float(size * self.silent_gradient[:features].square().sum(0).mean().sqrt())

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
