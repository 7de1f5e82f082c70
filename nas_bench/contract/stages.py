"""Small networks with data, on which growth methods are tried."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor, nn

from nas_bench.contract.settings import settings_kept
from nas_bench.growth import (
    GrowthMethod,
    NewNeurons,
    Site,
    SiteStatistics,
    find_sites,
    measure,
)
from nas_bench.growth.sites import arrange_slopes
from nas_bench.growth.widen import new_channel_moments, widen

_INPUTS, _WIDTH, _OUTPUTS, _SAMPLES = 6, 4, 3, 240


@dataclass(frozen=True)
class Stage:
    """A network with one site, data and a loss.

    Attributes:
        name: what is special about it.
        model: in eval mode.
        inputs: shape (n, p), (n, tokens, p) or (n, C, H, W).
        targets: shape (n, d), (n, tokens, d) or (n, d, H', W').
    """

    name: str
    model: nn.Module
    inputs: Tensor
    targets: Tensor

    @cached_property
    def site(self) -> Site:
        """Its one site."""
        (site,) = find_sites(self.model, self.inputs[:2])
        return site

    @property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The data, in two batches."""
        half = len(self.inputs) // 2
        return list(zip(self.inputs.split(half), self.targets.split(half), strict=True))

    def prepared_for(self, method: GrowthMethod) -> "Stage":
        """The stage as the engine would show it to the method."""
        if method.zero_fan_in:
            arrange_slopes(self.model, [self.site])
        return replace(self)  # whose site is found anew

    def statistics(self, method: GrowthMethod) -> SiteStatistics:
        """What the method declares that it needs, and nothing else."""
        site = self.site
        needs = {site.name: method.needs(site)}
        return measure(self.model, [site], self.batches, nn.MSELoss(), needs)[site.name]

    def widen(self, neurons: NewNeurons) -> None:
        """Add the neurons to the model, which then is another one."""
        site = self.site
        moments = new_channel_moments(self.model, site, neurons, self.batches)
        widen(self.model, site, neurons, moments)


def proposed(method: GrowthMethod, statistics: SiteStatistics, k: int) -> NewNeurons:
    """What the method proposes with a generator of seed 7.

    Raises:
        TypeError: if that is something else than neurons.
    """
    with settings_kept():
        found = method.propose(statistics, k, Generator().manual_seed(7))
    if not isinstance(found, NewNeurons):
        what = "None" if found is None else f"a {type(found).__name__}"
        raise TypeError(f"propose returned {what}, expected NewNeurons")
    return found


def stages() -> list[Stage]:
    """New stages: with and without biases, batch norm, tokens, convolutions; mostly in float64."""
    return [
        _rows("linear layers with biases", nn.Tanh()),
        _rows("ReLU in float32", nn.ReLU(), dtype=torch.float32),
        _rows("linear layers without biases", nn.Tanh(), bias=False),
        _rows("batch norm in the path", nn.BatchNorm1d(_WIDTH), nn.ReLU()),
        _rows("tokens", nn.GELU(), tokens=3),
        _maps(
            "a 3 × 3 convolution as the next layer, 9 taps",
            nn.BatchNorm2d(_WIDTH), nn.ReLU(), nn.MaxPool2d(2),
            following=lambda: nn.Conv2d(_WIDTH, _OUTPUTS, 3, padding=1),
        ),
        _maps(
            "a linear layer behind the flatten of a 4 × 4 map, 16 taps",
            nn.Tanh(), nn.Flatten(),
            following=lambda: nn.Linear(16 * _WIDTH, _OUTPUTS),
        ),
    ]  # fmt: skip


def _rows(
    name: str,
    *path: nn.Module,
    bias: bool = True,
    tokens: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> Stage:
    """Two linear layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, last = nn.Linear(_INPUTS, _WIDTH, bias), nn.Linear(_WIDTH, _OUTPUTS, bias)
        shape = (_SAMPLES,) if tokens is None else (_SAMPLES, tokens)
        inputs = torch.randn(*shape, _INPUTS)
        teacher = nn.Sequential(nn.Linear(_INPUTS, 12), nn.ReLU(), nn.Linear(12, _OUTPUTS))
        targets = 3 * teacher(inputs).detach()
    return _stage(name, nn.Sequential(first, *path, last), inputs, targets, dtype)


def _maps(name: str, *path: nn.Module, following: Callable[[], nn.Module]) -> Stage:
    """A convolution and what reads its map."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, _WIDTH, 3), *path, following())
        inputs = torch.randn(_SAMPLES, 2, 6, 6)
        targets = 3 * torch.randn_like(model(inputs))
    return _stage(name, model, inputs, targets, torch.float64)


def _stage(
    name: str, model: nn.Module, inputs: Tensor, targets: Tensor, dtype: torch.dtype
) -> Stage:
    model = model.to(dtype)
    for _ in range(20):
        model(inputs.to(dtype))  # batch norm has seen the data
    return Stage(name, model.eval(), inputs.to(dtype), targets.to(dtype))
