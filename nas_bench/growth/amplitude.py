"""Sign, scale and amplitude of a growth step, searched on one fixed minibatch.

Algorithm 2 of *Growing Tiny Networks* (arXiv 2405.19816), with ε = 0, once for the updates of the
existing weights (δW*, and those of the grown layer's rows) and once for the new neurons.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from nas_bench.growth.batches import Batch
from nas_bench.growth.bracketing import bracketed, exponents_up_to
from nas_bench.growth.capture import Captured, capture, mean_loss
from nas_bench.growth.layers import Layer, applied, columns, layer, matrix, split, with_weight
from nas_bench.growth.losses import Loss
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.paths import follow, follow_linear, follow_linearised, tangent
from nas_bench.growth.rerun import Rerun
from nas_bench.growth.sites import Site

TIE = 1e-9

Path = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Moved:
    """Existing neurons whose rows change, on the minibatch, shape (n, …, width) or of maps.

    Attributes:
        at: their pre-activities as they are.
        by: what the change adds.
    """

    at: Tensor
    by: Tensor


@dataclass(frozen=True)
class Part:
    """A part of a step, and what of it is linear in its weights, on the minibatch.

    Attributes:
        neurons: new ones, or updates alone, or both.
        pre_activity: αᵀb₂ of the new neurons, shape (n, …, k) or (n, k, H, W); None of none.
        update: δW* b₁, shape of the next layer's output, or None.
        moved: the grown layer's neurons, where the step changes their rows.
    """

    neurons: NewNeurons
    pre_activity: Tensor | None
    update: Tensor | None
    moved: Moved | None = None

    def scaled(self, factor: float) -> "Part":
        """As if the weights were those of `with_amplitude`."""
        z, update, moved = self.pre_activity, self.update, self.moved
        return Part(
            neurons=with_amplitude(self.neurons, factor),
            pre_activity=None if z is None else z * math.sqrt(factor),
            update=None if update is None else update * factor,
            moved=None if moved is None else replace(moved, by=moved.by * factor),
        )


@dataclass(frozen=True)
class Step:
    """A growth of one site, ready to be applied.

    Attributes:
        neurons: with their final signs and amplitudes, and the weight update with its own; none
            where every amplitude of theirs makes the loss worse.
        predicted: drop of the loss to first order, on the minibatch.
        measured: drop of the loss, on the minibatch.
        amplitude: ε* of the neurons, None if none was searched, 0 if none lowers the loss.
        scale: γ of the neurons, None if no amplitude was searched.
        update_amplitude: ε* of the weight update, None if there is none.
        update_scale: γ of the weight update, 1 where it is applied as it is.
    """

    neurons: NewNeurons
    predicted: float
    measured: float
    amplitude: float | None = None
    scale: float | None = None
    update_amplitude: float | None = None
    update_scale: float | None = None


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
        rerun: of the next layer, for all passes over the batch.
        shift: what a weight update that is to be applied first adds to the next layer's outputs;
            `seen` is then what the updated model shows.
    """

    model: nn.Module
    site: Site
    batch: Batch
    loss: Loss
    seen: Captured
    rerun: Rerun
    shift: Tensor | None = None

    @classmethod
    def at(
        cls, model: nn.Module, sites: list[Site], batch: Batch, loss: Loss
    ) -> "dict[str, Search]":
        """One search for every site, from one forward and backward pass."""
        seen = capture(model, sites, batch, loss, goals=True, label="the search batch")
        return {
            site.name: cls(model, site, batch, loss, seen, Rerun(model, site.next))
            for site in sites
        }

    def updated(self, update: Part) -> "Search":
        """The same minibatch in the model with a weight update applied."""
        name, shift = self.site.next, self.change(update).clone().requires_grad_()
        with torch.enable_grad():
            value = self._mean_loss(shift)
            (gradient,) = torch.autograd.grad(value, shift)
        seen = replace(
            self.seen,
            loss=float(value.detach()),
            outputs={**self.seen.outputs, name: self.seen.outputs[name] + shift.detach()},
            goals={**self.seen.goals, name: -self.seen.weight * gradient},
        )
        return replace(self, seen=seen, shift=shift.detach())

    def part(self, neurons: NewNeurons) -> Part:
        """Neurons, or an update, with what they make of the minibatch."""
        hidden, update = self.seen.inputs[self.site.next], None
        if neurons.weight_update is not None:
            update = applied(self._next, hidden, _to(neurons.weight_update, hidden))
        z, moved = self._pre_activity(neurons.fan_in) if len(neurons) else None, None
        if neurons.grown_update is not None:
            rows = matrix(layer(self.model, self.site.grown)), neurons.grown_update
            moved = Moved(*map(self._pre_activity, rows))
        return Part(neurons, z, update, moved)

    def scale(self, part: Part) -> float:
        """γ = ‖a‖ / ‖v_new + δW* b₁‖, v_new linearised; 1 where either norm is 0."""
        change = self.change(part, partial(follow_linear, self.site.path))
        activity = self.seen.outputs[self.site.next]
        sizes = [float(x.double().square().sum()) for x in (activity, change)]
        ratio = math.sqrt(sizes[0] / sizes[1]) if sizes[1] > 0 else 0.0
        return ratio if math.isfinite(ratio) and ratio > 0 else 1.0

    def change(self, part: Part, path: Path | None = None) -> Tensor:
        """What a part adds to the next layer, shape (n, …, d).

        Args:
            part: of a step.
            path: of new neurons, in place of the site's own; what rows that move make of the
                existing ones is then their first order, too.
        """
        changes: list[Tensor] = []
        if part.pre_activity is not None:
            changes.append(self._added(part.neurons, part.pre_activity, path))
        if part.update is not None:
            changes.append(part.update)
        if part.moved is not None:
            changes.append(self._moved(part.moved, part.neurons.weight_update, path is not None))
        if not changes:
            return torch.zeros_like(self.seen.outputs[self.site.next])
        return sum(changes[1:], changes[0])

    def _added(self, neurons: NewNeurons, z: Tensor, path: Path | None) -> Tensor:
        """By new neurons with pre-activities z."""
        changes = []
        for which, copied in [(slice(None), None)] if path else neurons.sources:
            own = z[:, which] if self.site.map else z[..., which]
            h = path(own) if path else follow(self.model, self.site.path, own, copied)
            fan_out = columns(self._next, _to(neurons.fan_out[which], h))
            changes.append(with_weight(self._next, h, fan_out))
        return sum(changes[1:], changes[0])

    def _moved(self, moved: Moved, update: Tensor | None, first_order: bool) -> Tensor:
        """By existing neurons whose rows change, also through the update of what reads them."""
        channels = torch.arange(self.site.width(self.model), device=moved.at.device)

        def hidden(z: Tensor) -> Tensor:
            return follow(self.model, self.site.path, z, channels)

        weight = self._next.weight.detach()
        if first_order:
            change = tangent(hidden, moved.at, moved.by)
        else:
            change = hidden(moved.at + moved.by) - self.seen.inputs[self.site.next]
            if update is not None:
                weight = weight + _to(split(self._next, update)[0], weight)
        return with_weight(self._next, change, weight)

    def loss_with(self, change: Tensor) -> float:
        """Mean loss with something added to the next layer; nan counts as infinite."""
        change = change if self.shift is None else change + self.shift
        with torch.no_grad():
            value = self._mean_loss(change)
        return math.inf if value.isnan() else float(value)

    def losses(
        self, change: Callable[[float], Tensor], slope: float, largest: float = 1.0,
        *, grid: bool = False,
    ) -> dict[float, float]:  # fmt: skip
        """`loss_with` the change of amplitudes 2^j up to the largest, and without any at 0.

        Args:
            change: by the amplitude.
            slope: by how much the loss falls, to first order, at amplitude 1.
            largest: at least 2⁻²⁰.
            grid: whether to try them all, in place of those of `bracketed`.
        """
        exponents = exponents_up_to(largest)

        def loss(exponent: int) -> float:
            return self.loss_with(change(2.0**exponent))

        if grid:
            found = {j: loss(j) for j in exponents}
        else:
            found = bracketed(loss, exponents, self.seen.loss, slope)
        return {0.0: self.seen.loss} | {2.0**j: found[j] for j in sorted(found)}

    def predicted_drop(self, part: Part) -> float:
        """First-order drop of the mean loss, exact also where the path has a kink at 0."""
        linearised = partial(follow_linearised, self.model, self.site.path)
        return self.first_order_drop(self.change(part, linearised))

    def first_order_drop(self, change: Tensor) -> float:
        """First-order drop of the mean loss by a change of the next layer's outputs."""
        goal = self.seen.goals[self.site.next]
        return float((goal * change).double().sum()) / self.seen.weight

    def oriented(self, part: Part) -> Part:
        """Each neuron with the sign, of both its weights, that the goal update prefers.

        The linear term does not depend on the sign, an activation like ReLU does, and a
        decomposition leaves it to the machine. Ties: the largest |ω| entry is positive.
        """
        z, neurons = part.pre_activity, part.neurons
        if z is None:
            return part
        plus, minus = (follow(self.model, self.site.path, s * z) for s in (1, -1))
        wanted = self._wanted(neurons, plus)
        maps = self.site.map is not None
        plus, minus = (_by_neuron(wanted * h, len(neurons), maps) for h in (plus, -minus))
        omega = neurons.fan_out.flatten(1).double()
        largest = omega.gather(1, omega.abs().argmax(1, keepdim=True))[:, 0]
        tie = (plus - minus).abs() <= TIE * torch.maximum(plus.abs(), minus.abs())
        sign = torch.where(torch.where(tie, largest >= 0, plus > minus), 1.0, -1.0)
        turned = replace(
            neurons,
            fan_in=sign[:, None] * neurons.fan_in,
            fan_out=sign[:, None, None] * neurons.fan_out,
        )
        conv = isinstance(layer(self.model, self.site.grown), nn.Conv2d)
        by_channel = _to(sign[:, None, None] if conv else sign, z)
        return replace(part, neurons=turned, pre_activity=z * by_channel)

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
            start = self.part(replace(neurons, fan_in=alpha, fan_out=omega))
            at_rest = self.change(start)
            value = self._mean_loss(at_rest)
            gradients = torch.autograd.grad(value, (alpha, omega))
        slope = sum(float(g.double().square().sum()) for g in gradients)
        z = start.pre_activity
        if slope == 0 or z is None:
            return Probe(0.0, 0.0)
        direction = self._pre_activity(gradients[0])

        def after(rate: float) -> Tensor:
            moved = replace(neurons, fan_out=omega.detach() - rate * gradients[1])
            own = z.detach() - rate * direction
            return self.change(replace(start, neurons=moved, pre_activity=own))

        size = sum(float(w.double().square().sum()) for w in (neurons.fan_in, neurons.fan_out))
        small = 1e-3 * math.sqrt(size / slope)
        speed = float((after(small) - at_rest.detach()).norm()) / small
        if speed == 0:  # the step leads where the path is flat
            return Probe(0.0, 0.0)
        unit = float(self.seen.outputs[self.site.next].norm()) / speed or 1.0
        losses = self.losses(lambda e: after(e * unit), unit * slope)
        return Probe(unit * slope, max(0.0, float(value.detach()) - min(losses.values())))

    def _mean_loss(self, change: Tensor) -> Tensor:
        return mean_loss(self.model, self.batch, self.loss, self.site.next, change, self.rerun)

    @property
    def _next(self) -> Layer:
        return layer(self.model, self.site.next)

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


def with_amplitude(neurons: NewNeurons, factor: float) -> NewNeurons:
    """Fan-in and fan-out times √factor, updates of existing weights times the factor."""
    update, rows = neurons.weight_update, neurons.grown_update
    return replace(
        neurons,
        fan_in=neurons.fan_in * math.sqrt(factor),
        fan_out=neurons.fan_out * math.sqrt(factor),
        weight_update=None if update is None else update * factor,
        grown_update=None if rows is None else rows * factor,
    )


def line_search(search: Search, proposal: NewNeurons) -> Step:
    """The amplitudes with the lowest loss on the minibatch, of the weight update and the neurons.

    By `proposal.update_amplitude`: "search": the update first, then the neurons in the updated
    network, each with its own γ and ε; "one": the neurons alone, and the update as it is beside
    them, as Algorithms 2 and 3 have it; "shared": both with the same γ and ε.
    """
    if not proposal.updates or proposal.update_amplitude == "shared":
        step, _ = _searched(search, search.part(proposal))
        joint = proposal.updates
        return replace(
            step,
            update_amplitude=step.amplitude if joint else None,
            update_scale=step.scale if joint else None,
        )
    update, neurons = _separate(search, proposal)
    if proposal.update_amplitude == "one":
        own, grown = _searched(search, neurons)
        whole = _with_updates(grown.neurons, proposal)
        both = search.change(replace(update, neurons=whole, pre_activity=grown.pre_activity))
        return replace(
            own,
            neurons=_with_updates(own.neurons, proposal),
            predicted=own.predicted + search.first_order_drop(search.change(update)),
            measured=search.seen.loss - search.loss_with(both),
            update_amplitude=1.0,
            update_scale=1.0,
        )
    first, applied_update = _searched(search, update)
    moved = len(proposal) and first.amplitude
    own, _ = _searched(search.updated(applied_update) if moved else search, neurons)
    return replace(
        own,
        neurons=_with_updates(own.neurons, first.neurons),
        predicted=first.predicted + own.predicted,
        measured=first.measured + own.measured,
        update_amplitude=first.amplitude,
        update_scale=first.scale,
    )


def predicted_gain(search: Search, proposal: NewNeurons) -> float:
    """First-order drop of the loss at ε = 1, where nothing is searched."""
    if not proposal.updates or proposal.update_amplitude == "shared":
        return search.predicted_drop(_unit(search, search.part(proposal))[0])
    update, neurons = _separate(search, proposal)
    if proposal.update_amplitude == "search":
        update, _ = _unit(search, update)
    return search.predicted_drop(update) + search.predicted_drop(_unit(search, neurons)[0])


def _separate(search: Search, proposal: NewNeurons) -> tuple[Part, Part]:
    """The updates and the neurons of a proposal."""
    alone = proposal.update_alone(), proposal.neurons_alone()
    return search.part(alone[0]), search.part(alone[1])


def _with_updates(neurons: NewNeurons, of: NewNeurons) -> NewNeurons:
    return replace(neurons, weight_update=of.weight_update, grown_update=of.grown_update)


def _unit(search: Search, part: Part) -> tuple[Part, float]:
    """A part of a step, oriented, as it is at ε = 1, and its γ."""
    gamma = search.scale(part)
    return search.oriented(part.scaled(gamma)), gamma


def _searched(search: Search, part: Part) -> tuple[Step, Part]:
    """A part of a step with its ε* = argmin over {0} ∪ {2^j ≤ the largest}, and what is left."""
    proposal = part.neurons
    if not len(proposal) and not proposal.updates:
        return Step(proposal, 0.0, 0.0), part
    unit, gamma = _unit(search, part)
    predicted = search.predicted_drop(unit)
    losses = search.losses(
        lambda amplitude: search.change(unit.scaled(amplitude)),
        predicted,
        proposal.largest_amplitude,
        grid=proposal.line_search == "grid",
    )
    best = min(losses, key=_order(losses))
    left = unit.scaled(best) if best else search.part(proposal.none())
    step = Step(
        neurons=left.neurons,
        predicted=best * predicted,
        measured=search.seen.loss - losses[best],
        amplitude=best,
        scale=gamma,
    )
    return step, left


def _by_neuron(h: Tensor, neurons: int, maps: bool) -> Tensor:
    """Sums over samples and positions, shape (neurons,), of (n, …, k), maps or flattened maps."""
    if h.dim() == 2:
        return h.unflatten(1, (neurons, -1)).double().sum((0, 2))
    return h.double().sum((0, 2, 3) if maps else tuple(range(h.dim() - 1)))


def _order(losses: dict[float, float]) -> Callable[[float], tuple[float, float]]:
    return lambda amplitude: (losses[amplitude], amplitude)


def _to(weight: Tensor, like: Tensor) -> Tensor:
    return weight.to(like)
