"""Sign, scale and amplitude of new neurons, searched on one fixed minibatch.

Algorithm 2 of *Growing Tiny Networks* (arXiv 2405.19816), with ε = 0 and the update of the
existing weights included in the norm.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from nas_bench.growth.capture import Batch, Captured, Loss, Quota, capture, mean_loss
from nas_bench.growth.layers import Layer, applied, columns, layer, with_weight
from nas_bench.growth.maps import SiteMaps
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.paths import follow, follow_linear, follow_linearised
from nas_bench.growth.rerun import Rerun
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics

AMPLITUDES = tuple(2.0**j for j in range(-20, 5))
SEARCH_SAMPLES = 500
TIE = 1e-9

Path = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """A growth of one site, ready to be applied.

    Attributes:
        neurons: with their final signs and amplitudes.
        amplitude: ε*, None if none was searched, 0 if every step made the loss worse.
        scale: γ, None if no amplitude was searched.
        predicted: drop of the loss at ε* to first order, on the minibatch.
        measured: drop of the loss at ε*, on the minibatch.
    """

    neurons: NewNeurons
    amplitude: float | None
    scale: float | None
    predicted: float
    measured: float


@dataclass(frozen=True)
class Probe:
    """What the new weights' own gradient promises: drops of the loss, ≥ 0.

    Attributes:
        predicted: to first order at ε = 1.
        measured: at the best ε.
    """

    predicted: float
    measured: float


@dataclass(frozen=True)
class Search:
    """The fixed minibatch of training samples on which steps at one site are judged.

    Attributes:
        model: as it is before the step; left so.
        site: that grows.
        batch: inputs and targets.
        loss: of (outputs, targets).
        seen: the batch inside the model.
    """

    model: nn.Module
    site: Site
    batch: Batch
    loss: Loss
    seen: Captured

    @classmethod
    def at(
        cls, model: nn.Module, sites: list[Site], batch: Batch, loss: Loss
    ) -> "dict[str, Search]":
        """One search for every site, from one forward and backward pass."""
        seen = capture(model, sites, batch, loss, goals=True)
        return {site.name: cls(model, site, batch, loss, seen) for site in sites}

    def contribution(self, neurons: NewNeurons, path: Path | None = None) -> Tensor:
        """What the neurons and the weight update add to the next layer, shape (n, …, d).

        Args:
            neurons: with their amplitude.
            path: in place of the site's own.
        """
        return self._contribution(self._linear(neurons), 1.0, path)

    def contributions(self, neurons: NewNeurons) -> Callable[[float], Tensor]:
        """`contribution` as a function of the amplitude; what is linear in it is made once."""
        linear_parts = self._linear(neurons)
        return lambda amplitude: self._contribution(linear_parts, amplitude, None)

    def loss_with(self, change: Tensor, rerun: Rerun | None = None) -> float:
        """Mean loss with something added to the next layer; nan counts as infinite."""
        with torch.no_grad():
            value = mean_loss(self.model, self.batch, self.loss, self.site.next, change, rerun)
        return math.inf if value.isnan() else float(value)

    def losses(self, changes: Callable[[float], Tensor]) -> dict[float, float]:
        """`loss_with` the change of every amplitude."""
        rerun = Rerun(self.model, self.site.next)
        return {e: self.loss_with(changes(e), rerun) for e in AMPLITUDES}

    def predicted_drop(self, neurons: NewNeurons) -> float:
        """First-order drop of the mean loss, exact also where the path has a kink at 0."""
        linearised = partial(follow_linearised, self.model, self.site.path)
        return self.first_order_drop(self.contribution(neurons, linearised))

    def first_order_drop(self, change: Tensor) -> float:
        """First-order drop of the mean loss by a change of the next layer's outputs."""
        goal = self.seen.goals[self.site.next]
        return float((goal * change).double().sum()) / len(goal)

    def oriented(self, neurons: NewNeurons) -> NewNeurons:
        """Each neuron with the sign, of both its weights, that the goal update prefers.

        The linear term does not depend on the sign, an activation like ReLU does, and a
        decomposition leaves it to the machine. Ties: the largest |ω| entry is positive.
        """
        z = self._pre_activity(neurons.fan_in)
        plus, minus = (follow(self.model, self.site.path, s * z) for s in (1, -1))
        wanted = self._wanted(neurons, plus)
        maps = self.site.map is not None
        plus, minus = (_by_neuron(wanted * h, len(neurons), maps) for h in (plus, -minus))
        omega = neurons.fan_out.flatten(1).double()
        largest = omega.gather(1, omega.abs().argmax(1, keepdim=True))[:, 0]
        tie = (plus - minus).abs() <= TIE * torch.maximum(plus.abs(), minus.abs())
        sign = torch.where(torch.where(tie, largest >= 0, plus > minus), 1.0, -1.0)
        return replace(
            neurons,
            fan_in=sign[:, None] * neurons.fan_in,
            fan_out=sign[:, None, None] * neurons.fan_out,
        )

    def probe(self, neurons: NewNeurons) -> "Probe":
        """A line-searched step along the new weights' own gradient.

        For methods that keep the function, whose growth itself changes no loss. At ε = 1 the step
        would, to first order, change the next layer as much as its activity.
        """
        alpha, omega = (
            _to(w, self.seen.outputs[self.site.next]).clone().requires_grad_()
            for w in (neurons.fan_in, neurons.fan_out)
        )

        with torch.enable_grad():
            change = self.contribution(replace(neurons, fan_in=alpha, fan_out=omega))
            value = mean_loss(self.model, self.batch, self.loss, self.site.next, change)
            gradients = torch.autograd.grad(value, (alpha, omega))
        slope = sum(float(g.double().square().sum()) for g in gradients)
        if slope == 0:
            return Probe(0.0, 0.0)
        start = self._linear(neurons)
        direction = self._pre_activity(gradients[0]), columns(self._next, gradients[1])

        def after(rate: float) -> Tensor:
            z, w = start.pre_activity - rate * direction[0], start.fan_out - rate * direction[1]
            return self._contribution(replace(start, pre_activity=z, fan_out=w), 1.0, None)

        size = sum(float(w.double().square().sum()) for w in (neurons.fan_in, neurons.fan_out))
        small = 1e-3 * math.sqrt(size / slope)
        speed = float((after(small) - after(0.0)).norm()) / small
        if speed == 0:  # the step leads where the path is flat
            return Probe(0.0, 0.0)
        unit = float(self.seen.outputs[self.site.next].norm()) / speed or 1.0
        losses = self.losses(lambda e: after(e * unit))
        return Probe(unit * slope, max(0.0, float(value.detach()) - min(losses.values())))

    @property
    def _next(self) -> Layer:
        return layer(self.model, self.site.next)

    def _linear(self, neurons: NewNeurons) -> "_LinearParts":
        z, update = self._pre_activity(neurons.fan_in), None
        if neurons.weight_update is not None:
            hidden = self.seen.inputs[self.site.next]
            update = applied(self._next, hidden, _to(neurons.weight_update, hidden))
        fan_out = columns(self._next, _to(neurons.fan_out, z))
        return _LinearParts(z, fan_out, update, neurons.copied)

    def _contribution(self, parts: "_LinearParts", amplitude: float, path: Path | None) -> Tensor:
        root = math.sqrt(amplitude)
        z = parts.pre_activity * root
        z = path(z) if path else follow(self.model, self.site.path, z, parts.copied)
        change = with_weight(self._next, z, parts.fan_out * root)
        return change if parts.update is None else change + amplitude * parts.update

    def _pre_activity(self, fan_in: Tensor) -> Tensor:
        x = self.seen.inputs[self.site.grown]
        return applied(layer(self.model, self.site.grown), x, _to(fan_in, x))

    def _wanted(self, neurons: NewNeurons, hidden: Tensor) -> Tensor:
        """What the goal update wants of the new hidden activities, shape of the hidden."""
        goal = self.seen.goals[self.site.next]
        weight = columns(self._next, _to(neurons.fan_out, goal))
        with torch.enable_grad():
            h = torch.zeros_like(hidden, requires_grad=True)
            change = with_weight(self._next, h, weight)
            (wanted,) = torch.autograd.grad(change, h, goal)
        return wanted


@dataclass(frozen=True)
class _LinearParts:
    """What is linear in the weights of a step, on the minibatch.

    Attributes:
        pre_activity: αᵀb₂ of the new neurons, shape (n, …, k) or (n, k, H, W).
        fan_out: ω, as new input columns of the next layer's weight.
        update: δW* b₁, shape of the next layer's output, or None.
        copied: as in the neurons.
    """

    pre_activity: Tensor
    fan_out: Tensor
    update: Tensor | None
    copied: Tensor | None


def scale(statistics: SiteStatistics, neurons: NewNeurons) -> float:
    """γ = ‖a‖ / ‖v_new + δW* b₁‖ over the statistics batch, 1 where either norm is 0.

    With rows both norms are quadratic in the statistics; with maps they are taken on those kept.
    In neither case the network runs again.
    """
    if statistics.maps is not None:
        return _scale_on_maps(statistics, statistics.maps, neurons)
    Z = neurons.fan_out.flatten(1).T @ neurons.fan_in
    step = (Z @ statistics.covariance * Z).sum()
    if neurons.weight_update is not None:
        update = neurons.weight_update
        step = step + 2 * (Z @ statistics.hidden_cross * update).sum()
        step = step + (update @ statistics.hidden_covariance * update).sum()
    W = statistics.next_weight
    return _ratio(float((W @ statistics.hidden_covariance * W).sum()), float(step))


def _scale_on_maps(statistics: SiteStatistics, maps: SiteMaps, neurons: NewNeurons) -> float:
    step = maps.change(neurons.fan_in, neurons.fan_out)
    if neurons.weight_update is not None:
        step = step + maps.fitted(neurons.weight_update)
    activity = maps.fitted(statistics.next_weight)
    sizes = [float(x.double().square().sum()) for x in (activity, step)]
    return _ratio(sizes[0], sizes[1])


def measured_scales(
    model: nn.Module,
    proposals: Mapping[Site, NewNeurons],
    batches: Iterable[Batch],
    loss: Loss,
    samples: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """γ of proposals for several sites by one forward pass, where S was not needed otherwise.

    A pass costs a fraction of the sums that S needs, and who does not read S does not pay for it.
    """
    activity = dict.fromkeys((site.name for site in proposals), 0.0)
    step, quota = dict(activity), Quota(samples)
    for batch in batches:
        wanting = quota.wanting(proposals)
        whole = capture(model, wanting, batch, loss, goals=False)
        for site in wanting:
            neurons, seen = proposals[site], whole.first(quota.take(site, whole.samples))
            search = Search(model, site, batch, loss, seen)
            change = search.contribution(neurons, partial(follow_linear, site.path))
            step[site.name] += float(change.double().square().sum())
            activity[site.name] += float(seen.outputs[site.next].double().square().sum())
        if not quota.wanting(proposals):
            break
    return {name: _ratio(activity[name], step[name]) for name in step}


def with_amplitude(neurons: NewNeurons, factor: float) -> NewNeurons:
    """Fan-in and fan-out times √factor, the weight update times the factor."""
    update = neurons.weight_update
    return replace(
        neurons,
        fan_in=neurons.fan_in * math.sqrt(factor),
        fan_out=neurons.fan_out * math.sqrt(factor),
        weight_update=None if update is None else update * factor,
    )


def line_search(search: Search, neurons: NewNeurons, gamma: float, *, allow_zero: bool) -> Step:
    """Orient and scale the neurons, and give them the amplitude with the lowest loss.

    ε* is the argmin over {0} ∪ {2^j, j = 4 … −20} of the loss on the minibatch, ties to the
    smaller.

    Args:
        search: the minibatch.
        neurons: as proposed.
        gamma: their scale.
        allow_zero: whether "add nothing" is a candidate.
    """
    oriented = search.oriented(with_amplitude(neurons, gamma))
    losses = search.losses(search.contributions(oriented))
    if allow_zero:
        losses = {0.0: search.seen.loss, **losses}
    best = min(losses, key=_order(losses))
    return Step(
        neurons=with_amplitude(oriented, best),
        amplitude=best,
        scale=gamma,
        predicted=best * search.predicted_drop(oriented),
        measured=search.seen.loss - losses[best],
    )


def _ratio(activity: float, step: float) -> float:
    """√(activity/step), 1 where either is 0."""
    ratio = math.sqrt(max(activity, 0.0) / step) if step > 0 else 0.0
    return ratio if math.isfinite(ratio) and ratio > 0 else 1.0


def _by_neuron(h: Tensor, neurons: int, maps: bool) -> Tensor:
    """Sums over samples and positions, shape (neurons,), of (n, …, k), maps or flattened maps."""
    if h.dim() == 2:
        return h.unflatten(1, (neurons, -1)).double().sum((0, 2))
    return h.double().sum((0, 2, 3) if maps else tuple(range(h.dim() - 1)))


def _order(losses: dict[float, float]) -> Callable[[float], tuple[float, float]]:
    return lambda amplitude: (losses[amplitude], amplitude)


def _to(weight: Tensor, like: Tensor) -> Tensor:
    return weight.to(like)
