"""The network that a trial begins with, and the layers of it that may grow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_bench.growth import Site, find_sites
from nas_bench.growth.capture import capture
from nas_bench.growth.method import SEARCH_SAMPLES
from nas_bench.text import counted
from nas_bench.training.data import Data
from nas_bench.training.soundness import check_network
from nas_bench.training.task import Samples, Split, Task
from nas_bench.trials.start import Start

DRAWS = 100
"""First networks drawn at most."""
ACTIVE = 0.01
"""Share of the samples on which a unit must be active for its layer to be alive."""


def first_network(start: Start, data: Data) -> tuple[nn.Module, int]:
    """A trial's first network, and how many were drawn before it because they were dead.

    Trials of the same widths and seed get the same network, whatever their method.

    Args:
        start: of the trial; its config says whether dead networks are drawn again.
        data: its splits; the first training samples decide.

    Raises:
        TaskError: if the task's networks or its loss do not fit the data.
        ValueError: if every network drawn is dead.
    """
    few = data.train.first(SEARCH_SAMPLES)
    for redraws in range(DRAWS):
        model = network(start.task, start.widths, start.device)
        if not redraws:
            splits = {"validation": data.validation, "test": data.test}
            check_network(start.task, model, data.train, **splits)
        if not start.config.redraw_dead or alive(model, start.task, few):
            return model, redraws
    raise ValueError(
        f"each of {DRAWS} networks of widths {list(start.widths)} has a hidden layer without an "
        "active unit: give the task's network a better initialisation or larger seed widths"
    )


def network(task: Task, widths: Sequence[int], device: str) -> nn.Module:
    """A fresh network of a task on a device.

    Images have their channels last in memory: on processors convolutions train 1.2 to 1.5 times
    as fast so.
    """
    model = task.network(widths).to(device)
    images = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return model.to(memory_format=torch.channels_last) if images else model


def alive(model: nn.Module, task: Task, few: Samples) -> bool:
    """Whether every hidden layer has a unit that is active on at least 1 % of the samples."""
    sites = growing_sites(task, model, few)
    seen = capture(model, sites, (few.inputs, few.targets), task.loss, goals=False)
    return all(float(_activity(seen.inputs[site.next]).max()) >= ACTIVE for site in sites)


def _activity(hidden: Tensor) -> Tensor:
    """On what share of the samples what the next layer reads is not 0 anywhere, by unit."""
    units = hidden if hidden.dim() == 2 else hidden.movedim(-1 if hidden.dim() == 3 else 1, -1)
    active = units != 0
    while active.dim() > 2:
        active = active.any(1)
    return active.to(torch.float64).mean(0)


def growing_sites(task: Task, model: nn.Module, train: Split) -> list[Site]:
    """The sites that a task's widths name, in network order.

    Raises:
        ValueError: if the network has more or fewer.
    """
    found = find_sites(model, train.first(2).inputs)
    sites = [site for site in found if task.grows(site.name)]
    expected = len(task.seed_widths)
    if len(sites) != expected:
        raise ValueError(
            f"task {task.name} names {counted(expected, 'hidden width')} but its network has "
            f"{counted(len(sites), 'site')}: {', '.join(s.name for s in sites)}"
        )
    return sites
