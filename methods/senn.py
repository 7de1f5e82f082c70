"""Self-expanding networks: neurons by the natural expansion score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from nas_bench.growth import LogUniform, PooledNeurons, Range, Rest, SiteStatistics, inverse_root


@dataclass(frozen=True)
class Residual(Rest):
    """What present activities leave of new ones and of the goals.

    Attributes:
        activation: of new neurons.
        inputs: b₂, shape (rows, p).
        present: an orthonormal basis of the present activities and the constant, (rows, r).
        goals: G^{-1/2} v without its part in the basis, shape (rows, d).
        damping: of A.
    """

    activation: Callable[[Tensor, Tensor | None], Tensor]
    inputs: Tensor
    present: Tensor
    goals: Tensor
    damping: float

    def score(self, rows: Tensor) -> Tensor:
        """See the base class: ‖E r vᵀ G^{-1/2}‖² / (E r² + damping E h²)."""
        h = self.activation(self.inputs @ rows.T, None)
        n, power = len(h), h.square().mean(0)
        left = power - (h.T @ self.present).square().sum(1) / n
        gained = (h.T @ self.goals / n).square().sum(1)
        return torch.where(power > 0, gained / (left + self.damping * power), 0.0)

    def beside(self, row: Tensor) -> "Residual":
        """See the base class: the new activity joins the present ones."""
        h = self.activation(self.inputs @ row[:, None], None)
        for _ in range(2):  # once leaves rounding
            h = h - self.present @ (self.present.T @ h)
        unit = h / h.norm()
        goals = self.goals - unit @ (unit.T @ self.goals)
        return replace(self, present=torch.cat((self.present, unit), 1), goals=goals)


@dataclass(frozen=True)
class Senn(PooledNeurons):
    """The candidate of a pool with the largest η = tr(Cᵀ A⁻¹ C G⁻¹), after gradient ascent on η.

    C = E r vᵀ with r what the present activities leave of the new one, A = E r² and G = E v vᵀ,
    both damped: η is by how much the natural expansion raises the squared length of the natural
    gradient. One neuron at a time; the next is scored beside it. The paper's damping is absolute;
    here it is a share of E h² and of the mean of G's diagonal, so that units change nothing. Its
    code samples by Langevin steps of a random size (MALA), these climb. When to grow is the
    schedule's, not the score's, and the optimiser is the task's, not K-FAC.

    Attributes:
        candidates: in a pool, the authors' 100.
        steps: of gradient ascent.
        damping: of A and G, the authors' 0.1.

    References:
        Self-Expanding Neural Networks, Mitchell, Menzenbach, Kersting, Mundt, 2023, section 3.
        https://arxiv.org/abs/2307.04526
    """

    name: ClassVar[str] = "senn"
    summary: ClassVar[str] = "silent neurons of the largest natural expansion score"
    reference: ClassVar[str] = "Mitchell et al., 2023, arXiv 2307.04526"
    search_space: ClassVar[Mapping[str, Range]] = {"damping": LogUniform(1e-2, 1.0)}

    candidates: int = 100
    steps: int = 10
    damping: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1e-6 <= self.damping <= 1e6:
            raise ValueError(f"damping is {self.damping}, expected a number from 1e-6 to 1e6")

    def rest(self, statistics: SiteStatistics) -> Residual:
        """See the base class."""
        inputs, goals = statistics.sampled_rows
        hidden, n = statistics.sampled_hidden, len(goals)
        root = inverse_root(hidden.T @ hidden / n, statistics.cut)
        present = root.whitened(hidden.T).T / n**0.5
        goals = goals @ self._metric(goals)
        goals = goals - present @ (present.T @ goals)
        return Residual(statistics.activation, inputs, present, goals, self.damping)

    def _metric(self, goals: Tensor) -> Tensor:
        """(G + damping tr(G)/d I)^{-1/2}, 0 where there are no goals."""
        values, vectors = torch.linalg.eigh(goals.T @ goals / len(goals))
        values = values + self.damping * values.mean()
        scale = torch.where(values > 0, values.rsqrt(), 0.0)
        return vectors * scale
