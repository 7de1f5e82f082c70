"""Rows of weights that climb a score, and the lowest eigenvectors of many matrices."""

from collections.abc import Callable

import torch
from torch import Tensor

Rows = Callable[[Tensor], Tensor]
FIRST, FASTER, SLOWER = 0.3, 1.5, 0.3
"""The first step, as a share of a row's norm; by what it changes after a success, a failure."""


def ascended(score: Rows, rows: Tensor, steps: int, onto: Rows) -> tuple[Tensor, Tensor]:
    """Rows after some steps of gradient ascent, each kept where it raises the row's own score.

    Args:
        score: of rows (c, p), one number each, shape (c,).
        rows: to begin with.
        steps: how many.
        onto: what rows are made to be after each step, such as of a given norm.

    Returns:
        The rows and their scores.
    """
    rows = onto(rows)
    value, slope = _sloped(score, rows)
    rate = torch.full_like(value, FIRST)
    for _ in range(steps):
        steep = slope.norm(dim=1)
        length = torch.where(steep > 0, rate * rows.norm(dim=1) / steep, 0.0)
        tried = onto(rows + length[:, None] * slope)
        new, new_slope = _sloped(score, tried)
        better = new > value
        rows, slope = (
            torch.where(better[:, None], a, b) for a, b in ((tried, rows), (new_slope, slope))
        )
        value = torch.where(better, new, value)
        rate = rate * torch.where(better, FASTER, SLOWER)
    return rows, value


def lowest(products: Rows, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The lowest Rayleigh quotient of each of many symmetric matrices in a Krylov space (Lanczos).

    Args:
        products: of the matrices with a vector each, shape (k, p) for (k, p).
        start: the first vectors, shape (k, p).
        steps: products that are made.

    Returns:
        The quotients, shape (k,), and unit vectors, shape (k, p); a quotient of 0 has none.
    """
    basis, images = start / start.norm(dim=1, keepdim=True), []
    basis = basis[:, None]
    for step in range(steps):
        images.append(products(basis[:, -1]))
        new = images[-1][:, None]
        for _ in range(2):  # once leaves rounding
            new = new - (new @ basis.mT) @ basis
        size = new.norm(dim=2, keepdim=True)
        alive = size > 1e-10 * images[-1].norm(dim=1)[:, None, None]
        if step + 1 < steps:
            basis = torch.cat((basis, torch.where(alive, new / size, 0.0)), 1)
    small = basis @ torch.stack(images, 1).mT
    values, vectors = torch.linalg.eigh((small + small.mT) / 2)
    return values[:, 0], (vectors[:, None, :, 0] @ basis)[:, 0]


def _sloped(score: Rows, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and their gradients."""
    with torch.enable_grad():
        rows = rows.detach().requires_grad_()
        value = score(rows)
        (slope,) = torch.autograd.grad(value.sum(), rows)
    return value.detach(), slope
