"""Decompositions of covariance matrices, invariant to the units of the features."""

import torch
from torch import Tensor

GRAM_TOLERANCE = 1e-7
ROUNDING = 1e-12
"""Features whose rms is up to this fraction of the largest one's are left over by rounding."""


def whitening(covariance: Tensor, cut: float) -> Tensor:
    """T with Tᵀ S T = I on the span of the data; it stands for S^{-1/2}, and T Tᵀ for S⁺.

    S is equilibrated before its eigenvalues are cut, D⁻¹ S D⁻¹ = U e Uᵀ with D = diag(S)^{1/2},
    so that the directions kept do not depend on the units of the features: T = D⁻¹ U e^{-1/2}.
    Features that are rounding count as 0: a ReLU that is dead but for a bias of 1e-17 has an
    activity that weights of 1e16 would make use of.

    Args:
        covariance: S, shape (p, p), float64.
        cut: eigenvalues up to this fraction of the largest count as 0.

    Returns:
        Shape (p, rank S).
    """
    scale, alive = covariance.diagonal().sqrt(), _alive(covariance)
    inverse = torch.where(alive, 1 / scale, 0.0)
    R = covariance * inverse[:, None] * inverse
    roots = _inverse_root(R, alive, cut)
    if roots is None:
        eigenvalues, vectors = torch.linalg.eigh(R)
        kept = eigenvalues > cut * eigenvalues[-1:].clamp_min(0.0)
        roots = vectors[:, kept] * eigenvalues[kept].rsqrt()
    return inverse[:, None] * roots


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
    alive = _alive(covariance)
    if constant:
        alive[-1] = False
    if ridge == 0 or not alive.any():
        return covariance
    return covariance + torch.diag(ridge * covariance.diagonal()[alive].mean() * alive)


def _alive(covariance: Tensor) -> Tensor:
    """Which features are more than rounding, shape (p,)."""
    scale = covariance.diagonal().sqrt()
    return scale > ROUNDING * max(scale.tolist(), default=0.0)


def _inverse_root(R: Tensor, alive: Tensor, cut: float) -> Tensor | None:
    """L⁻ᵀ of R = L Lᵀ if surely no eigenvalue would be cut, else None.

    It differs from U e^{-1/2} by a rotation, under which gains, neurons and the law of Gaussian
    candidates stay the same, and costs a tenth. The largest eigenvalue is at most ‖R‖ and the
    smallest at least 1 / tr R⁻¹.
    """
    L, failed = torch.linalg.cholesky_ex(R[alive][:, alive])
    if failed or not len(L):
        return None
    eye = torch.eye(len(L), dtype=L.dtype, device=L.device)
    inverse = torch.linalg.solve_triangular(L, eye, upper=False)
    if cut * float(R.norm() * inverse.square().sum()) >= 1:
        return None
    root = R.new_zeros(len(R), len(L))
    root[alive] = inverse.T
    return root


def gram(x: Tensor) -> Tensor:
    """xᵀ x, shape (p, p), for x of shape (n, p): only the blocks of one triangle are made."""
    size = max(x.shape[1] // 4, 64)
    product = x.new_empty(x.shape[1], x.shape[1])
    for i in range(0, x.shape[1], size):
        rows = x[:, i : i + size].T @ x[:, i:]
        product[i : i + size, i:] = rows
        product[i:, i : i + size] = rows.T
    return product


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
