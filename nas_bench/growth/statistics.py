"""Site statistics: what the data says about a site, and what a growth method solves with it.

The notation is that of `moments`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from nas_bench.growth.linalg import InverseRoot, inverse_root, ridged, trimmed
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.moments import SiteMoments
from nas_bench.growth.sums import SiteSamples

FLOAT64_CUT = 1e-10
FLOAT32_CUT = 1e-6
RIDGE_ABOVE_ROUNDING = 1e-5
"""A ridge that lifts every direction above the rounding of products in float32."""


@dataclass(frozen=True, kw_only=True)
class SiteStatistics(SiteMoments):
    """What the data says about one site: everything a growth method may read.

    A method reads only what it declared in `needs`; the rest raises an error that says so. What
    was measured are `SiteMoments`, the weights `SiteWeights`, whose attributes these statistics
    have; here is what follows.

    Attributes:
        ridge: ρ, by which what follows from S and S₁ is regularised; 0 for the exact solutions.
    """

    ridge: float = 0.0

    def ridged(self, ridge: float) -> "SiteStatistics":
        """The same with other solutions: of S + ρ s̄ I and S₁ + ρ s̄₁ I (see `linalg.ridged`)."""
        return replace(self, ridge=ridge)

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
            samples = SiteSamples.joined((samples, other.samples))
        maps = None if self.maps is None or other.maps is None else self.maps + other.maps
        return replace(self, sums=self.sums + other.sums, samples=samples, maps=maps)

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
    def ridged_covariance(self) -> Tensor:
        """S + ρ s̄ I, shape (p, p)."""
        return ridged(self.covariance, self.ridge, constant=self.grown_bias)

    @property
    def solving_cut(self) -> float:
        """Relative cut of the eigenvalues of S + ρ s̄ I: where there is a ridge, of float64's."""
        return FLOAT64_CUT if self.ridge >= RIDGE_ABOVE_ROUNDING else self.cut

    @cached_property
    def inverse_root(self) -> InverseRoot:
        """(S + ρ s̄ I)^{-1/2} as an operator T with Tᵀ (S + ρ s̄ I) T = I."""
        return inverse_root(self.ridged_covariance, self.solving_cut)

    @cached_property
    def whitening(self) -> Tensor:
        """T as a matrix, shape (p, rank), which costs p³; see `inverse_root`."""
        return self.inverse_root.matrix

    @cached_property
    def hidden_inverse_root(self) -> InverseRoot:
        """(S₁ + ρ s̄₁ I)^{-1/2} as an operator."""
        S1 = ridged(self.hidden_covariance, self.ridge, constant=self.next_bias)
        return inverse_root(S1, self.solving_cut)

    @cached_property
    def weight_update(self) -> Tensor:
        """δW* = Mᵀ (S₁ + ρ s̄₁ I)⁺, the best update (Prop. 3.1), shape (d, m)."""
        return self.hidden_inverse_root.solve(self.hidden_goal).T

    @cached_property
    def residual_cross_covariance(self) -> Tensor:
        """N = E[b₂ v_pᵀ], shape (p, taps · d); with rows, N = Ñ − P δW*ᵀ."""
        if self.maps is not None:
            return self.maps.cross(self.residual_goals)
        return self.cross_covariance - self.hidden_cross @ self.weight_update.T

    @cached_property
    def residual_goals(self) -> Tensor:
        """v_p = v − δW* ⋆ b₁ of every sample, shape of the maps' goals."""
        return self.goals - self._kept.fitted(self.weight_update)

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

    def split(self, neurons: Tensor, moves: Tensor, gains: Tensor) -> NewNeurons:
        """Neurons θ become θ + δ and θ − δ, each with half of the fan-out.

        Args:
            neurons: which are split, shape (k,), no two alike.
            moves: δ, shape (k, p).
            gains: shape (k,).
        """
        half = self.fan_out[neurons] / 2
        return NewNeurons(
            fan_in=self.grown_weight[neurons] - moves,
            fan_out=half,
            gains=gains,
            weight_update=self.taken(neurons, half) if len(neurons) else None,
            grown_update=self.moved(neurons, moves) if len(neurons) else None,
            copied=neurons,
        )

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
