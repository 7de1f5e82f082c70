"""Decompositions of matrices that real networks show."""

import pytest
import torch

from nas_bench.growth.linalg import leading_directions


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
