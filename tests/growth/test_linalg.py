"""Decompositions of matrices that real networks show."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_bench.growth.linalg import (
    inverse_root,
    inverse_root_of_rows,
    leading_directions,
    whitening,
)


def mostly_zeros(rows, columns, rank):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.zeros(rows, columns, dtype=torch.float64)
    inner = torch.randn(rank, columns, generator=generator, dtype=torch.float64)
    matrix[torch.randperm(rows, generator=generator)[:rank]] = inner
    return matrix


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("tolerance", [1e-4, 0.0])
def test_a_matrix_that_is_mostly_zeros_is_decomposed_as_any(shape, turned, tolerance):
    matrix = mostly_zeros(*shape, 7)
    matrix = matrix.T if turned else matrix
    U, s, V = leading_directions(matrix, tolerance)
    assert len(s) == 7
    torch.testing.assert_close(U * s @ V.T, matrix)
    for basis in (U, V):
        torch.testing.assert_close(basis.T @ basis, torch.eye(7, dtype=torch.float64))


def test_only_what_is_not_zero_is_decomposed(monkeypatch):
    sizes, eigh = [], torch.linalg.eigh

    def counting(matrix):
        sizes.append(len(matrix))
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", counting)
    leading_directions(mostly_zeros(300, 400, 7), 1e-4)
    assert sizes == [7]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (0, 3), (0, 0)])
def test_zeros_have_no_direction(shape):
    U, s, V = leading_directions(torch.zeros(shape, dtype=torch.float64), 1e-4)
    assert (U.shape, s.shape, V.shape) == ((shape[0], 0), (0,), (shape[1], 0))


def covariance(size, smallest, dead=0, units=1.0):
    """With eigenvalues, once equilibrated, from about 1 down to about the smallest."""
    generator = torch.Generator().manual_seed(size)
    Q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    values = torch.logspace(0, torch.tensor(smallest).log10(), size, dtype=torch.float64)
    scale = units ** torch.linspace(-1, 1, size, dtype=torch.float64)
    scale[:dead] = 0
    return scale[:, None] * (Q * values @ Q.T) * scale


@pytest.mark.parametrize("dead", [0, 2])
@pytest.mark.parametrize("smallest", [1e-3, 1e-14])
@pytest.mark.parametrize("units", [1.0, 1e4])
def test_the_operator_is_its_matrix(smallest, dead, units):
    S = covariance(9, smallest, dead, units)
    root, T = inverse_root(S, 1e-10), whitening(S, 1e-10)
    x = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert T.shape == (9, root.rank)
    torch.testing.assert_close(T.T @ S @ T, torch.eye(root.rank, dtype=torch.float64))
    torch.testing.assert_close(root.whitened(x), T.T @ x)
    torch.testing.assert_close(root.weights(x[: root.rank]), T @ x[: root.rank])
    torch.testing.assert_close(root.solve(x), T @ (T.T @ x), rtol=1e-5, atol=1e-8)


@given(size=st.integers(1, 40), exponent=st.floats(-16, 0), cut=st.sampled_from([1e-10, 1e-6]))
def test_no_direction_below_the_cut_is_kept_for_the_sake_of_speed(size, exponent, cut):
    """The Cholesky factor is taken only where eigenvalues would have been cut nowhere."""
    S = covariance(size, 10.0**exponent)
    scale = S.diagonal().sqrt()
    eigenvalues = torch.linalg.eigvalsh(S / scale[:, None] / scale)
    kept = int((eigenvalues > cut * eigenvalues[-1]).sum())
    root = inverse_root(S, cut)
    assert (
        root.rank == kept or abs(float(eigenvalues[-kept - 1] / eigenvalues[-1]) / cut - 1) < 1e-3
    )


def test_nothing_has_a_root_without_directions():
    root = inverse_root(torch.zeros(3, 3, dtype=torch.float64), 1e-10)
    assert root.rank == 0
    assert root.solve(torch.ones(3, 2, dtype=torch.float64)).equal(
        torch.zeros(3, 2, dtype=torch.float64)
    )


@pytest.mark.parametrize("dead", [0, 3])
@pytest.mark.parametrize("n", [5, 12])
def test_few_rows_have_the_root_of_their_covariance(n, dead):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(n, 20, generator=generator) * torch.logspace(-3, 3, 20)
    rows[:, :dead] = 0
    rows[1] = rows[0]  # one direction less
    whole = inverse_root(rows.double().T @ rows.double() / n, 1e-10)
    found = inverse_root_of_rows(rows, 1e-10)
    assert found.rank == whole.rank == n - 1
    assert found.alive.tolist() == whole.alive.tolist()
    projectors = [root.matrix @ root.matrix.T for root in (found, whole)]
    torch.testing.assert_close(*projectors, rtol=1e-6, atol=1e-9 * float(projectors[1].max()))
