"""Growth events by their definitions: slow, explicit, in float64; nothing here reads the engine.

Each method proposes from the rows of its statistics batch; sign, scale and amplitude are searched
on the rows of another batch. Random draws are made in the same order as in the package.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt

import oracles
import torch
from oracles import Loss, Rows, flat, moment
from torch import Generator, Tensor, nn

SITE = ("grown", "next")
"""Names of the grown and the next layer in the networks of these events."""
FLOAT32 = 1e-6
"""Relative size below which a gain is rounding, for networks of float32."""


def relu(z: Tensor) -> Tensor:
    """The path."""
    return z.clamp(min=0)


@dataclass(frozen=True)
class Scene:
    """What a growth sees.

    Attributes:
        model: before the growth, in float64.
        statistics: rows of the statistics batch.
        keys: random numbers of its samples, in the order of which null draws take them.
        search: the batch of the line search.
        loss: the mean over samples.
        generator: of the growth, with the seed of its measurement already drawn.
    """

    model: nn.Module
    statistics: Rows
    keys: Tensor
    search: tuple[Tensor, Tensor]
    loss: Loss
    generator: Generator

    @property
    def grown(self) -> Tensor:
        """Weights of the grown layer, bias last, (h, p)."""
        return matrix(self.model.get_submodule(SITE[0]))

    @property
    def next(self) -> Tensor:
        """Weights of the next layer, bias last, (d, m)."""
        return matrix(self.model.get_submodule(SITE[1]))

    def rows_in(self, model: nn.Module) -> Rows:
        """The rows of the batch of the line search in this network."""
        return oracles.site_rows(model, *SITE, *self.search, self.loss)


@dataclass(frozen=True)
class Event:
    """New neurons with their amplitude, and what was found on the way.

    Attributes:
        fan_in: (k, p), bias last.
        fan_out: (k, d).
        gains: λ of the neurons proposed, largest first.
        update: of the existing weights, (d, m), or None.
        threshold: of significance, None if not tested.
        scale: γ of the neurons, None if none was searched.
        amplitude: ε* of the neurons, likewise.
        update_scale: γ of the update, None if there is none.
        update_amplitude: ε* of the update, likewise.
        predicted: drop of the loss on the batch of the line search to first order.
        measured: that drop.
        draws: of the null distribution that were made, None if not tested.
        tried: amplitudes of the neurons; update_tried: of the update alone.
    """

    fan_in: Tensor
    fan_out: Tensor
    gains: Tensor
    update: Tensor | None = None
    threshold: float | None = None
    scale: float | None = None
    amplitude: float | None = None
    update_scale: float | None = None
    update_amplitude: float | None = None
    predicted: float = 0.0
    measured: float = 0.0
    draws: int | None = None
    tried: int = 0
    update_tried: int = 0


Proposal = Callable[[Scene, int], Event]


def tiny(
    *, projected: bool = True, update: bool = True, ridge: float = 1e-3, tested: bool = True
) -> Proposal:
    """Prop. 3.2: ω_k = √λ_k w_k and α_k = λ_k^{-1/2} S⁻¹ N w_k, NᵀS⁻¹N w_k = λ_k² w_k.

    S is S + ρ s̄ I, by samples that ask for weights of 0.
    """

    def propose(scene: Scene, k: int) -> Event:
        rows = scene.statistics
        goal = oracles.residual_goal(rows, ridge) if projected else rows.goal
        N, silent = moment(rows.inputs, goal), oracles.ridge_rows(rows.inputs, ridge)
        S = moment(rows.inputs, rows.inputs) + silent.T @ silent / len(rows)
        inverse = torch.linalg.pinv(S, hermitian=True)
        squares, W = torch.linalg.eigh(N.T @ inverse @ N)
        gains, W = squares.flip(0).clamp(min=0).sqrt(), W.flip(1)
        kept = min(k, int((gains > FLOAT32 * sqrt(oracles.norm2(rows.goal))).sum()))
        threshold = draws = None
        if tested:
            null = _projected_null if projected else _centred_null
            threshold, draws, significant = null(scene, ridge)
            kept = min(kept, significant)
        roots = gains[:kept].sqrt()[:, None]
        return Event(
            fan_in=(inverse @ N @ W[:, :kept]).T / roots,
            fan_out=roots * W[:, :kept].T,
            update=oracles.weight_update(rows, ridge) if projected and update else None,
            gains=gains[:kept],
            threshold=threshold,
            draws=draws,
        )

    return propose


def _projected_null(scene: Scene, ridge: float) -> tuple[float, int, int]:
    """Each sample's v_p with a random sign, projected again, and as long as it was before."""
    rows = _sampled(scene)
    v_p = oracles.residual_goal(rows, ridge)

    def again(goal: Tensor) -> Tensor:
        projected = oracles.residual_goal(replace(rows, goal=goal), ridge)
        return projected * goal.norm() / projected.norm()

    Q = oracles.ridged_basis(rows.inputs, oracles.ridge_rows(rows.inputs, ridge))
    return _held(_gains(Q, v_p), Q, v_p, again, scene.generator)


def _centred_null(scene: Scene, ridge: float) -> tuple[float, int, int]:
    """Inputs and goals without their means, as what is tested; signs do not bring them back."""
    rows = _sampled(scene)
    silent = oracles.ridge_rows(rows.inputs, ridge)
    features = oracles.centred(rows.inputs)[..., :-1]
    Q, goal = oracles.ridged_basis(features, silent[:, :-1]), oracles.centred(rows.goal)
    return _held(_gains(Q, goal), Q, goal, lambda v: v, scene.generator)


def _sampled(scene: Scene) -> Rows:
    """The statistics batch in the order of its random numbers."""
    rows, order = scene.statistics, scene.keys.argsort()
    parts = (rows.inputs, rows.hidden, rows.pre_activity, rows.goal)
    return Rows(*(part[order] for part in parts))


def _held(
    gains: Tensor, Q: Tensor, goal: Tensor, again: Callable[[Tensor], Tensor],
    generator: Generator,
) -> tuple[float, int, int]:  # fmt: skip
    """Gains held to the largest of 19 goals, in each of which every sample has a random sign.

    Of as many as are needed: the largest one, their number, and how many gains are above.
    """
    signs = torch.randint(2, (19, len(goal)), generator=generator) * 2 - 1
    largest = [float(_gains(Q, again(goal * sign[:, None, None]))[0]) for sign in signs]
    needed = next((i for i in range(1, 19) if max(largest[:i]) >= float(gains[0])), 19)
    threshold = max(largest[:needed])
    return threshold, needed, int((gains > threshold).sum())


def _gains(Q: Tensor, goal: Tensor) -> Tensor:
    return torch.linalg.svdvals(Q.T @ flat(goal)) / sqrt(len(goal))


def update_only(*, ridge: float = 1e-3) -> Proposal:
    """No neurons, and δW*."""

    def propose(scene: Scene, k: int) -> Event:
        fan_in, fan_out = scene.grown[:0], scene.next.T[:0]
        update = oracles.weight_update(scene.statistics, ridge)
        return Event(fan_in, fan_out, fan_in.new_zeros(0), update)

    return propose


def random_growth(*, update: bool = False, ridge: float = 1e-3) -> Proposal:
    """Kaiming: N(0, 2/fan-in) of the grown layer, and of the next one after growth."""

    def propose(scene: Scene, k: int) -> Event:
        features, wide = scene.grown.shape[1] - 1, len(scene.grown) + k
        fan_in = _gaussian(k, features, scene.generator) * sqrt(2 / features)
        fan_out = _gaussian(k, len(scene.next), scene.generator) * sqrt(2 / wide)
        return Event(
            torch.cat([fan_in, torch.zeros(k, 1, dtype=torch.float64)], 1),
            fan_out,
            torch.zeros(k, dtype=torch.float64),
            oracles.weight_update(scene.statistics, ridge) if update else None,
        )

    return propose


def gradmax(scene: Scene, k: int) -> Event:
    """Zero fan-in; fan-out along the eigenvectors of ÑᵀÑ, at half the mean norm of columns."""
    N = moment(scene.statistics.inputs, scene.statistics.goal)[:-1]
    squares, W = torch.linalg.eigh(N.T @ N)
    norms = torch.stack([column.norm() for column in scene.next[:, :-1].T])
    return Event(
        torch.zeros(k, scene.grown.shape[1], dtype=torch.float64),
        0.5 * norms.mean() * W.flip(1)[:, :k].T,
        gains=squares.flip(0)[:k].sqrt(),
    )


def north(candidates: int) -> Proposal:
    """Random pre-activities in the kernel of the present ones; best by effective rank alone."""

    def propose(scene: Scene, k: int) -> Event:
        B, W = flat(scene.statistics.inputs), scene.grown
        T = _cholesky_root(B.T @ B / len(B))
        present, _ = torch.linalg.qr(T.T @ (B.T @ B / len(B)) @ W.T)
        kernel = T @ (torch.eye(len(T), dtype=torch.float64) - present @ present.T)
        drawn = _gaussian(candidates, T.shape[1], scene.generator) @ kernel.T
        size = torch.stack([row.norm() for row in W[:, :-1]]).mean()
        drawn = size * drawn / drawn[:, :-1].norm(dim=1, keepdim=True)
        scores = [_effective_rank(relu(B @ W.T), relu(B @ alpha)) for alpha in drawn]
        best = sorted(range(candidates), key=lambda i: scores[i], reverse=True)[:k]
        silent = torch.zeros(k, len(scene.next), dtype=torch.float64)
        return Event(drawn[best], silent, gains=torch.zeros(k, dtype=torch.float64))

    return propose


def _cholesky_root(S: Tensor) -> Tensor:
    """T = D⁻¹ L⁻ᵀ with D⁻¹SD⁻¹ = LLᵀ: of all T with TTᵀ = S⁺ the one that draws are told by."""
    scale = torch.diag(1 / S.diagonal().sqrt())
    return scale @ torch.linalg.inv(torch.linalg.cholesky(scale @ S @ scale)).T


def _effective_rank(present: Tensor, new: Tensor) -> tuple[int, float]:
    values = torch.linalg.svdvals(torch.cat([present, new[:, None]], 1)) / sqrt(len(new))
    return int((values > 0.01).sum()), float(values.sum())


def net2net(scene: Scene, k: int) -> Event:
    """Copies, with random shares of the fan-out among a neuron and its copies."""
    h, generator = len(scene.grown), scene.generator
    orders = [torch.randperm(h, generator=generator) for _ in range(-(-k // h))]
    copied = torch.cat(orders)[:k]
    kept = torch.rand(h, generator=generator, dtype=torch.float64)
    given = torch.rand(k, generator=generator, dtype=torch.float64)
    update, fan_out = torch.zeros_like(scene.next), []
    for j, share in zip(copied.tolist(), given, strict=True):
        total = kept[j] + given[copied == j].sum()
        fan_out.append(scene.next[:, j] * share / total)
        update[:, j] -= fan_out[-1]
    zeros = torch.zeros(k, dtype=torch.float64)
    return Event(scene.grown[copied], torch.stack(fan_out), zeros, update)


def searched(
    scene: Scene, event: Event, *, update_amplitude: str = "search", largest: float = 1.0
) -> Event:
    """The event with the amplitudes of least loss, up to the largest.

    Args:
        scene: of the event.
        event: as proposed.
        update_amplitude: "search": first the update's, then the neurons' in the updated network;
            "one": the neurons' in the network as it is, and the update as it is beside them;
            "shared": one of both together.
        largest: ε that is tried.
    """
    if event.update is None or update_amplitude == "shared":
        return _line_searched(scene, scene.model, event, largest)
    neurons = replace(event, update=None)
    alone = replace(event, fan_in=event.fan_in[:0], fan_out=event.fan_out[:0])
    if update_amplitude == "one":
        own = _line_searched(scene, scene.model, neurons, largest)
        rows = scene.rows_in(scene.model)
        update = oracles.predicted_drop(rows, alone.fan_in, alone.fan_out, event.update)
        both = replace(own, update=event.update, update_amplitude=1.0, update_scale=1.0)
        model = oracles.Branched(
            scene.model, SITE, both.fan_in, both.fan_out, relu, event.update
        )  # fmt: skip
        measured = _loss(scene, scene.model) - _loss(scene, model)
        return replace(both, predicted=own.predicted + update, measured=measured)
    first = _line_searched(scene, scene.model, alone, largest)
    own = _line_searched(scene, updated(scene.model, first.update), neurons, largest)
    return replace(
        own,
        update=first.update,
        update_scale=first.update_scale,
        update_amplitude=first.update_amplitude,
        update_tried=first.tried,
        predicted=first.predicted + own.predicted,
        measured=first.measured + own.measured,
    )


def _line_searched(scene: Scene, model: nn.Module, event: Event, largest: float) -> Event:
    """Algorithm 2: α, ω × √γ, each with its better sign, and the ε with the lowest loss.

    γ makes the step as large as the activity, both on the batch of the search. Where no amplitude
    lowers the loss, nothing is left.
    """
    if not len(event.fan_in) and event.update is None:
        return event
    rows = scene.rows_in(model)
    gamma = oracles.step_scale(rows, event.fan_in, event.fan_out, event.update)
    signs = [
        oracles.best_sign(rows, sqrt(gamma) * alpha, sqrt(gamma) * omega, relu)[0]
        for alpha, omega in zip(event.fan_in, event.fan_out, strict=True)
    ]
    factor = sqrt(gamma) * torch.tensor(signs, dtype=torch.float64)[:, None]
    neurons = factor * event.fan_in, factor * event.fan_out
    update = None if event.update is None else gamma * event.update

    def loss_at(epsilon: float) -> float:
        return _loss(scene, oracles.stepped(model, SITE, neurons, relu, epsilon, update))

    promised = _promised(rows, *neurons, update)
    epsilon, lowest, tried = oracles.bracketed(loss_at, promised, largest=largest)
    left = len(event.fan_in) if epsilon else 0
    joint = event.update is not None
    return replace(
        event,
        fan_in=sqrt(epsilon) * neurons[0][:left],
        fan_out=sqrt(epsilon) * neurons[1][:left],
        update=epsilon * update if update is not None and epsilon else None,
        scale=gamma,
        amplitude=epsilon,
        update_scale=gamma if joint else None,
        update_amplitude=epsilon if joint else None,
        predicted=epsilon * promised,
        measured=loss_at(0.0) - lowest,
        tried=tried,
    )


def _promised(rows: Rows, fan_in: Tensor, fan_out: Tensor, update: Tensor | None) -> float:
    """The first-order drop at ε = 1: a ReLU is its own linearisation on either side of 0."""
    step = relu(rows.inputs @ fan_in.T) @ fan_out + oracles.update_contribution(rows, update)
    return float((rows.goal * step).sum()) / len(rows)


def _loss(scene: Scene, model: nn.Module) -> float:
    return oracles.loss_value(model, *scene.search, scene.loss)


def updated(model: nn.Module, update: Tensor | None) -> nn.Module:
    """The network with an update (d, m) of the next layer's weights and bias."""
    model = copy.deepcopy(model)
    following = model.get_submodule(SITE[1])
    assert isinstance(following, nn.Linear)
    if update is not None:
        with torch.no_grad():
            following.weight += update[:, :-1]
            following.bias += update[:, -1]
    return model


def silent_neurons(scene: Scene, k: int) -> tuple[Tensor, Tensor]:
    """What fills up: Kaiming's direction, the mean norm of the present rows, and no fan-out."""
    weights, present = _gaussian(k, scene.grown.shape[1] - 1, scene.generator), scene.grown[:, :-1]
    size = sum(float(row.norm()) for row in present) / len(present)
    rows = torch.stack([size * row / row.norm() for row in weights])
    zeros = torch.zeros(k, 1, dtype=torch.float64)
    return torch.cat([rows, zeros], 1), zeros.expand(k, len(scene.next))


def grown_weights(scene: Scene, event: Event) -> tuple[Tensor, Tensor]:
    """Weights of both layers after the event, biases last: (h + k, p) and (d, h + k + 1)."""
    following = scene.next if event.update is None else scene.next + event.update
    return (
        torch.cat([scene.grown, event.fan_in]),
        torch.cat([following[:, :-1], event.fan_out.T, following[:, -1:]], 1),
    )


def scene_of(
    model: nn.Module,
    statistics: tuple[Tensor, Tensor],
    search: tuple[Tensor, Tensor],
    loss: Loss,
    seed: int,
) -> Scene:
    """The scene of a growth with this seed."""
    model = copy.deepcopy(model).double().eval()
    generator = Generator().manual_seed(seed)
    measuring = Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))
    x, y = (part.double() for part in statistics)
    keys = torch.rand(len(x), generator=measuring, dtype=torch.float64)
    rows = oracles.site_rows(model, *SITE, x, y, loss)
    batch = search[0].double(), search[1].double()
    return Scene(model, rows, keys, batch, loss, generator)


def matrix(layer: nn.Module) -> Tensor:
    """Weights of a linear layer, bias last."""
    assert isinstance(layer, nn.Linear)
    return torch.cat([layer.weight, layer.bias[:, None]], 1).detach().double()


def _gaussian(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)
