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
        search: the batch of the line search.
        loss: the mean over samples.
        generator: of the growth, with the seed of its measurement already drawn.
    """

    model: nn.Module
    statistics: Rows
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

    def search_rows(self) -> Rows:
        """The rows of the batch of the line search."""
        return oracles.site_rows(self.model, *SITE, *self.search, self.loss)


@dataclass(frozen=True)
class Event:
    """New neurons with their amplitude, and what was found on the way.

    Attributes:
        fan_in: (k, p), bias last.
        fan_out: (k, d).
        gains: λ of the neurons, largest first.
        update: of the existing weights, (d, m), or None.
        threshold: of significance, None if not tested.
        scale: γ, None if no amplitude is searched.
        amplitude: ε*, likewise.
        measured: drop of the loss on the batch of the line search.
    """

    fan_in: Tensor
    fan_out: Tensor
    gains: Tensor
    update: Tensor | None = None
    threshold: float | None = None
    scale: float | None = None
    amplitude: float | None = None
    measured: float = 0.0


Proposal = Callable[[Scene, int], Event]


def tiny(*, projected: bool = True, update: bool = True) -> Proposal:
    """Proposition 3.2: ω_k = √λ_k w_k and α_k = λ_k^{-1/2} S⁺ N w_k, NᵀS⁺N w_k = λ_k² w_k."""

    def propose(scene: Scene, k: int) -> Event:
        rows = scene.statistics
        goal = oracles.residual_goal(rows) if projected else rows.goal
        N = moment(rows.inputs, goal)
        inverse = torch.linalg.pinv(moment(rows.inputs, rows.inputs), hermitian=True)
        squares, W = torch.linalg.eigh(N.T @ inverse @ N)
        gains, W = squares.flip(0).clamp(min=0).sqrt(), W.flip(1)
        null = _projected_null if projected else _centred_null
        threshold, tested = null(scene, gains)
        real = gains > FLOAT32 * sqrt(oracles.norm2(rows.goal))
        kept = min(k, int(real.sum()), int((tested > threshold).sum()))
        roots = gains[:kept].sqrt()[:, None]
        return Event(
            fan_in=(inverse @ N @ W[:, :kept]).T / roots,
            fan_out=roots * W[:, :kept].T,
            update=oracles.weight_update(rows) if projected and update else None,
            gains=gains[:kept],
            threshold=threshold,
        )

    return propose


def _projected_null(scene: Scene, gains: Tensor) -> tuple[float, Tensor]:
    """D.3: 20 draws of a goal that is noise outside of what the existing weights can fit."""
    rows = scene.statistics
    inputs, hidden = oracles.basis(rows.inputs), oracles.basis(rows.hidden)
    cosines = torch.linalg.svdvals(inputs.T @ hidden)
    unexplained = torch.ones(inputs.shape[1], dtype=torch.float64)
    unexplained[: len(cosines)] -= cosines.square()
    goal = oracles.residual_goal(rows)
    largest = _largest(unexplained, moment(goal, goal), scene.generator)
    return largest / sqrt(len(rows) - hidden.shape[1]), gains


def _centred_null(scene: Scene, gains: Tensor) -> tuple[float, Tensor]:
    """Inputs and goals without their means, as what is tested."""
    goal = oracles.centred(scene.statistics.goal)
    ones = torch.ones(scene.grown.shape[1] - 1, dtype=torch.float64)
    largest = _largest(ones, moment(goal, goal), scene.generator)
    return largest / sqrt(len(goal)), oracles.centred_gains(scene.statistics)


def _largest(variances: Tensor, covariance: Tensor, generator: Generator) -> float:
    """The largest singular value of 20 Gaussian matrices, one at a time."""
    noise = torch.linalg.eigvalsh(covariance).clamp(min=0)
    shape = (20, len(variances), len(noise))
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    scaled = (variances.clamp(min=0).sqrt()[:, None] * G * noise.sqrt() for G in drawn)
    return max(float(torch.linalg.svdvals(G)[0]) for G in scaled)


def random_growth(*, update: bool = False) -> Proposal:
    """Kaiming: N(0, 2/fan-in) of the grown layer, and of the next one after growth."""

    def propose(scene: Scene, k: int) -> Event:
        features, wide = scene.grown.shape[1] - 1, len(scene.grown) + k
        fan_in = _gaussian(k, features, scene.generator) * sqrt(2 / features)
        fan_out = _gaussian(k, len(scene.next), scene.generator) * sqrt(2 / wide)
        return Event(
            torch.cat([fan_in, torch.zeros(k, 1, dtype=torch.float64)], 1),
            fan_out,
            torch.zeros(k, dtype=torch.float64),
            oracles.weight_update(scene.statistics) if update else None,
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


def searched(scene: Scene, event: Event) -> Event:
    """Algorithm 2: α, ω × √γ, each with its better sign, and the ε with the lowest loss."""
    gamma = oracles.step_scale(scene.statistics, event.fan_in, event.fan_out, event.update)
    rows = scene.search_rows()
    signs = [
        oracles.best_sign(rows, sqrt(gamma) * alpha, sqrt(gamma) * omega, relu)[0]
        for alpha, omega in zip(event.fan_in, event.fan_out, strict=True)
    ]
    factor = sqrt(gamma) * torch.tensor(signs, dtype=torch.float64)[:, None]
    neurons = factor * event.fan_in, factor * event.fan_out
    update = None if event.update is None else gamma * event.update

    def loss_at(epsilon: float) -> float:
        network = oracles.stepped(scene.model, SITE, neurons, relu, epsilon, update)
        return oracles.loss_value(network, *scene.search, scene.loss)

    epsilon, lowest = oracles.line_search(loss_at)
    return replace(
        event,
        fan_in=sqrt(epsilon) * neurons[0],
        fan_out=sqrt(epsilon) * neurons[1],
        update=None if update is None else epsilon * update,
        scale=gamma,
        amplitude=epsilon,
        measured=loss_at(0.0) - lowest,
    )


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
    torch.randint(2**31, (), generator=generator)
    x, y = (part.double() for part in statistics)
    rows = oracles.site_rows(model, *SITE, x, y, loss)
    return Scene(model, rows, (search[0].double(), search[1].double()), loss, generator)


def matrix(layer: nn.Module) -> Tensor:
    """Weights of a linear layer, bias last."""
    assert isinstance(layer, nn.Linear)
    return torch.cat([layer.weight, layer.bias[:, None]], 1).detach().double()


def _gaussian(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)
