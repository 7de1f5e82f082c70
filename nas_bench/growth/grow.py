"""Growing a network: statistics, proposal, amplitude, widening."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_bench.growth.amplitude import (
    SEARCH_SAMPLES,
    Search,
    Step,
    line_search,
    measured_scales,
    scale,
    with_amplitude,
)
from nas_bench.growth.calibrate import calibrate, uncalibrated
from nas_bench.growth.capture import Batch, Loss, Passes
from nas_bench.growth.costs import CostMeter
from nas_bench.growth.kaiming import zero_fan_out_neurons
from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.measure import measure
from nas_bench.growth.method import GrowthMethod, Need, NewNeurons
from nas_bench.growth.optimizer import Policy, check, transplant
from nas_bench.growth.sites import Site, arrange_slopes
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.tracing import survey
from nas_bench.growth.widen import new_channel_moments, widen

Where = Literal["each", "all", "best", "predicted"]
Status = Literal[
    "added", "rejected", "not significant", "not possible", "not chosen", "too expensive"
]


@dataclass(frozen=True)
class GrowthEvent:
    """One attempt to grow one site.

    Attributes:
        site: name of the grown layer.
        status: what became of it; too expensive is for those who keep budgets to say.
        asked: neurons asked for.
        proposed: neurons that the method had.
        dropped: neurons that were not significant.
        added: neurons of the method that were added.
        filled: neurons with zero fan-out that the engine added to reach the number asked for.
        gains: λ of the neurons proposed.
        threshold: the gain below which a neuron was not significant, None if not tested.
        amplitude: ε*, None if not searched.
        scale: γ, None if not searched.
        predicted: drop of the mean loss to first order, on the search minibatch.
        measured: drop of the mean loss, on the search minibatch.
        score: what sites were ranked by, None if they were not.
        flops: multiply-adds by part; one pass for several sites is booked with the first.
        seconds: likewise.
    """

    site: str
    status: Status
    asked: int
    proposed: int
    dropped: int
    added: int
    filled: int
    gains: tuple[float, ...]
    threshold: float | None
    amplitude: float | None
    scale: float | None
    predicted: float
    measured: float
    score: float | None
    flops: dict[str, float]
    seconds: dict[str, float]


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
        ValueError: if the data is empty or changes between passes, or a proposal is malformed.
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
    if method.zero_fan_in:
        arrange_slopes(model, sites)
    generator = torch.Generator().manual_seed(seed)
    grower = _Grower(model, passes, loss, method, asked, search_batch, fill, samples, generator)
    groups = [[site] for site in sites] if where == "each" else [list(sites)] if sites else []
    events = []
    for group in groups:
        chosen = grower.chosen(group, where)
        events += grower.applied(chosen, optimizer, policy)
    return events


@dataclass(frozen=True)
class _Candidate:
    """What would be added at one site."""

    site: Site
    statistics: SiteStatistics
    proposal: NewNeurons
    meter: CostMeter
    gamma: float = 1.0
    step: Step | None = None
    score: float | None = None
    chosen: bool = True


@dataclass(frozen=True)
class _Grower:
    """What stays the same during one growth."""

    model: nn.Module
    passes: Passes
    loss: Loss
    method: GrowthMethod
    asked: Mapping[str, int]
    search_batch: Batch
    fill: bool
    samples: Mapping[str, int] | None
    generator: torch.Generator

    def chosen(self, sites: list[Site], where: Where) -> list[_Candidate]:
        """Proposals for sites from one pass, with those that where picks marked as chosen."""
        meter = CostMeter()
        with meter.charge("statistics"):
            statistics = self._statistics(sites)
        candidates = []
        for site in sites:
            with meter.charge("decomposition"):
                proposal = self._proposal(statistics[site.name], self.asked[site.name])
            candidates.append(_Candidate(site, statistics[site.name], proposal, meter))
            meter = CostMeter()
        if self.method.searches_amplitude:
            candidates = self._scaled(candidates)
        if where in ("each", "all"):
            return candidates
        scored = self._scored(candidates, measured=where == "best")
        best = max(scored, key=lambda c: c.score or 0.0)
        worth = self.fill or (best.score or 0.0) > 0
        return [replace(c, chosen=worth and c is best) for c in scored]

    def applied(
        self, candidates: list[_Candidate], optimizer: Optimizer | None, policy: Policy
    ) -> list[GrowthEvent]:
        """Add what was chosen, in network order, each with its own line search."""
        return [self._apply(c, optimizer, policy) for c in candidates]

    def _statistics(self, sites: list[Site]) -> dict[str, SiteStatistics]:
        if norms := uncalibrated(self.model):
            calibrate(self.model, norms, self.passes)
        needs = {site.name: self.method.needs(site) for site in sites}
        seed = int(torch.randint(2**31, (), generator=self.generator))
        return measure(
            self.model, sites, self.passes, self.loss, needs, samples=self.samples, seed=seed
        )

    def _proposal(self, statistics: SiteStatistics, k: int) -> NewNeurons:
        proposal = self.method.propose(statistics, k, self.generator)
        if not isinstance(proposal, NewNeurons):
            what = "None" if proposal is None else f"a {type(proposal).__name__}"
            raise TypeError(f"propose returned {what}, expected NewNeurons")
        p, d = statistics.grown_weight.shape[1], statistics.outputs
        shapes = tuple(proposal.fan_in.shape), tuple(proposal.fan_out.shape)
        n = len(proposal)
        taps = statistics.taps
        if n > k or shapes != ((n, p), (n, taps, d)):
            raise ValueError(
                f"{self.method.name} proposed fan_in {shapes[0]} and fan_out {shapes[1]} at site "
                f"{statistics.site!r}; expected (k, {p}) and (k, {taps}, {d}) with k ≤ {k}"
            )
        if not (proposal.fan_in.isfinite().all() and proposal.fan_out.isfinite().all()):
            raise ValueError(f"{self.method.name} proposed nan or inf at site {statistics.site!r}")
        return _moved(proposal, statistics.grown_weight.device)

    def _scaled(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Candidates with γ: from the statistics if they suffice, else from a forward pass."""
        if all(self._knows_scale(c) for c in candidates):
            return [
                replace(c, gamma=scale(c.statistics, c.proposal)) if len(c.proposal) else c
                for c in candidates
            ]
        proposals = {c.site: c.proposal for c in candidates}
        with candidates[0].meter.charge("statistics"):
            gammas = measured_scales(self.model, proposals, self.passes, self.loss, self.samples)
        return [replace(c, gamma=gammas[c.site.name]) for c in candidates]

    def _knows_scale(self, c: _Candidate) -> bool:
        enough = Need.INPUTS | Need.HIDDEN | Need.CROSS
        return c.statistics.maps is not None or (
            c.site.map is None and enough in self.method.needs(c.site)
        )

    def _scored(self, candidates: list[_Candidate], *, measured: bool) -> list[_Candidate]:
        """Candidates with the drop of the loss, measured or predicted, that ranks them."""
        with candidates[0].meter.charge("line_search"):
            searches = self._searches([c.site for c in candidates])
        scored = []
        for c in candidates:
            with c.meter.charge("line_search"):
                scored.append(self._score(c, searches[c.site.name], measured))
        return scored

    def _score(self, c: _Candidate, search: Search, measured: bool) -> _Candidate:
        if not len(c.proposal):
            return replace(c, score=0.0)
        if self.method.preserves_function:
            probe = search.probe(c.proposal)
            return replace(c, score=probe.measured if measured else probe.predicted)
        if not measured and self.method.searches_amplitude:
            oriented = search.oriented(with_amplitude(c.proposal, c.gamma))
            return replace(c, score=search.predicted_drop(oriented))
        step = self._step(c, search)
        return replace(c, step=step, score=step.measured if measured else step.predicted)

    def _searches(self, sites: list[Site]) -> dict[str, Search]:
        return Search.at(self.model, sites, self.search_batch, self.loss)

    def _step(self, c: _Candidate, search: Search) -> Step:
        neurons = _padded(c.proposal, self.model, c.site)
        if self.method.searches_amplitude:
            return line_search(search, neurons, c.gamma, allow_zero=not self.fill)
        change = search.contribution(neurons)
        drop = search.seen.loss - search.loss_with(change)
        return Step(neurons, None, None, search.first_order_drop(change), drop)

    def _apply(self, c: _Candidate, optimizer: Optimizer | None, policy: Policy) -> GrowthEvent:
        step = c.step
        if c.chosen and self.method.preserves_function:
            step = Step(_padded(c.proposal, self.model, c.site), None, None, 0.0, 0.0)
        elif c.chosen and step is None and len(c.proposal):
            with c.meter.charge("line_search"):
                step = self._step(c, self._searches([c.site])[c.site.name])
        status = self._status(c, step)
        neurons = step.neurons if step is not None and status == "added" else None
        missing = self.asked[c.site.name] - (0 if neurons is None else len(neurons))
        filled = missing if self.fill and c.chosen else 0
        if filled:
            filling = zero_fan_out_neurons(c.statistics, filled, self.generator)
            neurons = _joined(neurons, _padded(filling, self.model, c.site))
        if neurons is not None:
            with c.meter.charge("widening"):
                self._widen(c.site, neurons, optimizer, policy)
        return _event(c, step, "added" if filled else status, self.asked[c.site.name], filled)

    def _status(self, c: _Candidate, step: Step | None) -> Status:
        if not len(c.proposal):
            return "not significant" if c.proposal.dropped else "not possible"
        if step is not None and step.amplitude == 0:
            return "rejected"
        return "added" if c.chosen and step is not None else "not chosen"

    def _widen(
        self, site: Site, neurons: NewNeurons, optimizer: Optimizer | None, policy: Policy
    ) -> None:
        moments = None
        if site.batch_norms and neurons.copied is None:
            moments = new_channel_moments(self.model, site, neurons, self.passes)
        replacements = widen(self.model, site, neurons, moments)
        if optimizer is not None:
            transplant(optimizer, replacements, policy)


def _event(
    c: _Candidate, step: Step | None, status: Status, asked: int, filled: int
) -> GrowthEvent:
    if status not in ("added", "rejected"):
        step = None
    grown = status == "added" and step is not None
    return GrowthEvent(
        site=c.site.name,
        status=status,
        asked=asked,
        proposed=len(c.proposal),
        dropped=c.proposal.dropped,
        added=len(c.proposal) if grown else 0,
        filled=filled,
        gains=tuple(c.proposal.gains.tolist()),
        threshold=c.proposal.threshold,
        amplitude=step.amplitude if step else None,
        scale=step.scale if step else None,
        predicted=step.predicted if step else 0.0,
        measured=step.measured if step else 0.0,
        score=c.score,
        flops=c.meter.flops,
        seconds=c.meter.seconds,
    )


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


def _moved(neurons: NewNeurons, device: torch.device) -> NewNeurons:
    """The neurons on the device of the model, wherever the method made them."""
    values = {f.name: getattr(neurons, f.name) for f in fields(neurons)}
    tensors = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return replace(neurons, **tensors)


def _padded(neurons: NewNeurons, model: nn.Module, site: Site) -> NewNeurons:
    """Fan-in 0 on inputs that did not exist when the site was measured."""
    grown = layer(model, site.grown)
    bias = int(grown.bias is not None)
    new = inputs(grown) - neurons.fan_in.shape[1]
    if not new:
        return neurons
    features = neurons.fan_in.shape[1] - bias
    zeros = neurons.fan_in.new_zeros(len(neurons), new)
    parts = (neurons.fan_in[:, :features], zeros, neurons.fan_in[:, features:])
    return replace(neurons, fan_in=torch.cat(parts, 1))


def _joined(first: NewNeurons | None, second: NewNeurons) -> NewNeurons:
    if first is None:
        return second
    return replace(
        first,
        fan_in=torch.cat((first.fan_in, second.fan_in)),
        fan_out=torch.cat((first.fan_out, second.fan_out)),
        gains=torch.cat((first.gains, second.gains)),
    )


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
