"""Small networks with data, the stages on which the laws of growth are tested."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import oracles
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_bench.growth.measure import measure
from nas_bench.growth.method import Need
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.tracing import find_sites

EVERYTHING = Need.INPUTS | Need.HIDDEN | Need.CROSS | Need.GOAL
"""What every sum needs; no samples."""

State = tuple[Any, ...]

SLOPES: dict[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.Tanh: 1.0,
    nn.GELU: 0.5,
    nn.SiLU: 0.5,
    nn.ELU: 1.0,
}
"""σ′(0) of the activations that are differentiable at 0."""


def site_of(stage: Problem, site: tuple[str, str] | None = None) -> Site:
    """The engine's own site of a stage."""
    return _site(stage, site or stage.site, state(stage.model))


@lru_cache(100)
def _site(stage: Problem, site: tuple[str, str], _state: State) -> Site:
    found = find_sites(stage.model, stage.x[:2])
    return next(s for s in found if (s.grown, s.next) == site)


def state(model: nn.Module) -> State:
    """What is another once something has changed the network, as key of what is made from it."""
    tensors = [*model.parameters(), *model.buffers()]
    return (model.training, *((id(tensor), tensor._version) for tensor in tensors))


def statistics(
    stage: Problem,
    size: int | None = None,
    needs: Need = EVERYTHING,
    site: tuple[str, str] | None = None,
) -> SiteStatistics:
    """What the engine measures at a site of a stage."""
    found = site_of(stage, site)
    needed = {found.name: needs}
    return measure(stage.model, [found], stage.batches(size), stage.loss, needed)[found.name]


def token_cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over samples and tokens."""
    return functional.cross_entropy(outputs.transpose(1, 2), labels)


@dataclass(frozen=True)
class Problem:
    """A network, its data and loss, and one site of it.

    Attributes:
        site: names of the grown and the next layer.
        activation: the path's activation: what a new neuron goes through.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    loss: oracles.Loss
    site: tuple[str, str]
    activation: nn.Module

    @property
    def slope(self) -> float | None:
        """σ′(0) where the activation is differentiable there, else None."""
        return SLOPES.get(type(self.activation))

    def rows(self, site: tuple[str, str] | None = None) -> oracles.Rows:
        """The oracle's rows of the site, or of another site of the network."""
        return _rows(self, site or self.site, state(self.model))

    def batches(self, size: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """The data as batches, by default one."""
        size = size or len(self.x)
        return list(zip(self.x.split(size), self.y.split(size), strict=True))

    def cast(self, dtype: torch.dtype) -> Problem:
        """The same problem in another precision."""
        y = self.y.to(dtype) if self.y.is_floating_point() else self.y
        model = copy.deepcopy(self.model).to(dtype)
        return replace(self, model=model, x=self.x.to(dtype), y=y)


@lru_cache(100)
def _rows(stage: Problem, site: tuple[str, str], _state: State) -> oracles.Rows:
    return oracles.site_rows(stage.model, *site, stage.x, stage.y, stage.loss)


def problem(
    seed: int = 0,
    *,
    activation: nn.Module | None = None,
    bias: bool = True,
    loss: str = "mse",
    samples: int = 60,
    tokens: int | None = None,
    sizes: tuple[int, int, int] = (5, 4, 3),
    head: Callable[[nn.Module, nn.Module, nn.Module], nn.Module] | None = None,
) -> Problem:
    """A two-layer network on random data, on tokens (n, T, features) where asked."""
    torch.manual_seed(seed)
    activation = activation or nn.Tanh()
    p, m, d = sizes
    first = nn.Linear(p, m, bias=bias, dtype=torch.float64)
    second = nn.Linear(m, d, bias=bias, dtype=torch.float64)
    model = nn.Sequential(first, activation, second)
    site = ("0", "2")
    if head is not None:
        model = head(first, activation, second)
        names = {module: name for name, module in model.named_modules()}
        site = (names[first], names[second])
    shape = (samples,) if tokens is None else (samples, tokens)
    x = torch.randn(*shape, p, dtype=torch.float64) + 0.3
    if tokens is not None:
        x = x + torch.randn(samples, 1, p, dtype=torch.float64)
    y = torch.randn(*shape, d, dtype=torch.float64) + torch.sin(x[..., :1])
    goal: oracles.Loss = functional.mse_loss
    if loss == "cross_entropy":
        y = y.argmax(-1)
        goal = functional.cross_entropy if tokens is None else token_cross_entropy
    return Problem(model, x, y, goal, site, activation)


def with_batch_norm(first: nn.Linear, activation: nn.Module, second: nn.Linear) -> nn.Module:
    """Batch norm with a life behind it, and dropout, in the path."""
    norm = nn.BatchNorm1d(first.out_features, dtype=torch.float64)
    with torch.no_grad():
        for tensor in (norm.weight, norm.running_var):
            tensor.uniform_(0.5, 1.5)
        for tensor in (norm.bias, norm.running_mean):
            tensor.uniform_(-0.5, 0.5)
        norm.num_batches_tracked.fill_(1000)
    return nn.Sequential(first, norm, activation, nn.Dropout(0.3), second)


def with_flatten(first: nn.Linear, activation: nn.Module, second: nn.Linear) -> nn.Module:
    """A leading flatten."""
    return nn.Sequential(nn.Flatten(), first, activation, nn.Dropout(0.5), second)


class Functional(nn.Module):
    """Two layers joined by a function call, here with a third layer after them."""

    def __init__(self, call: Callable[[Tensor], Tensor], sizes: tuple[int, ...]) -> None:
        super().__init__()
        p, m, d = sizes
        self.call = call
        self.reading = nn.Linear(p, m, dtype=torch.float64)
        self.middle = nn.Linear(m, m + 1, dtype=torch.float64)
        self.writing = nn.Linear(m + 1, d, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.writing(self.call(self.middle(self.call(self.reading(x)))))


class PooledTokens(nn.Module):
    """Tokens through two layers, averaged, then classified: later positions mix."""

    def __init__(self, first: nn.Module, activation: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.activation, self.second = first, activation, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.second(self.activation(self.first(x)))).mean(1)


def deep(seed: int = 0, activation: type[nn.Module] = nn.Tanh, samples: int = 80) -> Problem:
    """Three layers, two adjacent sites: ("0", "2") and ("2", "4")."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(5, 4), activation(), nn.Linear(4, 6), activation(), nn.Linear(6, 3)
    ).double()
    x = torch.randn(samples, 5, dtype=torch.float64)
    y = torch.randn(samples, 3, dtype=torch.float64).argmax(-1)
    return Problem(model, x, y, functional.cross_entropy, ("0", "2"), activation())


def awkward(seed: int = 0) -> Problem:
    """Duplicated, dead and badly scaled input features."""
    stage = problem(seed, sizes=(8, 4, 3), samples=90)
    x = stage.x.clone()
    x[:, 5] = x[:, 4]
    x[:, 6] = 0.0
    x[:, 0] *= 1e5
    x[:, 1] *= 1e-5
    with torch.no_grad():
        stage.model[0].weight[:, 0] *= 1e-5  # pyright: ignore
    return replace(stage, x=x)


def stages() -> Iterator[tuple[str, Problem]]:
    """Every stage, by name."""
    yield "tanh", problem()
    yield "no bias", problem(bias=False)
    yield "cross-entropy, relu", problem(1, activation=nn.ReLU(), loss="cross_entropy")
    yield "selu", problem(2, activation=nn.SELU())
    yield "gelu", problem(3, activation=nn.GELU(), loss="cross_entropy")
    yield "batch norm", problem(4, activation=nn.ReLU(), head=with_batch_norm)
    yield "batch norm, tanh", problem(4, activation=nn.Tanh(), head=with_batch_norm)
    yield "flatten", problem(5, activation=nn.SiLU(), head=with_flatten)
    yield "tokens", problem(6, activation=nn.GELU(), tokens=3)
    yield "tokens, cross-entropy", problem(7, tokens=4, loss="cross_entropy", bias=False)
    yield "awkward", awkward()
    yield "deep", deep()
    pooled = problem(8, tokens=3, samples=50, head=PooledTokens)
    yield "pooled tokens", replace(pooled, y=pooled.y.mean(1))


ALL = dict(stages())
"""The stages, by name."""
SMOOTH = [name for name, stage in ALL.items() if stage.slope is not None]
"""Names of the stages whose activation has a slope at 0."""
