"""A growth step on linear layers, ours and gromo's side by side in one process.

    python tests/benchmarks/growth_step.py [--repeats 7]

One step is the statistics (forward, backward, sums) and the solution (δW* and all new neurons),
in float32 with one thread. "floor" is what both must do: the forward pass and the products of
inputs with themselves and with the goals. Gains of both are compared.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from gromo.modules.linear_growing_module import LinearGrowingModule
from torch import Generator, Tensor, nn

from nas_bench import plugins
from nas_bench.growth import find_sites, measure

CASES = {  # inputs, width, outputs, samples
    "64-32-16, n = 1000": (64, 32, 16, 1000),
    "784-110-51, n = 1000": (784, 110, 51, 1000),
    "784-110-51, n = 4096": (784, 110, 51, 4096),
    "784-512-10, n = 4096": (784, 512, 10, 4096),
    "512-512-512, n = 4096": (512, 512, 512, 4096),
}
Parts = tuple[Callable[[], Any], Callable[[Any], Tensor]]
"""The statistics, and the gains from them."""


def ours(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    method = plugins.method("tiny[significance=false]")
    loss, site = nn.CrossEntropyLoss(), find_sites(model, x[:2])[0]
    needs = {site.name: method.needs(site)}
    return (
        lambda: measure(model, [site], [(x, y)], loss, needs)[site.name],
        lambda measured: method.propose(measured, 10**6, Generator()).gains,
    )


def theirs(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    first, second = model[0], model[2]
    cpu = torch.device("cpu")
    grown = LinearGrowingModule(
        first.in_features, first.out_features, post_layer_function=nn.ReLU(), device=cpu
    )
    following = LinearGrowingModule(
        second.in_features, second.out_features, previous_module=grown, device=cpu
    )
    grown.layer.load_state_dict(first.state_dict())
    following.layer.load_state_dict(second.state_dict())
    loss = nn.CrossEntropyLoss(reduction="sum")

    def measured() -> None:
        following.reset_computation()
        following.delete_update()
        following.init_computation()
        grown.zero_grad()
        following.zero_grad()
        loss(following(grown(x)), y).backward()
        following.update_computation()

    def gains(_: None) -> Tensor:
        following.compute_optimal_updates(statistical_threshold=0)
        found = following.eigenvalues_extension
        if not isinstance(found, Tensor):
            raise TypeError("gromo returned no gains")
        return found

    return measured, gains


def floor(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    goals = torch.randn(len(x), model[2].out_features)

    def products() -> None:
        with torch.no_grad():
            model(x)
            for other in (x, goals):
                x.T @ other

    return products, lambda _: torch.empty(0)


def seconds(parts: Parts) -> tuple[float, float]:
    start = time.perf_counter()
    measured = parts[0]()
    middle = time.perf_counter()
    parts[1](measured)
    return middle - start, time.perf_counter() - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print("milliseconds: statistics + solution")
    print(
        f"{'pair':22} {'ours':>15} {'gromo':>15} {'floor':>6} {'gromo/ours':>11}  gains agree to"
    )
    for name, (p, width, d, n) in CASES.items():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(p, width), nn.ReLU(), nn.Linear(width, d))
        x, y = torch.randn(n, p), torch.randint(d, (n,))
        mine, other, least = (make(model, x, y) for make in (ours, theirs, floor))
        a, b = (parts[1](parts[0]()) for parts in (mine, other))
        agreement = ((a[:5] - b[:5]).abs() / b[:5]).max()
        times = [[seconds(parts) for parts in (mine, other, least)] for _ in range(repeats)]
        parts = [
            [1e3 * statistics.median(run[i][j] for run in times) for j in (0, 1)] for i in range(3)
        ]
        ratio = statistics.median(sum(run[1]) / sum(run[0]) for run in times)
        columns = [f"{part[0]:7.1f} + {part[1]:5.1f}" for part in parts[:2]]
        print(
            f"{name:22} {columns[0]:>15} {columns[1]:>15} {parts[2][0]:6.1f} {ratio:11.2f}"
            f"  {agreement:.0e}"
        )


if __name__ == "__main__":
    main()
