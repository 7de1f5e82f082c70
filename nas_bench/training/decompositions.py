"""What decompositions of matrices cost, in floating-point operations, two to a multiply-add.

Leading terms of Golub & Van Loan, *Matrix Computations*, for an (m, n) matrix with m ≥ n. FLOP
counters price them at 0.
"""

from collections.abc import Callable

from nas_bench.training.calls import Call, Shape


def _batch(shape: Shape) -> int:
    count = 1
    for size in shape[:-2]:
        count *= size
    return count


def _sides(shape: Shape) -> tuple[int, int]:
    return max(shape[-2:]), min(shape[-2:])


def _columns(right: Shape) -> int:
    return right[-1] if len(right) > 1 else 1


def _eigh(call: Call) -> float:
    """Of a symmetric matrix, values and vectors: 9 n³."""
    return _batch(call.shapes[0]) * 9 * call.shapes[0][-1] ** 3


def _eigvalsh(call: Call) -> float:
    """Of a symmetric matrix, values: 4/3 n³."""
    return _batch(call.shapes[0]) * (4 * call.shapes[0][-1] ** 3 // 3)


def _eig(call: Call) -> float:
    """Of any square matrix, values and vectors: 25 n³."""
    return _batch(call.shapes[0]) * 25 * call.shapes[0][-1] ** 3


def _eigvals(call: Call) -> float:
    """Of any square matrix, values: 10 n³."""
    return _batch(call.shapes[0]) * 10 * call.shapes[0][-1] ** 3


def _svd(call: Call) -> float:
    """QR first: 6 m n² + 20 n³ thin, 4 m² n + 22 n³ full."""
    m, n = _sides(call.shapes[0])
    if call.arguments["full_matrices"] and m > n:
        return _batch(call.shapes[0]) * (4 * m**2 * n + 22 * n**3)
    return _thin_svd(call)


def _svdvals(call: Call) -> float:
    """Singular values: 2 m n² + 2 n³."""
    m, n = _sides(call.shapes[0])
    return _batch(call.shapes[0]) * (2 * m * n**2 + 2 * n**3)


def _thin_svd(call: Call) -> float:
    m, n = _sides(call.shapes[0])
    return _batch(call.shapes[0]) * (6 * m * n**2 + 20 * n**3)


def _qr(call: Call) -> float:
    """Householder QR with Q formed: 4 m n², and 4 m² n with all of Q."""
    m, n = _sides(call.shapes[0])
    complete = call.arguments.get("mode") == "complete"
    return _batch(call.shapes[0]) * 4 * m * n * (m if complete else n)


def _cholesky(call: Call) -> float:
    return _batch(call.shapes[0]) * (call.shapes[0][-1] ** 3 // 3)


def _inverse(call: Call) -> float:
    return _batch(call.shapes[0]) * 2 * call.shapes[0][-1] ** 3


def _lu(call: Call) -> float:
    return _batch(call.shapes[0]) * (2 * call.shapes[0][-1] ** 3 // 3)


def _solve(call: Call) -> float:
    """LU and one solve per right-hand side: 2/3 n³ + 2 n² r."""
    n = call.shapes[0][-1]
    return _lu(call) + _batch(call.shapes[0]) * 2 * n**2 * _columns(call.shapes[1])


def _triangular(call: Call) -> float:
    return _batch(call.shapes[0]) * call.shapes[0][-1] ** 2 * _columns(call.shapes[1])


def _two_triangular(call: Call) -> float:
    right, factor = (call.shapes[0], call.shapes[1])
    return _batch(factor) * 2 * factor[-1] ** 2 * _columns(right)


def _solve_lu(call: Call) -> float:
    factor, right = call.shapes[0], call.shapes[-1]
    return _batch(factor) * 2 * factor[-1] ** 2 * _columns(right)


def _pinv(call: Call) -> float:
    """An SVD and the product of its factors."""
    m, n = _sides(call.shapes[0])
    return _thin_svd(call) + _batch(call.shapes[0]) * 2 * m * n**2


def _exponential(call: Call) -> float:
    """About ten matrix products."""
    return _batch(call.shapes[0]) * 20 * call.shapes[0][-1] ** 3


DECOMPOSITIONS: dict[str, Callable[[Call], float]] = {
    "_linalg_eigh": _eigh,
    "linalg_eig": _eig,
    "linalg_eigvals": _eigvals,
    "_linalg_eigvals": _eigvals,
    "_linalg_svd": _svd,
    "linalg_qr": _qr,
    "geqrf": _qr,
    "linalg_householder_product": _qr,
    "linalg_cholesky_ex": _cholesky,
    "linalg_ldl_factor_ex": _cholesky,
    "linalg_inv_ex": _inverse,
    "cholesky_inverse": _inverse,
    "linalg_lu_factor_ex": _lu,
    "linalg_lu": _lu,
    "_linalg_det": _lu,
    "_linalg_slogdet": _lu,
    "_linalg_solve_ex": _solve,
    "linalg_lu_solve": _solve_lu,
    "linalg_ldl_solve": _solve_lu,
    "cholesky_solve": _two_triangular,
    "linalg_solve_triangular": _triangular,
    "triangular_solve": _two_triangular,
    "linalg_pinv": _pinv,
    "linalg_matrix_exp": _exponential,
    "linalg_lstsq": _thin_svd,
}
"""By the name of torch's operator, with all that it returns."""

VALUES: dict[str, Callable[[Call], float]] = {
    "_linalg_eigh": _eigvalsh,
    "linalg_eig": _eigvals,
    "_linalg_svd": _svdvals,
}
"""Where nobody keeps the vectors, as in `eigvalsh`, `svdvals` and the spectral norm."""
