"""What growth events cost, by hand: multiply-adds of every product and decomposition, by part.

For a site between linear layers with biases and an activation between them, the whole network.
Decompositions have the leading terms of Golub & Van Loan: eigenvectors 9 n³, SVD 6 m n² + 20 n³,
their values alone 4/3 n³ and 2 m n² + 2 n³, Cholesky n³/3, triangular solve n² per right-hand
side, all in flops, two to a multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def eigh(n: int) -> float:
    """Symmetric eigenvalues and vectors."""
    return 9 * n**3 / 2


def eigvalsh(n: int) -> float:
    """Symmetric eigenvalues."""
    return (4 * n**3 // 3) / 2


def svd(m: int, n: int) -> float:
    """Thin SVD of a tall matrix."""
    return (6 * m * n**2 + 20 * n**3) / 2


def svdvals(m: int, n: int) -> float:
    """Singular values of a matrix of either form."""
    m, n = max(m, n), min(m, n)
    return (2 * m * n**2 + 2 * n**3) / 2


def made(draws: int) -> int:
    """Null draws that are paid: they are made in groups of 1, 2, 4 and 12."""
    return next(total for total in (0, 1, 3, 7, 19) if total >= draws)


def norm(m: int, n: int) -> float:
    """The largest singular value, from the smaller Gram matrix."""
    m, n = max(m, n), min(m, n)
    return m * n**2 + eigvalsh(n)


def root(n: int) -> float:
    """Cholesky factor of a covariance, and four steps of inverse iteration from four starts."""
    return (n**3 // 3) / 2 + 16 * n**2


def triangular(n: int, columns: int) -> float:
    """A factor of S^{-1/2} on so many columns; S⁺ takes two."""
    return n**2 * columns / 2


@dataclass(frozen=True)
class Sizes:
    """Of an event.

    Attributes:
        n: samples of the statistics.
        s: samples of the line search.
        f: inputs of the grown layer, without the constant.
        h: its width before.
        d: outputs of the next layer.
        k: neurons proposed.
        left: of them after the line search.
        moved: whether the update's own line search left it an amplitude above 0.
        draws: of the null distribution.
        tried: amplitudes of the neurons; update_tried: of the update alone.
    """

    n: int
    s: int
    f: int
    h: int
    d: int
    k: int
    left: int
    moved: bool
    draws: int
    tried: int
    update_tried: int

    @property
    def forward(self) -> int:
        """The network on a sample; a backward pass to the last layer's outputs is free."""
        return self.h * (self.f + self.d)

    @property
    def goals(self) -> int:
        """A pass, Ñ and M without their constants, and E vvᵀ."""
        return self.n * (self.forward + self.d * (self.f + self.h + self.d))

    @property
    def fitted(self) -> int:
        """What δW* adds to the outputs of a sample."""
        return self.h * self.d

    @property
    def best_update(self) -> float:
        """δW* from M and S₁."""
        m = self.h + 1
        return root(m) + 2 * triangular(m, self.d)

    @property
    def leading(self) -> float:
        """Singular vectors of a (p, d) matrix by the eigenvectors of its Gram."""
        p, d = self.f + 1, self.d
        return 2 * p * d**2 + eigh(d)


Charge = Callable[[Sizes], dict[str, float]]


def searched(charge: Charge, *, update_amplitude: str | None) -> Charge:
    """A method's cost with that of its line search, all of which is booked as one part.

    Args:
        charge: of what is proposed.
        update_amplitude: how the update's is found, None if there is no update.
    """

    def all_parts(s: Sizes) -> dict[str, float]:
        return charge(s) | {"line_search": _line_search(s, update_amplitude)}

    return all_parts


def _line_search(s: Sizes, update_amplitude: str | None) -> float:
    """Goals from one pass; then what is searched, one after the other, in passes of which only the
    first runs more than the last layer.
    """
    neurons, update = _one_search(s, s.k, 0, s.tried), _one_search(s, 0, 1, s.update_tried)
    if update_amplitude == "search":  # between them the updated network's goals from a pass
        cost = update + (s.fitted if s.moved and s.k else 0) + neurons
    elif update_amplitude == "one":  # the update's step, and the loss with both
        cost = neurons + s.fitted + s.left * s.d + s.fitted
    else:
        cost = _one_search(s, s.k, int(update_amplitude == "shared"), s.tried)
    return s.s * (s.forward + (s.forward - s.fitted if cost else 0) + cost)


def _one_search(s: Sizes, k: int, update: int, tried: int) -> float:
    """Of a sample: what is linear; γ; signs (forward and backward through ω); the losses; and the
    predicted drop.
    """
    if not k and not update:
        return 0
    linear, w = s.f * k + update * s.fitted, k * s.d
    return linear + w + 2 * w + tried * (w + s.fitted) + w


def tiny(s: Sizes, *, tested: bool = True) -> dict[str, float]:
    """All sums; S⁻¹ᐟ²N, its SVD and the null draws."""
    p, m = s.f + 1, s.h + 1
    sums = s.n * (s.f**2 + s.h**2 + s.f * s.h)
    again = 2 * s.n * m * s.d + 2 * triangular(m, s.d)
    draw = again + s.n * p * s.d + triangular(p, s.d) + norm(p, s.d)
    null = s.n * (m * s.d + m**2) + root(m) + made(s.draws) * draw
    N = s.best_update + p * m * s.d + root(p) + triangular(p, s.d)
    return {
        "statistics": sums + s.goals,
        "decomposition": N + s.leading + tested * null + triangular(p, s.k),
    }


def tiny_unprojected(s: Sizes) -> dict[str, float]:
    """S and the goals; the SVD, another of what is centred, and the null draws."""
    p, f = s.f + 1, s.f
    spectrum = triangular(f, s.d)
    draw = s.n * p * s.d + spectrum + norm(f, s.d)
    tested = root(f) + spectrum + svdvals(f, s.d) + made(s.draws) * draw
    N = root(p) + triangular(p, s.d)
    return {
        "statistics": s.n * f**2 + s.goals,
        "decomposition": N + s.leading + tested + triangular(p, s.k),
    }


def random_growth(s: Sizes) -> dict[str, float]:
    """Nothing is measured."""
    return {"statistics": 0, "decomposition": 0}


def with_update(s: Sizes) -> dict[str, float]:
    """δW* and the sums that it needs, whatever the neurons."""
    return {"statistics": s.n * s.h**2 + s.goals, "decomposition": s.best_update}


def gradmax(s: Sizes) -> dict[str, float]:
    """The goals, and singular vectors of Ñ without its bias row."""
    return {"statistics": s.goals, "decomposition": 2 * s.f * s.d**2 + eigh(s.d)}


def north(s: Sizes, candidates: int) -> dict[str, float]:
    """S; the kernel; the candidates, their power, their activities and their effective ranks."""
    p, f, h, n = s.f + 1, s.f, s.h, s.n
    kernel = root(p) + p * p * h + triangular(p, h) + svd(p, h)
    drawn = triangular(p, candidates) + candidates * (
        2 * p * h + f**2 + n * p + n * h + eigvalsh(h + 1)
    )
    present = n * p * h + n * h**2
    return {"statistics": n * (s.forward + f**2), "decomposition": kernel + drawn + present}


def net2net(s: Sizes) -> dict[str, float]:
    """Copying is free."""
    return {"statistics": 0, "decomposition": 0}
