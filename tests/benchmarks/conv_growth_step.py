"""A growth step on pairs of convolutions, ours and gromo's side by side in one process.

    python tests/benchmarks/conv_growth_step.py [--repeats 3] [--cases 3x3-1x1]

One step is the statistics (forward, backward, sums) and the solution (δW* and all new neurons),
in float32 with one thread, on a pair of layers with C channels everywhere, biases, ReLU in
between and maps of 32 × 32. Times are of the processor, which other processes change less. The
loss is half the squared distance to a random map, so that the goal differs at every position.
"floor" is the forward and backward pass of the pair.

Both define the same λ: a new channel is read through every tap of the next layer and is zero
outside the map, the constant included. gromo has two modules for it: the restricted one, exact
for next layers of 1 × 1 (of larger ones it grows the centre alone), and the full one.

Memory is the rise of the resident set to its peak in one step, MB. Each side is measured in a
fresh process, in which a step on a small pair has loaded the libraries, and then the model and
the data are made. The resident set counts what the allocator of PyTorch does not see, such as
buffers of BLAS and LAPACK. Linux only.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from gromo.modules.conv2d_growing_module import (
    Conv2dGrowingModule,
    FullConv2dGrowingModule,
    RestrictedConv2dGrowingModule,
)
from torch import Generator, Tensor, nn

from nas_bench import plugins
from nas_bench.growth import find_sites, measure

Parts = tuple[Callable[[], Any], Callable[[Any], Tensor]]
"""The statistics, and the gains from them."""


@dataclass(frozen=True)
class Case:
    """A convolution of 3 × 3, ReLU and another convolution.

    Attributes:
        kernel: of the second convolution.
        channels: before, between and behind both.
        samples: n.
        size: height and width of the maps.
    """

    kernel: int
    channels: int
    samples: int
    size: int = 32

    def model(self) -> nn.Sequential:
        """The pair, the same every time."""
        torch.manual_seed(0)
        c, k = self.channels, self.kernel
        return nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, k, padding=k // 2)
        )

    def data(self) -> tuple[Tensor, Tensor]:
        """Smooth random maps and random targets, shapes (n, C, size, size)."""
        generator = torch.Generator().manual_seed(1)
        shape = (self.samples, self.channels, self.size, self.size)
        x, y = (torch.randn(shape, generator=generator) for _ in range(2))
        return nn.functional.avg_pool2d(x, 3, 1, 1), y


SMALL = (Case(1, 4, 2, 8), Case(3, 4, 2, 8))
CASES = {
    f"3x3-{kernel}x{kernel}, C = {channels}, n = {samples}": Case(kernel, channels, samples)
    for kernel, samples in ((1, 64), (3, 16))
    for channels in (16, 32, 64)
}


def distance(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance, mean over samples."""
    return (outputs - targets).square().sum() / (2 * len(outputs))


def ours(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    method = plugins.method("tiny[significance=false]")
    site = find_sites(model, x[:2])[0]
    needs = {site.name: method.needs(site)}
    return (
        lambda: measure(model, [site], [(x, y)], distance, needs)[site.name],
        lambda measured: method.propose(measured, 10**6, Generator()).gains,
    )


def theirs(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    first, second = model[0], model[2]
    kernel, channels, cpu = second.kernel_size[0], second.in_channels, torch.device("cpu")
    module = RestrictedConv2dGrowingModule if kernel == 1 else FullConv2dGrowingModule
    size = (x.shape[2], x.shape[3])
    grown = Conv2dGrowingModule(
        channels, channels, 3, padding=1, input_size=size, device=cpu,
        post_layer_function=nn.ReLU(),
    )  # fmt: skip
    following = module(
        channels, channels, kernel, padding=kernel // 2, input_size=size, device=cpu,
        previous_module=grown,
    )  # fmt: skip
    grown.layer.load_state_dict(first.state_dict())
    following.layer.load_state_dict(second.state_dict())

    def measured() -> None:
        following.reset_computation()
        following.delete_update()
        following.init_computation()
        grown.zero_grad()
        following.zero_grad()
        (distance(following(grown(x)), y) * len(x)).backward()
        following.update_computation(update_covariance_loss_gradient=False)

    def gains(_: None) -> Tensor:
        following.compute_optimal_updates(statistical_threshold=0)
        found = following.eigenvalues_extension
        if not isinstance(found, Tensor):
            raise TypeError("gromo returned no gains")
        return found

    return measured, gains


def floor(model: nn.Sequential, x: Tensor, y: Tensor) -> Parts:
    parameters = list(model.parameters())

    def passes() -> None:
        torch.autograd.grad(distance(model(x), y), parameters)

    return passes, lambda _: torch.empty(0)


def seconds(parts: Parts) -> tuple[float, float]:
    start = time.process_time()
    measured = parts[0]()
    middle = time.process_time()
    parts[1](measured)
    return middle - start, time.process_time() - middle


def peak_memory(make: Callable[..., Parts], case: Case) -> float:
    """How far one step raises the resident set of this process above its start, in MB."""
    torch.set_num_threads(1)
    for small in SMALL:
        seconds(make(small.model(), *small.data()))
    parts = make(case.model(), *case.data())
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    seconds(parts)
    return (_resident("VmHWM") - before) / 1e6


def _resident(line: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(text.split()[1]) for text in lines if text.startswith(line))


def agreement(gains: Tensor, others: Tensor) -> float:
    """Largest relative difference of the five leading gains."""
    return float(((gains[:5] - others[:5]).abs() / others[:5]).max())


def compare(name: str, case: Case, repeats: int, memory: Sequence[float]) -> str:
    """One line of the table: medians of interleaved steps, after one that warms up."""
    sides = [make(case.model(), *case.data()) for make in (ours, theirs, floor)]
    difference = agreement(*(parts[1](parts[0]()) for parts in sides[:2]))
    seconds(sides[2])
    times = [[seconds(parts) for parts in sides] for _ in range(repeats)]
    mine, other, least = (
        [1e3 * statistics.median(run[i][j] for run in times) for j in (0, 1)] for i in range(3)
    )
    ratio = statistics.median(sum(run[1]) / sum(run[0]) for run in times)
    return (
        f"{name:24} {mine[0]:8.0f} + {mine[1]:4.0f} {other[0]:8.0f} + {other[1]:4.0f}"
        f" {least[0]:6.0f} {ratio:11.1f} {difference:9.0e} {memory[0]:7.0f} {memory[1]:7.0f}"
        f" {memory[1] / memory[0]:6.1f} {memory[2]:6.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="*", default=[""], help="parts of the names of cases")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("milliseconds: statistics + solution; gains: relative difference; memory: MB")
    print(
        f"{'pair':24} {'ours':>15} {'gromo':>15} {'floor':>6} {'gromo/ours':>11} {'gains':>9}"
        f" {'ours':>7} {'gromo':>7} {'ratio':>6} {'floor':>6}"
    )
    for name, case in CASES.items():
        if any(part in name for part in arguments.cases):
            sides = (ours, theirs, floor)
            with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
                memory = [fresh.submit(peak_memory, make, case).result() for make in sides]
            print(compare(name, case, arguments.repeats, memory), flush=True)


if __name__ == "__main__":
    main()
