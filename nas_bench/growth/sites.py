"""The sites of a model: hidden widths that can grow."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_bench.growth.fields import Field, Kernel
from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.paths import UNIT_SLOPE, Operation, autograd_slope, steepest_slope

if TYPE_CHECKING:
    from nas_bench.behaviour import SiteKind


@dataclass(frozen=True)
class Site:
    """A hidden width: a grown layer that gains outputs and a next layer that gains inputs.

    Attributes:
        grown: qualified name of the grown layer.
        next: qualified name of the next layer.
        path: what happens in between.
        positions: rows per sample of what new neurons would add to the next layer's input: 1 for
            (n, features), tokens for (n, tokens, features), rows × columns of a map.
        map: height and width of the map that the next layer reads (before a flatten); None where
            both layers read rows.
        taps: how often the next layer reads each position: 1, the entries of its kernel, or all
            positions of the map behind a flatten.
    """

    grown: str
    next: str
    path: tuple[Operation, ...] = ()
    positions: int = 1
    map: tuple[int, int] | None = None
    taps: int = 1

    @property
    def name(self) -> str:
        """The name of the grown layer."""
        return self.grown

    @property
    def kinds(self) -> "frozenset[SiteKind]":
        """What behaviour versions tell sites apart by: its layers, and what lies in between."""
        layers: SiteKind = "linear" if self.positions == 1 else "token"
        if self.map is not None:
            layers = "convolution"
        between: tuple[SiteKind, ...] = ("batch norm", "pooling", "flatten", "depthwise")
        steps = {step.kind for step in self.path}
        return frozenset((layers, *(kind for kind in between if kind in steps)))

    @property
    def modules(self) -> tuple[str, ...]:
        """Qualified names of the grown layer, the next one and the modules of the path."""
        return (self.grown, self.next, *(s.module for s in self.path if s.module))

    @property
    def batch_norms(self) -> tuple[str, ...]:
        """Qualified names of the batch norms in the path."""
        return tuple(s.module or "" for s in self.path if s.kind == "batch norm")

    def width(self, model: nn.Module) -> int:
        """How many hidden neurons there are now."""
        return len(layer(model, self.grown).weight)

    def inputs(self, model: nn.Module) -> int:
        """p, what each hidden neuron reads, with the constant 1 of a bias."""
        return inputs(layer(model, self.grown))

    def _first(self, kind: str) -> int:
        """Where the first step of a kind stands in the path."""
        return next((i for i, s in enumerate(self.path) if s.kind == kind), len(self.path))

    def field(self, model: nn.Module) -> Field | None:
        """The geometry of a site whose hidden activity is a map, None for rows.

        Raises:
            SiteError: if the site was named by hand and its layers do not fit its map.
        """
        grown, following = layer(model, self.grown), layer(model, self.next)
        if self.map is None:
            if isinstance(grown, nn.Linear) and isinstance(following, nn.Linear):
                return None
            raise SiteError(f"site {self.grown} has a convolution and needs the size of its map")
        if not isinstance(grown, nn.Conv2d):
            raise SiteError(f"site {self.grown} has a map, but {self.grown} is no convolution")
        flat = isinstance(following, nn.Linear)
        before = takewhile(lambda step: step.kind != "batch norm", self.path)
        moving = [step.linear for step in before if step.linear]
        steps = [step.linear for step in self.path if step.linear]
        return Field(
            grown=Kernel.of(grown),
            next=Kernel(self.map) if flat else Kernel.of(following),
            steps=tuple(steps),
            normalised=len(moving) if self.batch_norms else 0,
            size=self.map,
            normalised_flat=self._first("flatten") < self._first("batch norm") < len(self.path),
        )


@dataclass(frozen=True)
class Refusal:
    """A layer that cannot grow, and why."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """Every layer with weights, as a site or with the reason why its width cannot grow."""

    sites: tuple[Site, ...]
    refusals: tuple[Refusal, ...]


SLOPE = 0.99
"""The part of the steeper side's derivative that autograd has to take at 0."""


def slope_reason(model: nn.Module, site: Site) -> str | None:
    """Why a neuron with zero fan-in would (almost) not learn at this site, or None."""
    slope, wanted = _slopes(model, site, [_with_slope(model, step) for step in site.path])
    if _learns(slope, wanted):
        return None
    labels = ", ".join(step.label for step in site.path if step.kind == "activation")
    return (
        f"{labels} behind {site.grown} has derivative {slope:.3g} at 0, where a neuron with zero "
        "fan-in stays "
        + ("for ever" if slope == 0 else f"{wanted / abs(slope):.3g} times too long")
        + "; use nn.ReLU (or nn.LeakyReLU, nn.PReLU, nn.ELU) as a module instead"
    )


def arrange_slopes(model: nn.Module, sites: Iterable[Site]) -> None:
    """Give the paths their steeper side's slope at 0: make modules the same function with 1 there.

    Raises:
        SiteError: if a slope is smaller and no module of the path can get one; none does then.
    """
    flat = [s for s in sites if not _learns(*_slopes(model, s, s.path))]
    for site in flat:
        if reason := slope_reason(model, site):
            raise SiteError(reason)
    steps = (step for site in flat for step in site.path)
    set_unit_slopes(model, [step.module for step in steps if step.module is not None])


def unit_slopes(model: nn.Module) -> list[str]:
    """Qualified names of the modules that `arrange_slopes` has changed."""
    ours = tuple(UNIT_SLOPE.values())
    return [name for name, module in model.named_modules() if isinstance(module, ours)]


def set_unit_slopes(model: nn.Module, names: Iterable[str]) -> None:
    """Give the activation modules of these names slope 1 at 0, wherever else they are used.

    Only their class changes: parameters, hooks and other names of theirs stay.
    """
    for name in names:
        module = model.get_submodule(name)
        if type(module) in UNIT_SLOPE:
            module.__class__ = UNIT_SLOPE[type(module)]
            module.inplace = False  # pyright: ignore


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; every module's own mode is restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def randomness_kept(device: torch.device) -> Iterator[None]:
    """Torch's generators, of the processor and of this device, as before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def _slopes(model: nn.Module, site: Site, path: Sequence[Operation]) -> tuple[float, float]:
    """The derivative of a path at 0 as autograd has it, and the largest beside 0."""
    like = layer(model, site.grown).weight
    return autograd_slope(model, path, like), steepest_slope(model, site.path, like)


def _learns(slope: float, wanted: float) -> bool:
    return slope != 0 and abs(slope) >= SLOPE * wanted


def _with_slope(model: nn.Module, step: Operation) -> Operation:
    """The operation with slope 1 at 0, if it can get one: there it is like the identity."""
    if step.module is None or type(model.get_submodule(step.module)) not in UNIT_SLOPE:
        return step
    return replace(step, module=None, function=None)
