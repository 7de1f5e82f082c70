"""How often TINY keeps a neuron where nothing can be gained.

Labels are drawn from the network's own softmax, so that no change of the network improves its
expected loss and every neuron kept is a false positive. Nominal: 5 %.

    python tests/benchmarks/false_positives.py --data DIR --simulations 500
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional

from nas_bench.growth import Site, find_sites
from nas_bench.growth.measure import measure
from nas_bench.methods.tiny import Tiny
from nas_bench.tasks.mnist import Mnist

METHODS = {
    "ridge": Tiny(),
    "exact": Tiny(ridge=0.0),
    "unprojected": Tiny(projection=False),
}


@dataclass(frozen=True)
class Case:
    """A trained network, some images, and what its softmax says of them."""

    name: str
    model: nn.Module
    images: Tensor
    chances: Tensor


def mlp() -> nn.Module:
    """Rows: one a sample."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(196, 20),
        nn.ReLU(),
        nn.Linear(20, 10),
        nn.ReLU(),
        nn.Linear(10, 10),
    )


def convnet() -> nn.Module:
    """Maps, and a flatten."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def cases(folder: Path, samples: dict[str, int]) -> Iterator[Case]:
    """Both networks after 100, 300 and 3000 steps of Adam on MNIST, pooled to 14 × 14."""
    train, _ = Mnist().load(folder)
    images = functional.avg_pool2d(train.inputs.view(-1, 1, 28, 28), 2)
    for make in (mlp, convnet):
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        few = torch.randperm(len(images))[: samples[make.__name__]]
        for step in range(1, 3001):
            batch = torch.randint(len(images), (100,))
            optimizer.zero_grad()
            functional.cross_entropy(model(images[batch]), train.targets[batch]).backward()
            optimizer.step()
            if step in (100, 300, 3000):
                with torch.no_grad():
                    chances = model(images[few]).softmax(1)
                yield Case(f"{make.__name__}, {step} steps", model, images[few], chances)


def false_positives(case: Case, site: Site, simulations: int) -> dict[str, int]:
    """In how many simulations each method keeps a neuron."""
    kept = dict.fromkeys(METHODS, 0)
    generator = torch.Generator().manual_seed(0)
    needs = METHODS["ridge"].needs(site)
    for number in range(simulations):
        labels = torch.multinomial(case.chances, 1, generator=generator)[:, 0]
        batches = list(zip(case.images.split(500), labels.split(500), strict=True))
        found = measure(
            case.model, [site], batches, nn.CrossEntropyLoss(), {site.name: needs}, seed=number
        )[site.name]
        for name, method in METHODS.items():
            kept[name] += len(method.propose(found, 1, generator)) > 0
    return kept


def main() -> None:
    """One row a site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--maps", type=int, default=600, help="samples of the convnet")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for case in cases(given.data, {"mlp": 3000, "convnet": given.maps}):
        for site in find_sites(case.model, case.images[:2]):
            shares = [
                f"{name} {share(count, given.simulations)}"
                for name, count in false_positives(case, site, given.simulations).items()
            ]
            print(f"{case.name}, site {site.name}, n = {len(case.images)}:", *shares, flush=True)


def share(count: int, of: int) -> str:
    """Per cent with its 95 % interval."""
    low, high = binomtest(count, of).proportion_ci()
    return f"{100 * count / of:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
