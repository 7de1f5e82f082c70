"""Decompositions of covariance matrices, invariant to the units of the features."""

import torch
from torch import Tensor


def whitening(covariance: Tensor, cut: float) -> Tensor:
    """T with Tᵀ S T = I on the span of the data; it stands for S^{-1/2}, and T Tᵀ for S⁺.

    S is equilibrated before its eigenvalues are cut, D⁻¹ S D⁻¹ = U e Uᵀ with D = diag(S)^{1/2},
    so that the directions kept do not depend on the units of the features: T = D⁻¹ U e^{-1/2}.

    Args:
        covariance: S, shape (p, p), float64.
        cut: eigenvalues up to this fraction of the largest count as 0.

    Returns:
        Shape (p, rank S).
    """
    scale = covariance.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale, 0.0)
    eigenvalues, vectors = torch.linalg.eigh(covariance * inverse[:, None] * inverse)
    kept = eigenvalues > cut * eigenvalues[-1:].clamp_min(0.0)
    return inverse[:, None] * vectors[:, kept] * eigenvalues[kept].rsqrt()


def leading_directions(matrix: Tensor, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triples (U, s, V) with s above an absolute tolerance, largest first.

    Args:
        matrix: shape (r, c).
        tolerance: singular values up to it count as rounding.

    Returns:
        U of shape (r, k), s of shape (k,), V of shape (c, k).
    """
    U, s, Vh = torch.linalg.svd(matrix, full_matrices=False)
    rank = int((s > tolerance).sum())
    return U[:, :rank], s[:rank], Vh[:rank].T
