"""Measuring site statistics: one forward and backward pass for all sites together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from nas_bench.growth.batches import Batch, Passes
from nas_bench.growth.capture import Quota, capture, full_precision
from nas_bench.growth.field_sums import FieldProducts
from nas_bench.growth.input_grams import InputGrams
from nas_bench.growth.layers import layer, matrix
from nas_bench.growth.losses import Loss
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.method import Need
from nas_bench.growth.paths import curvature, elementwise, follow
from nas_bench.growth.row_sums import RowProducts
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import FLOAT32_CUT, FLOAT64_CUT, SiteStatistics
from nas_bench.growth.sums import Part, SiteSamples, Sums


def statistics_batch(inputs: int, positions: int, factor: float = 1.0) -> int:
    """How many samples TINY's statistics ask for, n = max(c p²/P, 500) (D.1).

    Args:
        inputs: p, what the grown layer reads, with the constant.
        positions: P, rows per sample.
        factor: c.
    """
    return max(round(factor * inputs**2 / positions), 500)


def measure(
    model: nn.Module,
    sites: Sequence[Site],
    batches: Iterable[Batch],
    loss: Loss,
    needs: Mapping[str, Need],
    *,
    samples: Mapping[str, int] | None = None,
    grams: InputGrams | None = None,
    seed: int = 0,
) -> dict[str, SiteStatistics]:
    """The statistics of all sites from one pass over the data, in eval mode.

    Products are made in the precision of the network, sums and the solutions in float64.

    Args:
        model: left as it is.
        sites: to measure.
        batches: of (inputs, targets).
        loss: of (outputs, targets), the mean over samples.
        needs: what is read of each site, by its name; where nothing is read anywhere, no pass is
            made.
        samples: how many of the first samples are read at a site, by its name; all where it is
            not named.
        grams: of earlier measurements, whose Grams of the data are taken over.
        seed: of the random sample; statistics that are to be added need different ones.

    Raises:
        ValueError: if there is no data, or what it shows is not finite.
    """
    needs = {site.name: needs.get(site.name, Need.NOTHING) for site in sites}
    wanted = [site for site in sites if needs[site.name]]
    grams = grams or InputGrams(())
    needs |= {name: needs[name] & ~Need.INPUTS for name in grams.known(wanted, samples)}
    fields = {site.name: site.field(model) for site in wanted}
    goals = any(Need.GOAL in needs[site.name] for site in wanted)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, Part] = {}
    quota = Quota(samples)
    device = next(model.parameters()).device
    stream = batches if isinstance(batches, Passes) else Passes(batches, device)
    with full_precision(model):
        for number, batch in enumerate(stream if wanted else (), start=1):
            wanting = quota.wanting(wanted)
            label = f"batch {number}"
            whole = capture(model, wanting, batch, loss, goals=goals, label=label)
            rows = RowProducts(whole)
            keys = torch.rand(whole.samples, generator=generator, dtype=torch.float64)
            for site in wanting:
                seen, field = whole.first(quota.take(site, whole.samples)), fields[site.name]
                if field is not None:
                    products = FieldProducts.of(site, field, seen)
                else:
                    products = rows if seen is whole else RowProducts(seen)
                new = products.part(site, needs[site.name], keys[: seen.samples])
                old = parts.get(site.name)
                parts[site.name] = new if old is None else old.plus(new)
            if not quota.wanting(wanted):
                break
    if wanted and not parts:
        raise ValueError("no data to measure: the batches are empty")
    parts = {s.name: grams.completed(s, parts[s.name]) for s in wanted}
    nothing = Part(Sums(0))
    return {site.name: _statistics(model, site, parts.get(site.name, nothing)) for site in sites}


def _statistics(model: nn.Module, site: Site, part: Part) -> SiteStatistics:
    grown, following = layer(model, site.grown), layer(model, site.next)
    path = elementwise(site.path)
    rest = [step for step in site.path[len(path) :] if step.kind != "flatten"]
    samples = SiteSamples.joined(part.samples) if part.samples else None
    maps = SiteMaps.joined(part.maps) if part.maps else None
    biases = {"grown_bias": grown.bias is not None, "next_bias": following.bias is not None}
    return SiteStatistics(
        site=site.name,
        sums=part.sums,
        positions=site.positions,
        grown_weight=matrix(grown),
        next_weight=matrix(following),
        cut=FLOAT64_CUT if grown.weight.dtype == torch.float64 else FLOAT32_CUT,
        activation=lambda z, copied=None: follow(model, path, z, copied),
        carried=lambda h, copied=None: follow(model, rest, h, copied),
        curvature=lambda z, sharpness: curvature(model, path, z, sharpness),
        batch_norm=bool(site.batch_norms),
        samples=None if samples is None else samples.trimmed(**biases),
        taps=site.taps,
        maps=None if maps is None else replace(maps, **biases),
        linear=site.map is None,
        **biases,
    )
