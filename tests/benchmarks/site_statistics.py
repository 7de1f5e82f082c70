"""The statistics of one convolutional site against the training step of the network around it.

    python tests/benchmarks/site_statistics.py [--repeats 5] [--samples 64] [--solution]

Residual networks on images of 32 × 32, with random weights; sites of the body early, in the
middle and late. "network" is forward and backward with gradients of all parameters, "site" all
of `measure` with the needs of tiny: a forward pass, the backward pass down to the site, the
products. Both on the same samples, in eval mode, in float32 with one thread; times are of the
processor. With --solution also what `propose` takes after that for ten neurons and δW*.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, nn

from nas_bench import plugins
from nas_bench.growth import Need, Site, SiteStatistics, find_sites, measure
from nas_bench.training.resnet import resnet18, thin_resnet

NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "thin resnet, width 8": lambda: thin_resnet([8] * 8),
    "thin resnet, full width": lambda: thin_resnet([8, 8, 16, 16, 32, 32, 64, 64]),
    "resnet18, quarter width": lambda: resnet18([16, 16, 32, 32, 64, 64, 128, 128], 10),
    "resnet18, full width": lambda: resnet18([64, 64, 128, 128, 256, 256, 512, 512], 10),
}


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def body(sites: list[Site]) -> list[Site]:
    """The first, the middle and the last site between two convolutions."""
    maps = [site for site in sites if site.map is not None and not site.name.startswith("head")]
    return [maps[0], maps[len(maps) // 2], maps[-1]]


def compare(
    name: str, network: nn.Sequential, samples: int, repeats: int, *, solution: bool
) -> None:
    """A line of the table for each of three sites."""
    method, loss = plugins.method("tiny[significance=false]"), nn.CrossEntropyLoss()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 3, 32, 32, generator=generator)
    y = torch.randint(10, (samples,), generator=generator)
    parameters = list(network.eval().parameters())

    def step() -> None:
        torch.autograd.grad(loss(network(x), y), parameters)

    for site in body(find_sites(network, x[:2])):
        needs = {site.name: method.needs(site)}

        def measured(site: Site = site, needs: dict[str, Need] = needs) -> SiteStatistics:
            return measure(network, [site], [(x, y)], loss, needs)[site.name]

        step()
        found = measured()
        times = [(seconds(step), seconds(measured)) for _ in range(repeats)]
        network_time, site_time = (1e3 * statistics.median(t) for t in zip(*times, strict=True))
        ratio = statistics.median(b / a for a, b in times)
        p, taps = site.inputs(network), site.taps
        solved = ""
        if solution:
            proposal = partial(method.propose, found, 10, Generator())
            solved = f"{1e3 * seconds(proposal):9.0f}"
        print(
            f"{name:24} {site.name:18} {p:5} {site.positions:6} {taps:4} {network_time:9.0f}"
            f" {site_time:7.0f} {ratio:6.2f} {solved}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--cases", nargs="*", default=[""], help="parts of the networks' names")
    parser.add_argument("--solution", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"milliseconds, n = {arguments.samples}")
    print(
        f"{'network':24} {'site':18} {'p':>5} {'rows':>6} {'taps':>4} {'network':>9} {'site':>7}"
        f" {'ratio':>6}  {'solution' if arguments.solution else ''}"
    )
    for name, make in NETWORKS.items():
        if any(part in name for part in arguments.cases):
            torch.manual_seed(0)
            compare(
                name,
                make(),
                arguments.samples,
                arguments.repeats,
                solution=arguments.solution,
            )


if __name__ == "__main__":
    main()
