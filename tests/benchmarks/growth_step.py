"""A growth step on linear layers, ours and gromo's side by side in one process.

    python tests/benchmarks/growth_step.py [--repeats 7]

One step is the statistics (forward, backward, sums) and the solution (δW* and all new neurons),
in float32 with one thread. Gains of both are compared.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from gromo.modules.linear_growing_module import LinearGrowingModule
from torch import Generator, Tensor, nn

from nas_bench import plugins
from nas_bench.growth import find_sites, measure

CASES = {  # inputs, width, outputs, samples
    "784-110-51, n = 4096": (784, 110, 51, 4096),
    "784-512-10, n = 4096": (784, 512, 10, 4096),
    "784-110-51, n = 1000": (784, 110, 51, 1000),
    "512-512-512, n = 4096": (512, 512, 512, 4096),
    "64-32-16, n = 1000": (64, 32, 16, 1000),
}


def ours(model: nn.Sequential, x: Tensor, y: Tensor) -> Callable[[], Tensor]:
    method = plugins.method("tiny[significance=false]")
    loss, site = nn.CrossEntropyLoss(), find_sites(model, x[:2])[0]

    def step() -> Tensor:
        measured = measure(model, [site], [(x, y)], loss, {site.name: method.needs(site)})
        return method.propose(measured[site.name], 10**6, Generator()).gains

    return step


def theirs(model: nn.Sequential, x: Tensor, y: Tensor) -> Callable[[], Tensor]:
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

    def step() -> Tensor:
        following.init_computation()
        grown.zero_grad()
        following.zero_grad()
        loss(following(grown(x)), y).backward()
        following.update_computation()
        following.compute_optimal_updates(statistical_threshold=0)
        gains = following.eigenvalues_extension
        following.reset_computation()
        following.delete_update()
        if not isinstance(gains, Tensor):
            raise TypeError("gromo returned no gains")
        return gains

    return step


def seconds(step: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"{'pair':24} {'ours [ms]':>10} {'gromo [ms]':>11} {'ratio':>6}  gains agree to")
    for name, (p, width, d, n) in CASES.items():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(p, width), nn.ReLU(), nn.Linear(width, d))
        x, y = torch.randn(n, p), torch.randint(d, (n,))
        mine, other = ours(model, x, y), theirs(model, x, y)
        a, b = mine(), other()
        agreement = ((a[:5] - b[:5]).abs() / b[:5]).max()
        times = [(seconds(mine), seconds(other)) for _ in range(repeats)]
        medians = [1e3 * statistics.median(column) for column in zip(*times, strict=True)]
        ratio = statistics.median(theirs / ours for ours, theirs in times)
        print(f"{name:24} {medians[0]:10.1f} {medians[1]:11.1f} {ratio:6.2f}  {agreement:.0e}")


if __name__ == "__main__":
    main()
