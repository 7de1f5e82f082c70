"""How much more of the bottleneck exact neurons remove than TINY's own, as many of them.

    NAS_BENCH_DATA=… python tests/benchmarks/exact_neurons.py [--neurons 1 5 10]

The thin ResNet-18 of `cifar100`, 8 wide in the middle of its blocks, after 60 steps of training;
statistics of 500 images. Both reductions are measured on the maps.
"""

import argparse

import torch

from nas_bench import plugins
from nas_bench.growth import NewNeurons, SiteStatistics, find_sites, measure
from nas_bench.training.data import data_folder, prepare

METHODS = [f"tiny[significance=false,exact={exact}]" for exact in ("false", "true")]


def reduction(statistics: SiteStatistics, new: NewNeurons) -> float:
    """Ψ − E‖v_p − v_new‖²."""
    goals, maps = statistics.residual_goals.double(), statistics.maps
    if maps is None:
        raise TypeError("the site has no maps")
    left = goals - maps.change(new.fan_in, new.fan_out).double()
    return float(goals.square().sum() - left.square().sum()) / len(maps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, nargs="+", default=[1, 5, 10])
    counts = parser.parse_args().neurons
    torch.set_num_threads(1)
    task = plugins.task("cifar100")
    train = prepare(task, data_folder(), 0.1).train
    torch.manual_seed(0)
    model, loss = task.network((8,) * 8), task.loss
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for x, y in zip(train.inputs[:6000].split(100), train.targets[:6000].split(100), strict=True):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    sites = [s for s in find_sites(model, train.inputs[:2]) if task.grows(s.name)]
    batches = list(
        zip(train.inputs[-500:].split(250), train.targets[-500:].split(250), strict=True)
    )
    paper, exact = map(plugins.method, METHODS)
    needs = {site.name: paper.needs(site) for site in sites}
    for name, statistics in measure(model, sites, batches, loss, needs).items():
        for k in counts:
            first, second = (m.propose(statistics, k, torch.Generator()) for m in (paper, exact))
            ratio = reduction(statistics, second) / reduction(statistics, first)
            print(f"{name:18} {k:3} neurons  t* {first.rescaled:5.2f}  exact / TINY {ratio:5.2f}")


if __name__ == "__main__":
    main()
