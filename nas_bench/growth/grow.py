"""Growing a network in place: the engine's one call."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_bench.growth.capture import Batch, Loss, Passes, full_precision
from nas_bench.growth.event import GrowthEvent
from nas_bench.growth.grower import Grower, Where
from nas_bench.growth.layers import SiteError
from nas_bench.growth.method import SEARCH_SAMPLES, GrowthMethod
from nas_bench.growth.optimizer import Policy, check
from nas_bench.growth.sites import Site, arrange_slopes
from nas_bench.growth.tracing import survey


@torch.no_grad()
def grow(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    method: GrowthMethod,
    *,
    neurons: int | Mapping[str, int] = 5,
    where: Where = "best",
    fill: bool = False,
    sites: Sequence[Site] | None = None,
    optimizer: Optimizer | None = None,
    policy: Policy = "transplant",
    search_batch: Batch | None = None,
    samples: Mapping[str, int] | None = None,
    seed: int = 0,
) -> list[GrowthEvent]:
    """Grow a network in place.

    Args:
        model: any module that torch.fx can trace (or with its sites given).
        batches: the statistics batch, (inputs, targets) pairs of training data that are the same
            in every pass: no shuffling, no random augmentation.
        loss: of (outputs, targets), the mean over samples.
        method: how new neurons get their weights.
        neurons: how many are asked for at a site, or at each site by name.
        where: "each" site in turn, statistics anew each time; "all" sites from one pass; only the
            "best", where the measured loss falls most; only where the "predicted" loss falls most.
        fill: always add the number asked for: add nothing only where nothing was asked, and fill
            up with neurons of zero fan-out.
        sites: to consider; all if None.
        optimizer: made to train the new parameters.
        policy: what becomes of the optimiser's state.
        search_batch: the minibatch of training data on which amplitudes are searched; the first
            500 samples of the batches if None.
        samples: how many of the first samples of the batches a site's statistics take, by its
            name; all where it is not named.
        seed: of everything random.

    Returns:
        One event for each site considered.

    Raises:
        SiteError: if the model cannot be traced, or a site cannot grow by this method.
        ValueError: if the data is empty or changes between passes, a proposal is malformed, or
            the parameters are of half precision.
    """
    device = next(model.parameters()).device
    passes = Passes(batches, device)
    search_batch = _on(device, search_batch or _first(batches))
    sites = _checked(sites) if sites is not None else _found(model, search_batch[0][:2])
    asked = neurons if isinstance(neurons, Mapping) else {s.name: neurons for s in sites}
    if unknown := set(asked) - {site.name for site in sites}:
        raise ValueError(
            f"no site {', '.join(sorted(unknown))}; sites: {', '.join(s.name for s in sites)}"
        )
    sites = [site for site in sites if asked.get(site.name, 0) > 0]
    if optimizer is not None:
        check(optimizer, policy)
    generator = torch.Generator().manual_seed(seed)
    grower = Grower(model, passes, loss, method, asked, search_batch, fill, samples, generator)
    groups = [[site] for site in sites] if where == "each" else [list(sites)] if sites else []
    events = []
    with full_precision(model):
        if method.zero_fan_in:
            arrange_slopes(model, sites)
        for group in groups:
            chosen = grower.chosen(group, where)
            events += grower.applied(chosen, optimizer, policy)
    return events


def _found(model: nn.Module, example: Tensor) -> Sequence[Site]:
    found = survey(model, example)
    if not found.sites:
        reasons = "; ".join(f"{r.layer}: {r.reason}" for r in found.refusals)
        raise SiteError(f"{type(model).__name__} has no hidden width that can grow ({reasons})")
    return found.sites


def _checked(sites: Sequence[Site]) -> Sequence[Site]:
    """Sites in network order, as what is padded for whom depends on it."""
    grown: set[str] = set()
    for site in sites:
        if site.next in grown:
            raise SiteError(f"{site.grown} comes before {site.next} in the network, not after it")
        grown.add(site.grown)
    return sites


def _first(batches: Iterable[Batch]) -> Batch:
    """The first samples of the data."""
    if iter(batches) is batches:
        raise ValueError(
            "the data can be read only once and several passes are needed; "
            "pass a list or a DataLoader instead of an iterator, or a search_batch"
        )
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    for x, y in islice(batches, SEARCH_SAMPLES):
        inputs.append(x)
        targets.append(y)
        if sum(map(len, inputs)) >= SEARCH_SAMPLES:
            break
    if not inputs:
        raise ValueError("no data to grow from: the batches are empty")
    return torch.cat(inputs)[:SEARCH_SAMPLES], torch.cat(targets)[:SEARCH_SAMPLES]


def _on(device: torch.device, batch: Batch) -> Batch:
    return batch[0].to(device), batch[1].to(device)
