"""What growth events cost, by hand: multiply-adds of every product and decomposition, by part.

For a site between linear layers with biases and an activation between them, the whole network.
Decompositions have the leading terms of Golub & Van Loan: eigenvectors 9 n³, SVD 6 m n² + 20 n³,
their values alone 4/3 n³ and 2 m n² + 2 n³, Cholesky n³/3, triangular solve n² per right-hand
side, all in flops, two to a multiply-add.
"""

from __future__ import annotations

from dataclasses import dataclass

AMPLITUDES, DRAWS = 25, 20


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


def whitening(n: int) -> float:
    """Cholesky factor of a covariance and its inverse."""
    return (n**3 // 3 + n**3) / 2


@dataclass(frozen=True)
class Sizes:
    """Of an event.

    Attributes:
        n: samples, of the statistics and of the line search.
        f: inputs of the grown layer, without the constant.
        h: its width before.
        d: outputs of the next layer.
        k: neurons proposed.
    """

    n: int
    f: int
    h: int
    d: int
    k: int

    @property
    def forward(self) -> int:
        """The network on all samples; a backward pass to the last layer's outputs is free."""
        return self.n * self.h * (self.f + self.d)

    @property
    def goals(self) -> int:
        """Ñ and M without their constants, and E vvᵀ."""
        return self.n * self.d * (self.f + self.h + self.d)

    @property
    def change(self) -> int:
        """What new neurons add to the outputs: αᵀb₂ and its product with ω."""
        return self.n * self.k * (self.f + self.d)

    @property
    def update(self) -> int:
        """What δW* adds to the outputs."""
        return self.n * self.h * self.d

    @property
    def best_update(self) -> float:
        """δW* from M and S₁: T₁ and two products."""
        m = self.h + 1
        return whitening(m) + 2 * self.d * m**2

    @property
    def leading(self) -> float:
        """Singular vectors of a (p, d) matrix by the eigenvectors of its Gram."""
        p, d = self.f + 1, self.d
        return 2 * p * d**2 + eigh(d)


def line_search(s: Sizes, *, update: bool) -> float:
    """Goals; signs (forward and backward through ω); 25 losses, of which the first runs the whole
    network and the others its last layer; and the predicted drop.
    """
    z, w, u = s.n * s.k * s.f, s.n * s.k * s.d, s.update * update
    signs, losses = z + 2 * w, z + u + AMPLITUDES * w + s.forward + (AMPLITUDES - 1) * s.update
    return s.forward + signs + losses + s.change + u


def scale_by_pass(s: Sizes, *, update: bool) -> float:
    """γ where the statistics do not have all sums: another forward pass."""
    return s.forward + s.change + s.update * update


def tiny(s: Sizes, *, update: bool = True) -> dict[str, float]:
    """All sums; γ from them; S⁻¹ᐟ²N, its SVD and the null draws."""
    p, m = s.f + 1, s.h + 1
    sums = s.n * (s.f**2 + s.h**2 + s.f * s.h)
    scale = s.d * (s.k * p + p**2 + m**2) + update * s.d * (p * m + m**2)
    null = p * p * m + p * m * m + svdvals(p, m) + 2 * s.d**2 * m + s.d * m**2 + eigvalsh(s.d)
    N = s.best_update + p * m * s.d + whitening(p) + p * p * s.d
    return {
        "statistics": s.forward + sums + s.goals + scale,
        "decomposition": N + s.leading + null + DRAWS * svdvals(p, s.d) + p * p * s.k,
        "line_search": line_search(s, update=update),
    }


def tiny_unprojected(s: Sizes) -> dict[str, float]:
    """S and the goals; γ by a pass; the SVD, another of what is centred, and the null draws."""
    p, f = s.f + 1, s.f
    tested = whitening(f) + p * f * s.d + (1 + DRAWS) * svdvals(f, s.d) + eigvalsh(s.d)
    return {
        "statistics": s.forward + s.n * f**2 + s.goals + scale_by_pass(s, update=False),
        "decomposition": whitening(p) + p * p * s.d + s.leading + tested + p * p * s.k,
        "line_search": line_search(s, update=False),
    }


def random_growth(s: Sizes, *, update: bool = False) -> dict[str, float]:
    """γ by a pass, and with δW* its sums."""
    sums = s.forward + s.n * s.h**2 + s.goals
    return {
        "statistics": update * sums + scale_by_pass(s, update=update),
        "decomposition": update * s.best_update,
        "line_search": line_search(s, update=update),
    }


def gradmax(s: Sizes) -> dict[str, float]:
    """The goals, and singular vectors of Ñ without its bias row."""
    decomposition = 2 * s.f * s.d**2 + eigh(s.d)
    return {"statistics": s.forward + s.goals, "decomposition": decomposition}


def north(s: Sizes, candidates: int) -> dict[str, float]:
    """S; the kernel; the candidates, their power, their activities and their effective ranks."""
    p, f, h, n = s.f + 1, s.f, s.h, s.n
    kernel = whitening(p) + p**3 + p * p * h + svd(p, h) + 2 * p * p * h
    drawn = candidates * (p**2 + f**2 + n * p + n * h + eigvalsh(h + 1))
    present = n * p * h + n * h**2
    return {"statistics": s.forward + n * f**2, "decomposition": kernel + drawn + present}


def net2net(s: Sizes) -> dict[str, float]:
    """Copying is free."""
    return {"statistics": 0, "decomposition": 0}
