"""What happens at each site during one growth, in order."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_bench.growth.amplitude import Search, Step, line_search, predicted_gain
from nas_bench.growth.batches import Batch, Passes
from nas_bench.growth.calibrate import calibrate, uncalibrated
from nas_bench.growth.costs import CostMeter
from nas_bench.growth.event import GrowthEvent, Status, steepness
from nas_bench.growth.input_grams import InputGrams
from nas_bench.growth.kaiming import zero_fan_out_neurons
from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.losses import Loss
from nas_bench.growth.measure import measure
from nas_bench.growth.method import GrowthMethod, Need, NewNeurons
from nas_bench.growth.optimizer import Policy, transplant
from nas_bench.growth.progress_shown import Said, silent
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.widen import new_channel_moments, widen

Where = Literal["each", "all", "best", "predicted", "gradient"]
LARGEST = 16_384
"""Inputs of the widest grown layer whose covariance is formed: 2 GB in float64."""


@dataclass(frozen=True)
class Candidate:
    """What would be added at one site.

    Attributes:
        score: by which sites were ranked, None if they were not.
        asked: whether the method was asked, or another site was chosen before.
    """

    site: Site
    statistics: SiteStatistics
    proposal: NewNeurons
    meter: CostMeter
    step: Step | None = None
    score: float | None = None
    chosen: bool = True
    asked: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing is proposed: neither neurons nor an update of the existing weights."""
        return not len(self.proposal) and not self.proposal.updates


@dataclass(frozen=True)
class Grower:
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
    grams: InputGrams | None = None
    calibrate_young: bool = False
    said: Said = silent

    def chosen(self, sites: list[Site], where: Where) -> list[Candidate]:
        """Proposals for sites from one pass, with those that where picks marked as chosen."""
        if where == "gradient":
            return self._steepest(sites)
        candidates = self._proposed(sites, CostMeter())
        if where in ("each", "all"):
            return candidates
        scored = self._scored(candidates, measured=where == "best")
        best = max(scored, key=lambda c: c.score or 0.0)
        worth = self.fill or (best.score or 0.0) > 0
        return [replace(c, chosen=worth and c is best) for c in scored]

    def applied(
        self, candidates: list[Candidate], optimizer: Optimizer | None, policy: Policy
    ) -> list[GrowthEvent]:
        """Add what was chosen, in network order, each with its own line search."""
        return [self._apply(c, optimizer, policy) for c in candidates]

    def _proposed(self, sites: list[Site], meter: CostMeter) -> list[Candidate]:
        """What the method has for each site, from one pass that is booked with the first."""
        self.said(f"{', '.join(site.name for site in sites)}: statistics")
        with meter.charge("statistics"):
            statistics = self._statistics(sites)
        candidates = []
        for site in sites:
            self.said(f"{site.name}: new neurons")
            with meter.charge("decomposition"):
                proposal = self._proposal(statistics[site.name], self.asked[site.name])
            candidates.append(Candidate(site, statistics[site.name], proposal, meter))
            meter = CostMeter()
        return candidates

    def _steepest(self, sites: list[Site]) -> list[Candidate]:
        """What the method has for the site where new neurons have the largest gradient."""
        meter = CostMeter()
        self.said(f"{', '.join(site.name for site in sites)}: gradients")
        with meter.charge("statistics"):
            self._calibrate()
            goals = {site.name: Need.GOAL for site in sites}
            seen = measure(self.model, sites, [self.search_batch], self.loss, goals)
            scores = {name: statistics.new_neuron_gradient for name, statistics in seen.items()}
        best = max(scores, key=lambda name: scores[name])
        passed_over = [
            Candidate(
                site, seen[site.name], zero_fan_out_neurons(seen[site.name], 0, self.generator),
                CostMeter(), score=scores[site.name], chosen=False, asked=False,
            )
            for site in sites
        ]  # fmt: skip
        if not self.fill and not scores[best]:
            return [replace(c, meter=meter) if c.site.name == best else c for c in passed_over]
        (chosen,) = self._proposed([site for site in sites if site.name == best], meter)
        chosen = replace(chosen, score=scores[best])
        return [chosen if c.site.name == best else c for c in passed_over]

    def _calibrate(self) -> None:
        if norms := uncalibrated(self.model, young=self.calibrate_young):
            calibrate(self.model, norms, self.passes)

    def _statistics(self, sites: list[Site]) -> dict[str, SiteStatistics]:
        self._calibrate()
        needs = {site.name: self.method.needs(site) for site in sites}
        for site in sites:
            self._check_size(site, site.grown, Need.INPUTS | Need.PATCHES)
            self._check_size(site, site.next, Need.HIDDEN)
        seed = int(torch.randint(2**31, (), generator=self.generator))
        return measure(
            self.model, sites, self.passes, self.loss, needs, samples=self.samples,
            grams=self.grams, seed=seed,
        )  # fmt: skip

    def _check_size(self, site: Site, name: str, needed: Need) -> None:
        """Refuse a covariance that would not fit in memory."""
        p = inputs(layer(self.model, name))
        if self.method.needs(site) & needed and p > LARGEST:
            raise SiteError(
                f"{self.method.name} needs the covariance of the {p} inputs of {name}, "
                f"{8e-9 * p**2:.1f} GB, and the limit is {LARGEST} inputs: leave site "
                f"{site.name} out by naming the others"
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
        updates = {
            "weight_update": (proposal.weight_update, statistics.next_weight.shape),
            "grown_update": (proposal.grown_update, statistics.grown_weight.shape),
        }
        for name, (update, shape) in updates.items():
            if update is not None and update.shape != shape:
                raise ValueError(
                    f"{self.method.name} proposed a {name} of shape {tuple(update.shape)} at "
                    f"site {statistics.site!r}; expected {tuple(shape)}"
                )
        parts = (proposal.fan_in, proposal.fan_out, *(update for update, _ in updates.values()))
        weights = [part for part in parts if part is not None]
        if not all(weight.isfinite().all() for weight in weights):
            raise ValueError(f"{self.method.name} proposed nan or inf at site {statistics.site!r}")
        if any(map(torch.is_complex, weights)):
            raise ValueError(
                f"{self.method.name} proposed complex numbers at site {statistics.site!r}; "
                "expected real ones"
            )
        return _moved(proposal, statistics.grown_weight.device)

    def _scored(self, candidates: list[Candidate], *, measured: bool) -> list[Candidate]:
        """Candidates with the drop of the loss, measured or predicted, that ranks them."""
        with candidates[0].meter.charge("line_search"):
            searches = self._searches([c.site for c in candidates])
        scored = []
        for c in candidates:
            self.said(f"{c.site.name}: how far the loss falls")
            with c.meter.charge("line_search"):
                scored.append(self._score(c, searches[c.site.name], measured))
        return scored

    def _score(self, c: Candidate, search: Search, measured: bool) -> Candidate:
        if c.empty:
            return replace(c, score=0.0)
        if self.method.preserves_function:
            probe = search.probe(c.proposal)
            return replace(c, score=probe.measured if measured else probe.predicted)
        if not measured and self.method.searches_amplitude:
            return replace(c, score=predicted_gain(search, c.proposal))
        step = self._step(c, search)
        return replace(c, step=step, score=step.measured if measured else step.predicted)

    def _searches(self, sites: list[Site]) -> dict[str, Search]:
        return Search.at(self.model, sites, self.search_batch, self.loss)

    def _step(self, c: Candidate, search: Search) -> Step:
        proposal = _padded(c.proposal, self.model, c.site)
        if self.method.searches_amplitude:
            return line_search(search, proposal)
        change = search.change(search.part(proposal))
        drop = search.seen.loss - search.loss_with(change)
        return Step(proposal, search.first_order_drop(change), drop)

    def _apply(self, c: Candidate, optimizer: Optimizer | None, policy: Policy) -> GrowthEvent:
        if c.chosen:
            self.said(f"{c.site.name}: line search and widening")
        c = self._decided(c)
        step = c.step if c.chosen else None
        neurons = c.proposal.none() if step is None else step.neurons
        own, asked = len(neurons), self.asked[c.site.name]
        filled = asked - own if self.fill and c.chosen else 0
        if filled:
            filling = zero_fan_out_neurons(c.statistics, filled, self.generator)
            neurons = neurons.joined(_padded(filling, self.model, c.site))
        before = _norm(self.model, c.site)
        if len(neurons) or neurons.updates:
            with c.meter.charge("widening"):
                self._widen(c.site, neurons, optimizer, policy)
        return _event(c, asked, own, filled, (before, _norm(self.model, c.site)))

    def _decided(self, c: Candidate) -> Candidate:
        """A candidate with the step that is to be taken, if it is chosen."""
        if not c.chosen or c.empty:
            return c
        if self.method.preserves_function:
            return replace(c, step=Step(_padded(c.proposal, self.model, c.site), 0.0, 0.0))
        if c.step is not None:
            return c
        asks = self.method.searches_amplitude  # else what is seen of the loss is for people alone
        with c.meter.charge("line_search") if asks else nullcontext():
            return replace(c, step=self._step(c, self._searches([c.site])[c.site.name]))

    def _widen(
        self, site: Site, neurons: NewNeurons, optimizer: Optimizer | None, policy: Policy
    ) -> None:
        moments = None
        if site.batch_norms and any(copied is None for _, copied in neurons.sources):
            count = (self.samples or {}).get(site.name)
            moments = new_channel_moments(self.model, site, neurons, self.passes, count)
        replacements = widen(self.model, site, neurons, moments)
        if optimizer is not None:
            transplant(optimizer, replacements, policy)


def _event(
    c: Candidate, asked: int, own: int, filled: int, norms: tuple[float, float]
) -> GrowthEvent:
    step = c.step if c.chosen else None
    return GrowthEvent(
        site=c.site.name,
        status="added" if own or filled else _status(c, step),
        asked=asked,
        proposed=len(c.proposal),
        dropped=c.proposal.dropped,
        added=own,
        filled=filled,
        gains=tuple(c.proposal.gains.tolist()),
        threshold=c.proposal.threshold,
        draws=c.proposal.draws,
        amplitude=step.amplitude if step else None,
        scale=step.scale if step else None,
        update_amplitude=step.update_amplitude if step else None,
        update_scale=step.update_scale if step else None,
        update_norm=_size(c.proposal.weight_update),
        grown_update_norm=_size(c.proposal.grown_update),
        next_norm_before=norms[0],
        next_norm_after=norms[1],
        predicted=step.predicted if step else 0.0,
        measured=step.measured if step else 0.0,
        score=c.score,
        flops=c.meter.flops,
        seconds=c.meter.seconds,
        warning=steepness(c.site.name, norms),
    )


def _status(c: Candidate, step: Step | None) -> Status:
    """What became of a proposal of which no neuron was added."""
    if step is not None and step.neurons.updates:
        return "updated"
    if not c.asked:
        return "not chosen"
    if not len(c.proposal):
        return "not significant" if c.proposal.dropped else "not possible"
    return "not chosen" if c.step is None or c.step.amplitude else "rejected"


def _size(update: Tensor | None) -> float | None:
    return None if update is None else float(update.norm())


def _norm(model: nn.Module, site: Site) -> float:
    """‖W‖ of the next layer, without its bias."""
    return float(layer(model, site.next).weight.detach().double().norm())


def _moved(neurons: NewNeurons, device: torch.device) -> NewNeurons:
    """The neurons on the device of the model, wherever the method made them."""
    values = {f.name: getattr(neurons, f.name) for f in fields(neurons)}
    tensors = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return replace(neurons, **tensors)


def _padded(neurons: NewNeurons, model: nn.Module, site: Site) -> NewNeurons:
    """Fan-in 0 on inputs that did not exist when the site was measured."""
    grown = layer(model, site.grown)
    features = neurons.fan_in.shape[1] - int(grown.bias is not None)
    new = inputs(grown) - neurons.fan_in.shape[1]
    if not new:
        return neurons

    def padded(rows: Tensor) -> Tensor:
        zeros = rows.new_zeros(len(rows), new)
        return torch.cat((rows[:, :features], zeros, rows[:, features:]), 1)

    rows = neurons.grown_update
    return replace(
        neurons,
        fan_in=padded(neurons.fan_in),
        grown_update=None if rows is None else padded(rows),
    )
