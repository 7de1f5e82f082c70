"""What bracketing misses of the whole grid of amplitudes: one grid for each line search of trials.

    python tests/benchmarks/line_search.py --data DIR

Trials run with the whole grid; of each search, the losses that bracketing would have asked for are
looked up in it. Printed are how many it asks for, and the drop that it finds as a share of the
grid's, with every search in which that is below 99 %.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

from torch import Tensor

from nas_bench.growth import amplitude, bracketing
from nas_bench.trials.inputs import budget
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.trial import run_trial

TRIALS = (
    ("lite", "digits", "2000 steps", 4),
    ("lite", "fashion_mnist", "2000 steps", 1),
    ("tiny-fig11", "mnist", "2000 steps", 1),
    ("tiny-fig15", "cifar100", "200 steps", 1),
)
"""Protocols with their tasks, budgets, and seeds."""
METHODS = (
    "tiny", "tiny[significance=false]", "tiny[projection=false]", "random_growth",
    "random_growth[update=true]", "gradmax",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A line search.

    Attributes:
        trial: in which it was made.
        grid: drop of the loss by the whole grid.
        bracket: by the losses that bracketing asks for; losses: how many these are.
    """

    trial: str
    grid: float
    bracket: float
    losses: int

    @property
    def share(self) -> float:
        """Of the grid's drop, 1 where there is none."""
        return self.bracket / self.grid if self.grid > 0 else 1.0


def main() -> None:
    """Run the trials and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    found = searches(parser.parse_args().data)
    good = sum(search.share >= 0.99 for search in found)
    counts = sorted(Counter(search.losses for search in found).items())
    print(
        f"{len(found)} searches, {good} ({good / len(found):.2%}) find at least 99 % of the drop"
    )
    print(f"losses: {fmean(s.losses for s in found):.2f} on average,", dict(counts))


def searches(folder: Path) -> list[Found]:
    """All line searches of the trials, in their order; those that miss something are printed."""
    found: list[Found] = []
    for name, task, limit, seeds in TRIALS:
        changes = {"tasks": [task], "methods": METHODS, "seeds": range(seeds), "twins": []}
        protocol = load_protocol(name, [changes, {"budget": budget(limit).model_dump()}])
        for config in plan(protocol, baselines=False):
            with watched(found, f"{name} {task} {config.method} seed {config.seed}"):
                list(run_trial(config, None, None, folder, "cpu"))
            print(f"{config.method} on {task}, seed {config.seed}: {len(found)}", flush=True)
    return found


def watched(found: list[Found], trial: str) -> ExitStack:
    """Inside, every search tries the whole grid and is added to what was found."""
    original = amplitude.Search.losses

    def losses(
        self: amplitude.Search, change: Callable[[float], Tensor], slope: float,
        largest: float = 1.0, *, grid: bool = False,
    ) -> dict[float, float]:  # fmt: skip
        whole, asked = original(self, change, slope, largest, grid=True), []

        def loss(exponent: int) -> float:
            asked.append(exponent)
            return whole[2.0**exponent]

        exponents = bracketing.exponents_up_to(largest)
        some = bracketing.bracketed(loss, exponents, whole[0.0], slope)
        drops = [whole[0.0] - min(whole[0.0], *v) for v in (whole.values(), some.values())]
        search = Found(trial, drops[0], drops[1], len(asked))
        found.append(search)
        if search.share < 0.99:
            print(f"{search.share:7.2%} of {search.grid:.3g} by {search.losses}: {search.trial}")
        return whole

    stack = ExitStack()
    stack.enter_context(patch.object(amplitude.Search, "losses", losses))
    return stack


if __name__ == "__main__":
    main()
