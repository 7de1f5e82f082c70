"""What growing costs: decompositions have a price."""

import math

import pytest
import torch
from growth import problems
from growth.growing import grown

from nas_bench.growth.costs import CostMeter
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.update_only import UpdateOnly

N = 12
AMPLITUDES = 21
"""2⁻²⁰, 2⁻¹⁹, … 1."""
SQUARE = torch.randn(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
POSITIVE = SQUARE @ SQUARE.T + torch.eye(N, dtype=torch.float64)

DECOMPOSITIONS = {
    "eigh": lambda: torch.linalg.eigh(POSITIVE),
    "eigvalsh": lambda: torch.linalg.eigvalsh(POSITIVE),
    "eig": lambda: torch.linalg.eig(SQUARE),
    "svd": lambda: torch.linalg.svd(SQUARE),
    "svdvals": lambda: torch.linalg.svdvals(SQUARE),
    "pinv": lambda: torch.linalg.pinv(SQUARE),
    "qr": lambda: torch.linalg.qr(SQUARE),
    "cholesky": lambda: torch.linalg.cholesky(POSITIVE),
    "inv": lambda: torch.linalg.inv(SQUARE),
    "solve": lambda: torch.linalg.solve(SQUARE, SQUARE),
    "lstsq": lambda: torch.linalg.lstsq(SQUARE, SQUARE),
    "det": lambda: torch.linalg.det(SQUARE),
    "slogdet": lambda: torch.linalg.slogdet(SQUARE),
    "lu": lambda: torch.linalg.lu(SQUARE),
    "matrix_exp": lambda: torch.linalg.matrix_exp(SQUARE),
    "matrix rank": lambda: torch.linalg.matrix_rank(SQUARE),
    "spectral norm": lambda: torch.linalg.matrix_norm(SQUARE, 2),
    "cholesky_inverse": lambda: torch.cholesky_inverse(POSITIVE),
    "cholesky_solve": lambda: torch.cholesky_solve(SQUARE, POSITIVE),
    "triangular": lambda: torch.linalg.solve_triangular(POSITIVE, SQUARE, upper=True),
}


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_decompositions_have_a_price_that_grows_with_the_cube(name):
    meter = CostMeter()
    with meter.charge("part"):
        DECOMPOSITIONS[name]()
    assert N**3 / 8 < meter.flops["part"] < 60 * N**3


VALUES = {
    "eigvalsh": (lambda x: torch.linalg.eigvalsh(x @ x.T), 4 * 20**3 // 3, 20),
    "eigvals": (lambda x: torch.linalg.eigvals(x @ x.T), 20**3 * 10, 20),
    "svdvals": (torch.linalg.svdvals, 2 * 20 * 12**2 + 2 * 12**3, 0),
    "spectral norm": (lambda x: torch.linalg.matrix_norm(x, 2), 2 * 20 * 12**2 + 2 * 12**3, 0),
    "rank": (torch.linalg.matrix_rank, 2 * 20 * 12**2 + 2 * 12**3, 0),
    "eigh": (lambda x: torch.linalg.eigh(x @ x.T), 20**3 * 9, 20),
    "svd": (lambda x: torch.linalg.svd(x, full_matrices=False), 6 * 20 * 12**2 + 20 * 12**3, 0),
    "full svd": (torch.linalg.svd, 4 * 20**2 * 12 + 22 * 12**3, 0),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_cost_less_than_values_and_vectors(name):
    decomposition, flops, n = VALUES[name]
    meter, matrix = CostMeter(), torch.randn(20, 12, dtype=torch.float64)
    with meter.charge("part"):
        found = decomposition(matrix)  # kept, vectors too
    assert meter.flops["part"] == n * n * 12 + flops / 2
    assert found is not None


def test_vectors_that_a_gradient_needs_are_paid():
    meter, matrix = CostMeter(), torch.eye(12, requires_grad=True)
    with meter.charge("part"):
        torch.linalg.eigvalsh(matrix).sum().backward()
    assert meter.flops["part"] >= 9 * 12**3 / 2


def test_products_count_their_multiply_adds():
    meter = CostMeter()
    with meter.charge("part"):
        SQUARE @ SQUARE
        SQUARE @ SQUARE[0]
        SQUARE[0] @ SQUARE[1]
    assert meter.flops["part"] == N**3 + N**2 + N


def test_parts_add_up():
    meter = CostMeter()
    for part in ("a", "b", "a"):
        with meter.charge(part):
            SQUARE @ SQUARE
    assert meter.flops == {"a": 2 * N**3, "b": N**3}
    assert set(meter.seconds) == {"a", "b"}


def test_a_line_search_reads_the_inputs_once_for_all_that_it_asks():
    """γ, the signs, all losses, and the prediction; then ω, and the network from there on."""
    n, p, m, d, k = 60, 200, 2, 2, 50
    stage = problems.problem(samples=n, sizes=(p, m, d))
    _, (event,) = grown(stage, RandomGrowth(line_search="grid"), neurons=k)
    inputs, outputs = p * k, (1 + 2 + AMPLITUDES + 1) * k * d
    passes = 2 * (p * m + m * d) + (AMPLITUDES - 1) * m * d
    assert event.flops["line_search"] == n * (inputs + outputs + passes)


def test_what_is_measured_for_an_amplitude_belongs_to_the_line_search():
    """Random growth measures and decomposes nothing."""
    _, (event,) = grown(problems.problem(), RandomGrowth())
    assert event.flops["statistics"] == event.flops["decomposition"] == 0 < event.scale


@pytest.mark.parametrize("largest", [1.0, 2.0, 16.0])
def test_an_amplitude_costs_what_comes_from_the_next_layer_on(largest):
    n, p, m, d, k = 60, 5, 4, 3, 2
    stage = problems.problem(samples=n, sizes=(p, m, d))
    costs = [
        grown(stage, RandomGrowth(largest_amplitude=e, line_search="grid"), neurons=k)[1]
        for e in (0.5, largest)
    ]
    costs = [event.flops["line_search"] for (event,) in costs]
    more = 1 + math.log2(largest)
    assert costs[1] - costs[0] == n * more * (k * d + m * d)


@pytest.mark.parametrize("mode", ["search", "one"])
def test_without_neurons_only_the_update_is_searched(mode):
    """One pass for goals; then the update once, and the losses."""
    n, p, m, d = 60, 5, 4, 3
    stage = problems.problem(samples=n, sizes=(p, m, d))
    _, (event,) = grown(stage, UpdateOnly(update_amplitude=mode, line_search="grid"))
    network, update = p * m + m * d, m * d
    losses = network if mode == "one" else network + (AMPLITUDES - 1) * update
    assert event.flops["line_search"] == n * (network + update + losses)
    assert (event.added, event.amplitude is None) == (0, mode != "shared")
