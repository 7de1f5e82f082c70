"""Decompositions of covariance matrices, invariant to the units of the features."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

GRAM_TOLERANCE = 1e-7
ROUNDING = 1e-12
"""Features whose rms is up to this fraction of the largest one's are left over by rounding."""
STARTS, STEPS, MARGIN = 4, 4, 10.0
"""Of inverse iteration."""
SUMMED_ENTRIES = 2**24
"""Of the matrices of samples that are summed with signs, at most so many at a time."""


@dataclass(frozen=True)
class InverseRoot:
    """T with Tᵀ S T = I on the span of the data: it stands for S^{-1/2}, and T Tᵀ for S⁺.

    With D the rms of the features and R = D⁻¹ S D⁻¹: T = D⁻¹ L⁻ᵀ where R = L Lᵀ, which costs a
    tenth, or T = D⁻¹ U e^{-1/2} where eigenvalues of R = U e Uᵀ are cut. They differ by a
    rotation, under which gains, neurons and the law of Gaussian candidates stay the same.

    Attributes:
        scale: D⁻¹ of the features that are more than rounding, shape (r,).
        alive: which features these are, shape (p,).
        factor: L, shape (r, r), or None.
        basis: U e^{-1/2}, shape (r, rank), or None.
    """

    scale: Tensor
    alive: Tensor
    factor: Tensor | None = None
    basis: Tensor | None = None

    @property
    def rank(self) -> int:
        """Of S."""
        return len(self.scale) if self.basis is None else self.basis.shape[1]

    def whitened(self, x: Tensor) -> Tensor:
        """Tᵀ x, shape (rank, c), for x of shape (p, c)."""
        x = self.scale[:, None] * x[self.alive]
        if self.basis is not None:
            return self.basis.T @ x
        return torch.linalg.solve_triangular(self._factor, x, upper=False)

    def weights(self, y: Tensor) -> Tensor:
        """T y, shape (p, c), for y of shape (rank, c)."""
        if self.basis is not None:
            y = self.basis @ y
        else:
            y = torch.linalg.solve_triangular(self._factor.T, y, upper=True)
        out = y.new_zeros(len(self.alive), y.shape[1])
        out[self.alive] = self.scale[:, None] * y
        return out

    def solve(self, x: Tensor) -> Tensor:
        """S⁺ x, shape (p, c), for x of shape (p, c)."""
        return self.weights(self.whitened(x))

    @property
    def matrix(self) -> Tensor:
        """T, shape (p, rank)."""
        return self.weights(torch.eye(self.rank, dtype=self.scale.dtype, device=self.scale.device))

    @property
    def _factor(self) -> Tensor:
        assert self.factor is not None
        return self.factor


def inverse_root(covariance: Tensor, cut: float) -> InverseRoot:
    """S^{-1/2} of a covariance, independent of the units of the features.

    S is equilibrated before its eigenvalues are cut, so that the directions kept do not depend on
    the units. Features that are rounding count as 0: a ReLU that is dead but for a bias of 1e-17
    has an activity that weights of 1e16 would make use of.

    Args:
        covariance: S, shape (p, p), float64.
        cut: eigenvalues of R up to this fraction of the largest count as 0.
    """
    alive = _alive(covariance.diagonal())
    scale = 1 / covariance.diagonal()[alive].sqrt()
    R = scale[:, None] * covariance[alive][:, alive] * scale
    L, failed = torch.linalg.cholesky_ex(R)
    if not failed and _surely_above(R, L, cut):
        return InverseRoot(scale, alive, factor=L)
    eigenvalues, vectors = torch.linalg.eigh(R)
    kept = eigenvalues > cut * eigenvalues[-1:].clamp_min(0.0)
    return InverseRoot(scale, alive, basis=vectors[:, kept] * eigenvalues[kept].rsqrt())


def whitening(covariance: Tensor, cut: float) -> Tensor:
    """T as a matrix of shape (p, rank S); see `inverse_root`."""
    return inverse_root(covariance, cut).matrix


def ridged(covariance: Tensor, ridge: float, *, constant: bool) -> Tensor:
    """S + ρ s̄ I, s̄ the mean power of the living features: Tikhonov, in the features' own units.

    Without it a feature that is nearly silent, or nearly a combination of others, is read with
    weights of thousands, and the next step of training destroys the network.

    Args:
        covariance: S, shape (p, p), float64.
        ridge: ρ; 0 leaves S as it is.
        constant: whether the last feature is the constant 1, which has no ridge.

    Returns:
        Shape (p, p).
    """
    alive = _alive(covariance.diagonal())
    if constant:
        alive[-1] = False
    if ridge == 0 or not alive.any():
        return covariance
    return covariance + torch.diag(ridge * covariance.diagonal()[alive].mean() * alive)


def inverse_root_of_rows(rows: Tensor, cut: float) -> InverseRoot:
    """`inverse_root` of E[x xᵀ] over few rows x, shape (n, p), at n²p in place of p³."""
    powers = rows.double().square().mean(0)
    alive = _alive(powers)
    scale = 1 / powers[alive].sqrt()
    _, sigma, basis = torch.linalg.svd(
        rows[:, alive].double() * scale / math.sqrt(len(rows)), full_matrices=False
    )
    eigenvalues = sigma.square()
    kept = eigenvalues > cut * eigenvalues[:1]
    return InverseRoot(scale, alive, basis=basis[kept].T / sigma[kept])


def _alive(powers: Tensor) -> Tensor:
    """Which features are more than rounding, shape (p,), by their mean squares."""
    scale = powers.sqrt()
    return scale > ROUNDING * max(scale.tolist(), default=0.0)


def _surely_above(R: Tensor, L: Tensor, cut: float) -> bool:
    """Whether no eigenvalue of R = L Lᵀ is near the cut.

    The largest is at most ‖R‖; the smallest is told, from above, by steps of inverse iteration
    from a few fixed starts, which are right to a factor of a few: hence the margin.
    """
    start = torch.randn(len(L), STARTS, generator=torch.Generator().manual_seed(0), dtype=L.dtype)
    x, growth = start.to(L.device), torch.ones(())
    for _ in range(STEPS):
        x = x / x.norm(dim=0)
        x = torch.cholesky_solve(x, L)
        growth = x.norm(dim=0)
    return MARGIN * cut * float(R.norm() * growth.max()) < 1 if len(L) else True


def gram(x: Tensor) -> Tensor:
    """xᵀ x, shape (p, p), for x of shape (n, p): only the blocks of one triangle are made."""
    size = max(x.shape[1] // 4, 64)
    product = x.new_empty(x.shape[1], x.shape[1])
    for i in range(0, x.shape[1], size):
        rows = x[:, i : i + size].T @ x[:, i:]
        product[i : i + size, i:] = rows
        product[i:, i : i + size] = rows.T
    return product


def in_metric(cross: Tensor, metric: Tensor | None) -> Tensor:
    """A matrix of shape (…, taps · d) times a metric (d, r) at every tap, shape (…, taps · r)."""
    if metric is None:
        return cross
    return (cross.unflatten(-1, (-1, len(metric))) @ metric.to(cross)).flatten(-2)


def signed_sums(signs: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Σ_i s_i l_i r_i for many signs of the samples, without a copy of the data for each.

    Args:
        signs: s, shape (draws, n).
        left: shape (n, r, q).
        right: shape (n, q, c).

    Returns:
        Shape (draws, r, c), float64.
    """
    (n, rows, inner), columns = left.shape, right.shape[2]
    signs = signs.to(left)
    if inner == 1:  # the matrices of samples would be larger than the data
        signed = (signs.T[:, :, None] * right).flatten(1)
        product = left[:, :, 0].T @ signed
        return product.unflatten(1, (-1, columns)).transpose(0, 1).double()
    size = max(1, SUMMED_ENTRIES // (rows * columns))
    sums = signs.new_zeros(len(signs), rows * columns)
    for i in range(0, n, size):
        each = left[i : i + size] @ right[i : i + size]
        sums.addmm_(signs[:, i : i + size], each.flatten(1))
    return sums.double().unflatten(1, (rows, columns))


def leading_directions(matrix: Tensor, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triples (U, s, V) with s above an absolute tolerance, largest first.

    Rows and columns of zeros are left out where they are most: the eigenvalues of a Gram matrix
    that is mostly zeros may not converge, and cost the cube of all of them.
    Where the tolerance is coarse enough they come from the smaller Gram matrix, which loses
    singular values below 1e-8 of the largest and costs half.

    Args:
        matrix: shape (r, c).
        tolerance: singular values up to it count as rounding.

    Returns:
        U of shape (r, k), s of shape (k,), V of shape (c, k).
    """
    rows, columns = (matrix != 0).any(1), (matrix != 0).any(0)
    if any(2 * int(kept.sum()) < len(kept) for kept in (rows, columns)):
        return _spread(rows, columns, leading_directions(matrix[rows][:, columns], tolerance))
    if tolerance < GRAM_TOLERANCE * float(matrix.norm()):
        U, s, Vh = torch.linalg.svd(matrix, full_matrices=False)
        rank = int((s > tolerance).sum())
        return U[:, :rank], s[:rank], Vh[:rank].T
    if len(matrix) > matrix.shape[1]:
        V, s, U = leading_directions(matrix.T, tolerance)
        return U, s, V
    values, U = torch.linalg.eigh(matrix @ matrix.T)
    s = values.clamp_min(0.0).sqrt()
    kept = (s > tolerance).nonzero().flatten().flip(0)
    return U[:, kept], s[kept], matrix.T @ U[:, kept] / s[kept]


def spectral_norms(matrices: Tensor) -> Tensor:
    """The largest singular value of each of (n, r, c), from the smaller Gram, shape (n,)."""
    smaller = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    return torch.linalg.eigvalsh(smaller @ smaller.mT)[:, -1].clamp_min(0).sqrt()


def _spread(
    rows: Tensor, columns: Tensor, triples: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triples of some rows and columns, as those of all."""
    U, s, V = triples
    left, right = U.new_zeros(len(rows), len(s)), V.new_zeros(len(columns), len(s))
    left[rows], right[columns] = U, V
    return left, s, right


def trimmed(product: Tensor, rows: bool, columns: bool = True) -> Tensor:
    """A product (or sums) without the constant's row, and column, where the layer has no bias."""
    kept = product if rows else product[:-1]
    return kept if columns else kept[:, :-1]
