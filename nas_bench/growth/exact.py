"""Neurons behind several taps that fit the goal update itself, not a bound on it.

With several taps the decomposition of Proposition 3.2 (*Growing Tiny Networks*, arXiv 2405.19816)
minimises a Cauchy–Schwarz bound. Here alternating least squares goes on from it to minimise

    Ψ − 2 Σ_o ⟨N_o, Z_o⟩ + Σ_oo' ⟨Z_o, G_oo' Z_o'⟩,  Z_o = Σ_k α_k ω_{k,o}ᵀ,

with the Gram G_oo' = E Σ_q ū(q, o) ū(q, o')ᵀ of what all pairs of taps read, and on its diagonal
an equal share of the ridge of S = Σ_o G_oo.
"""

import torch
from torch import Tensor

from nas_bench.growth.layers import SiteError
from nas_bench.growth.statistics import SiteStatistics

ROUNDS = 10
PRECISION = 1e-3
"""Rounds end when one lowers the objective by less than this share of what all have gained."""
STEPS, TOLERANCE = 200, 1e-6
"""Of conjugate gradients for the fan-in."""
LARGEST = 8192
"""Rows of the largest Gram of taps: 0.5 GB in float64."""


def exact_neurons(
    statistics: SiteStatistics, fan_in: Tensor, fan_out: Tensor, *, projected: bool
) -> tuple[Tensor, Tensor]:
    """Neurons that reduce E‖g − v_new‖² at least as much as those they start from.

    Args:
        statistics: of the site, with maps.
        fan_in: α to start from, shape (k, p).
        fan_out: ω to start from, shape (k, taps, d).
        projected: whether the goal g is v_p (else v itself).

    Returns:
        Fan-in and fan-out with ‖ω_k‖² = α_kᵀ S α_k.

    Raises:
        SiteError: if the Gram of all taps would be too large.
    """
    if statistics.taps == 1 or not len(fan_in):
        return fan_in, fan_out
    problem = _Bilinear.at(statistics, projected, len(fan_in))
    T = statistics.whitening
    a = fan_in @ statistics.ridged_covariance @ T  # α = T a where α lies in the span of T
    gained = 0.0
    for _ in range(ROUNDS):
        fan_out = problem.best_fan_out(a)
        a = problem.best_fan_in(a, fan_out)
        before, gained = gained, problem.reduction(a, fan_out)
        if gained - before < PRECISION * gained:
            break
    fan_out = problem.best_fan_out(a)
    balance = (fan_out.flatten(1).norm(dim=1) / a.norm(dim=1)).nan_to_num(1.0, 1.0).sqrt()
    balance = torch.where(balance > 0, balance, 1.0)
    return (a * balance[:, None]) @ T.T, fan_out / balance[:, None, None]


class _Bilinear:
    """The least-squares problem in coordinates in which S (with its ridge) is the identity.

    Attributes:
        gram: G̃, shape (r, taps, r, taps).
        cross: Ñ or N, shape (r, taps, d).
    """

    def __init__(self, gram: Tensor, cross: Tensor, cut: float) -> None:
        self.gram, self.cross, self.cut = gram, cross, cut

    @classmethod
    def at(cls, statistics: SiteStatistics, projected: bool, neurons: int = 1) -> "_Bilinear":
        """That of a site.

        Raises:
            SiteError: if the Gram of all taps would be too large.
        """
        p, taps = statistics.grown_weight.shape[1], statistics.taps
        size = p * max(taps, neurons)
        if size > LARGEST:
            raise SiteError(
                f"{neurons} exact neurons at {statistics.site} need the Gram of {taps} taps of "
                f"{p} inputs, {size}² numbers ({8e-9 * size**2:.1f} GB), and the limit is "
                f"{LARGEST}²: grow this site without exact, or leave it out"
            )
        T = statistics.whitening
        N = statistics.residual_cross_covariance if projected else statistics.cross_covariance
        G = torch.einsum("pr,poqu,qs->rosu", T, statistics.tap_covariance, T)
        ridge = T.T @ (statistics.ridged_covariance - statistics.covariance) @ T / taps
        G.diagonal(dim1=1, dim2=3).add_(ridge[:, :, None])
        return cls(G, (T.T @ N).unflatten(1, (taps, -1)), statistics.cut)

    def best_fan_out(self, a: Tensor) -> Tensor:
        """ω for given fan-in a (k, r), shape (k, taps, d)."""
        k, taps = len(a), self.cross.shape[1]
        H = torch.einsum("kr,rosu,js->koju", a, self.gram, a).reshape(k * taps, k * taps)
        rhs = torch.einsum("kr,rod->kod", a, self.cross).flatten(0, 1)
        return self._solved(H, rhs).unflatten(0, (k, taps))

    def best_fan_in(self, a: Tensor, fan_out: Tensor) -> Tensor:
        """A fan-in for given ω (k, taps, d) that is at least as good as a, shape of a."""
        k, r = a.shape
        pairs = torch.einsum("kod,jud->kjou", fan_out, fan_out)
        B = torch.einsum("kjou,rosu->krjs", pairs, self.gram).reshape(k * r, k * r)
        rhs = torch.einsum("rod,kod->kr", self.cross, fan_out).flatten()
        return _conjugate_gradients(B, rhs, a.flatten()).reshape(k, r)

    def reduction(self, a: Tensor, fan_out: Tensor) -> float:
        """Ψ − E‖g − v_new‖²."""
        linear = torch.einsum("kr,rod,kod->", a, self.cross, fan_out)
        H = torch.einsum("kr,rosu,js->koju", a, self.gram, a)
        square = torch.einsum("koju,kod,jud->", H, fan_out, fan_out)
        return float(2 * linear - square)

    def _solved(self, matrix: Tensor, rhs: Tensor) -> Tensor:
        """The least-norm solution for a symmetric positive semi-definite matrix."""
        values, vectors = torch.linalg.eigh(matrix)
        kept = values > self.cut * values[-1:]
        basis = vectors[:, kept]
        return basis @ ((basis.T @ rhs) / values[kept, None])


def _conjugate_gradients(matrix: Tensor, rhs: Tensor, start: Tensor) -> Tensor:
    """Lowers xᵀ A x / 2 − bᵀ x from a start, every step; A may be singular."""
    x, residual = start, rhs - matrix @ start
    direction, size = residual, float(residual @ residual)
    enough = TOLERANCE**2 * float(rhs @ rhs)
    for _ in range(STEPS):
        if size <= enough:
            break
        image = matrix @ direction
        step = size / float(direction @ image)
        x, residual = x + step * direction, residual - step * image
        before, size = size, float(residual @ residual)
        direction = residual + (size / before) * direction
    return x
