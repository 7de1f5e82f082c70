"""Growing a network in place: the engine's one call."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_bench.growth.batches import Batch, Passes, checked, first, on, some, spread
from nas_bench.growth.capture import full_precision
from nas_bench.growth.event import GrowthEvent
from nas_bench.growth.grower import Grower, Where
from nas_bench.growth.input_grams import InputGrams
from nas_bench.growth.layers import SiteError
from nas_bench.growth.losses import Loss
from nas_bench.growth.method import SEARCH_SAMPLES, GrowthMethod
from nas_bench.growth.obstacles import check_sites, frozen_reason
from nas_bench.growth.optimizer import POLICIES, Policy, check, check_trained
from nas_bench.growth.preflight import (
    check_choice,
    check_context,
    check_kinds,
    check_names,
    check_numbers,
    check_pass,
    few,
)
from nas_bench.growth.progress_shown import line, shown
from nas_bench.growth.rehearsal import MANY, GrowthCost, count_samples, eager, extrapolated
from nas_bench.growth.sites import Site, arrange_slopes, randomness_kept
from nas_bench.growth.tracing import survey
from nas_bench.growth.width_reads import check_widths
from nas_bench.specs import said


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
    grams: InputGrams | None = None,
    calibrate_young: bool = False,
    seed: int | None = None,
    progress: bool = False,
) -> list[GrowthEvent]:
    """Grow a network in place.

    Args:
        model: any module that torch.fx can trace (or with its sites given).
        batches: the statistics batch, (inputs, targets) pairs of training data that are the same
            in every pass: no shuffling, no random augmentation. Targets may be tuples or dicts
            of tensors.
        loss: of (outputs, targets), the mean over samples, also the weighted one of
            `nn.CrossEntropyLoss` and `nn.NLLLoss`; the sum if its attribute `reduction` says so.
        method: how new neurons get their weights.
        neurons: how many are asked for at a site, or at each site by name.
        where: "each" site in turn, statistics anew each time; "all" sites from one pass; only the
            "best", where the measured loss falls most; only where the "predicted" loss falls most;
            only where new neurons have the largest "gradient", by one pass over the search
            batch before the method is asked, and at that site alone.
        fill: always add the number asked for: add nothing only where nothing was asked, and fill
            up with neurons of zero fan-out.
        sites: to consider; all if None.
        optimizer: made to train the new parameters. Without it, or with another one as well,
            whatever else holds the old parameters (an optimiser, an averaged copy of the model)
            has to be built anew.
        policy: what becomes of the optimiser's state.
        search_batch: the minibatch of training data on which amplitudes are searched; the first
            500 samples of the batches if None.
        samples: how many of the first samples of the batches a site's statistics take, by its
            name; all where it is not named.
        grams: of earlier growths of this network: what these have measured of the data itself is
            neither measured nor charged again at sites that `samples` names with the same number.
        calibrate_young: whether batch norms that count fewer than 1/momentum batches take their
            running statistics from the data first; else only those with mean 0 and variance 1.
        seed: of everything random; drawn from torch's own generator if None.
        progress: whether to say on stderr what `growth_cost` expects, then what is being done.

    Returns:
        One event for each site considered.

    Raises:
        TypeError: if an argument is of another type.
        SiteError: if the model cannot be traced, or a site cannot grow by this method.
        ValueError: if an argument has no such value, the data is empty, not finite or changes
            between passes, the model is not the same in every pass, the loss is no mean, a
            proposal is malformed, the optimiser trains half of a layer, or parameters are of half
            or mixed precision.
    """
    check_kinds(
        {
            "model": model, "batches": batches, "loss": loss, "method": method, "fill": fill,
            "optimizer": optimizer, "grams": grams, "calibrate_young": calibrate_young,
            "progress": progress,
        }
    )  # fmt: skip
    check_choice("where", where, get_args(Where))
    check_choice("policy", policy, POLICIES)
    check_numbers(neurons, samples, seed)
    check_context(model, optimizer)
    device = next(model.parameters()).device
    passes = Passes(batches, device)
    search_batch = search_batch or first(batches, SEARCH_SAMPLES)
    search_batch = on(device, checked(search_batch, "the search batch"))
    sites = _checked(model, sites) if sites is not None else _found(model, search_batch[0][:2])
    asked = neurons if isinstance(neurons, Mapping) else {s.name: neurons for s in sites}
    check_names("neurons", asked, sites)
    check_names("samples", samples or {}, sites)
    sites = [site for site in sites if asked.get(site.name, 0) > 0]
    if optimizer is not None:
        check(optimizer, policy)
        check_trained(optimizer, model, sites)
    generator = torch.Generator().manual_seed(_drawn() if seed is None else int(seed))
    groups = [[site] for site in sites] if where == "each" else [list(sites)] if sites else []
    events = []
    check_sites(model, sites)
    if progress and sites:
        cost = growth_cost(
            model, batches, loss, method, neurons=asked, where=where, sites=sites,
            search_batch=search_batch, samples=samples, calibrate_young=calibrate_young,
        )  # fmt: skip
        line(f"growing {', '.join(site.name for site in sites)} by {method.name}: {cost}")
    with full_precision(model), shown(wanted=progress) as shows:
        grower = Grower(
            model, passes, loss, method, asked, search_batch, fill, samples, generator,
            grams, calibrate_young, shows,
        )  # fmt: skip
        if sites:
            check_pass(model, sites, search_batch, loss, batches)
            check_widths(model, sites, few(search_batch)[0])
        if method.zero_fan_in:
            arrange_slopes(model, sites)
        for group in groups:
            chosen = grower.chosen(group, where)
            events += grower.applied(chosen, optimizer, policy)
    return events


def growth_cost(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    method: GrowthMethod,
    *,
    neurons: int | Mapping[str, int] = 5,
    where: Where = "best",
    sites: Sequence[Site] | None = None,
    search_batch: Batch | None = None,
    samples: Mapping[str, int] | None = None,
    calibrate_young: bool = False,
) -> GrowthCost:
    """What `grow` will cost with these arguments, estimated.

    A copy of the network grows twice on a few samples: an eighth and a quarter of them. What reads
    samples is scaled with their number; neurons that these are too few for count as if they
    were added, and `grams` of earlier growths are not known.

    Args:
        model: left as it is.
        batches: see `grow`, as all arguments.
        loss: of (outputs, targets).
        method: how new neurons get their weights.
        neurons: how many are asked for.
        where: which sites grow.
        sites: to consider.
        search_batch: on which amplitudes are searched.
        samples: of the statistics, by site.
        calibrate_young: whether young batch norms are calibrated.

    Raises:
        TypeError: as `grow`.
        ValueError: as `grow`.
    """
    check_kinds({"model": model, "batches": batches, "method": method})
    check_numbers(neurons, samples, None)
    check_context(model, None)
    samples, device = samples or {}, next(model.parameters()).device

    def tried(n: int, s: int) -> list[GrowthEvent]:
        fewer = {name: math.ceil(size * n / count) for name, size in samples.items()}
        return grow(
            _copied(model), [spread(some_data, n)], loss, eager(method), neurons=neurons,
            where=where, sites=sites, search_batch=spread(search, s), samples=fewer,
            calibrate_young=calibrate_young, seed=0,
        )  # fmt: skip

    with randomness_kept(device):  # which loaders draw from, too
        some_data = first(batches, MANY, ": what it costs is told from a part, before")
        search = search_batch or some(some_data, slice(SEARCH_SAMPLES))
        search = on(device, checked(search, "the search batch"))
        sites = _checked(model, sites) if sites is not None else _found(model, search[0][:2])
        named = samples and all(site.name in samples for site in sites)
        count = count_samples(batches, max(samples.values()) if named else math.inf)
        return extrapolated(tried, count, len(search[0]))


def _copied(model: nn.Module) -> nn.Module:
    try:
        return deepcopy(model)
    except Exception as error:  # modules hold anything
        raise ValueError(
            f"what a growth costs is tried on a copy, and {type(model).__name__} cannot be copied "
            f"({said(error)}): grow without it"
        ) from error


def _found(model: nn.Module, example: Tensor) -> Sequence[Site]:
    found = survey(model, example)
    frozen = {site.name: reason for site in found.sites if (reason := frozen_reason(model, site))}
    sites = [site for site in found.sites if site.name not in frozen]
    if not sites:
        refused = {refusal.layer: refusal.reason for refusal in found.refusals} | frozen
        reasons = "; ".join(f"{layer}: {reason}" for layer, reason in refused.items())
        raise SiteError(f"{type(model).__name__} has no hidden width that can grow ({reasons})")
    return sites


def _checked(model: nn.Module, sites: Sequence[Site]) -> Sequence[Site]:
    """Sites of this model in network order, as what is padded for whom depends on it."""
    check_kinds({"sites": sites})
    modules, grown = dict(model.named_modules()), set[str]()
    for site in sites:
        check_kinds({"an element of sites": site})
        if missing := [name for name in site.modules if name not in modules]:
            raise SiteError(
                f"site {site.name} is of another model, this one has no module {missing[0]}: take "
                "those that find_sites finds in it"
            )
        if site.grown in grown:
            raise SiteError(f"site {site.name} is given twice")
        if site.next in grown:
            raise SiteError(f"{site.grown} comes before {site.next} in the network, not after it")
        grown.add(site.grown)
    return sites


def _drawn() -> int:
    return int(torch.randint(2**31, ()))
