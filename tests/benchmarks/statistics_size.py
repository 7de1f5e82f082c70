"""How much of the goal TINY's neurons reach on held-out data, by the size of the statistics batch.

    python tests/benchmarks/statistics_size.py --data DIR

Networks of the tasks' seed widths are trained for some steps. Then, site by site, δW* and the
five best neurons are taken from n training samples. Printed is the share of E‖v‖² on the
validation split that they explain, 1 − E‖v − δW* b₁ − v_new‖² / E‖v‖², v_new linear, as median
over seeds. What final accuracies make of n is a matter of trials:

    nas-bench run --protocol lite-reset --tasks fashion_mnist --seeds 0-3 --set twins=[] \\
      --methods 'tiny[statistics_factor=0.0001],tiny,tiny[statistics_factor=1]'
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import median

import torch

from nas_bench import plugins
from nas_bench.growth import Need, Site, SiteStatistics
from nas_bench.growth.measure import measure
from nas_bench.training.evaluation import CHUNK
from nas_bench.training.task import Samples
from nas_bench.trials.inputs import budget
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.trial import Start, Trial, first_widths

CASES = {
    "digits": (300, (100, 200, 500, 1000, 1617), 10),
    "fashion_mnist": (300, (200, 500, 1000, 2000, 6162, 20_000, 54_000), 4),
    "cifar100": (200, (200, 500, 1000, 2000, 4000), 1),
}
"""Steps of training, sizes and seeds, by task."""
METHOD = "tiny[significance=false]"
HELD_OUT, NEURONS = 2000, 5


def main() -> None:
    """Print a line for each task, site and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--tasks", default=",".join(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for task in arguments.tasks.split(","):
        steps, sizes, seeds = CASES[task]
        shares: dict[tuple[str, int], list[float]] = defaultdict(list)
        for seed in range(seeds):
            for key, share in explained(task, steps, sizes, seed, arguments.data).items():
                shares[key].append(share)
        for (site, n), values in shares.items():
            values = [value for value in values if value == value]  # a dead network has no goals
            print(f"{task:14} site {site:16} n = {n:6} {median(values):8.2%}", flush=True)


def explained(
    task: str, steps: int, sizes: tuple[int, ...], seed: int, folder: Path
) -> dict[tuple[str, int], float]:
    """The share of the goal that is explained on held-out data, by site and size."""
    trial = trained(task, steps, seed, folder)
    train, held_out = trial.data.train, trial.data.validation.first(HELD_OUT)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    method, found = plugins.method(METHOD), {}
    for site in trial.now.sites:
        unseen = statistics(trial, site, held_out)
        for n in sizes:
            few = Samples(train.inputs[order[:n]], train.targets[order[:n]])
            new = method.propose(statistics(trial, site, few), NEURONS, torch.Generator())
            found[site.name, n] = share(unseen, new.weight_update, new.fan_in, new.fan_out)
    return found


def trained(task: str, steps: int, seed: int, folder: Path) -> Trial:
    """A trial that has trained a network of the seed widths."""
    changes = {
        "tasks": [task], "methods": ["fixed[size=seed]"], "seeds": [seed], "twins": [],
        "budget": budget(f"{steps} steps").model_dump(), "schedule": {"every": 1, "growths": 6},
    }  # fmt: skip
    protocol = load_protocol("tiny-fig15" if task == "cifar100" else "lite", [changes])
    (config,) = plan(protocol, baselines=False)
    chosen = plugins.task(config.task)
    widths = first_widths(chosen, plugins.method(config.method))
    trial = Trial(Start(config, config.budget, chosen, None, widths, folder, "cpu"))
    for _ in trial.run():
        pass
    return trial


def statistics(trial: Trial, site: Site, samples: Samples) -> SiteStatistics:
    """All that TINY reads at a site, and its goal covariance."""
    needs = plugins.method(METHOD).needs(site) | Need.HIDDEN | Need.GOAL
    batches = samples.batches(CHUNK)
    return measure(trial.model, [site], batches, trial.now.loss, {site.name: needs})[site.name]


def share(
    unseen: SiteStatistics, update: torch.Tensor, fan_in: torch.Tensor, fan_out: torch.Tensor
) -> float:
    """1 − E‖v − δW* b₁ − v_new‖² / E‖v‖²."""
    if unseen.maps is not None:
        goals, maps = unseen.goals.double(), unseen.maps
        left = goals - maps.fitted(update).double() - maps.change(fan_in, fan_out).double()
        return 1 - float(left.square().sum() / goals.square().sum())
    Z = torch.einsum("kd,kp->dp", fan_out[:, 0], fan_in)
    linear = (update @ unseen.hidden_goal).trace() + (Z @ unseen.cross_covariance).trace()
    crossed = (update @ unseen.hidden_cross.T @ Z.T).trace()
    squares = (update @ unseen.hidden_covariance @ update.T).trace()
    squares = squares + (Z @ unseen.covariance @ Z.T).trace() + 2 * crossed
    return float((2 * linear - squares) / unseen.goal_covariance.trace())


if __name__ == "__main__":
    main()
