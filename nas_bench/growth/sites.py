"""The sites of a model: hidden widths that can grow."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from torch import nn

from nas_bench.growth.fields import Field, Kernel
from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.paths import UNIT_SLOPE, Operation, autograd_slope

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


def slope_reason(model: nn.Module, site: Site) -> str | None:
    """Why a neuron with zero fan-in would be dead for ever at this site, or None."""
    path = [_with_slope(model, step) for step in site.path]
    if autograd_slope(model, path, layer(model, site.grown).weight) != 0:
        return None
    labels = ", ".join(step.label for step in site.path if step.kind == "activation")
    return (
        f"{labels} behind {site.grown} has derivative 0 at 0, where a neuron with zero fan-in "
        "stays for ever; use nn.ReLU as a module instead"
    )


def arrange_slopes(model: nn.Module, sites: Iterable[Site]) -> None:
    """Give the paths a slope at 0: replace ReLU modules by the same function with slope 1 there.

    Raises:
        SiteError: if a slope is 0 and no module of the path can be replaced; nothing is then.
    """
    flat = [s for s in sites if not autograd_slope(model, s.path, layer(model, s.grown).weight)]
    for site in flat:
        if reason := slope_reason(model, site):
            raise SiteError(reason)
    steps = (step for site in flat for step in site.path)
    set_unit_slopes(model, [step.module for step in steps if step.module is not None])


def unit_slopes(model: nn.Module) -> list[str]:
    """Qualified names of the modules that `arrange_slopes` has put there."""
    ours = tuple(UNIT_SLOPE.values())
    return [name for name, module in model.named_modules() if isinstance(module, ours)]


def set_unit_slopes(model: nn.Module, names: Iterable[str]) -> None:
    """Replace the ReLU modules of these names, wherever else they are used, by ours."""
    for name in names:
        old = model.get_submodule(name)
        if type(old) in UNIT_SLOPE:
            new = UNIT_SLOPE[type(old)]().train(old.training)
            for parent in list(model.modules()):
                for key, child in parent._modules.items():
                    if child is old:
                        parent._modules[key] = new


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


def _replaceable(model: nn.Module, step: Operation) -> bool:
    return step.module is not None and type(model.get_submodule(step.module)) in UNIT_SLOPE


def _with_slope(model: nn.Module, step: Operation) -> Operation:
    """The operation as it is once it has been replaced, if it can be."""
    if not _replaceable(model, step):
        return step
    module = UNIT_SLOPE[type(model.get_submodule(step.module or ""))]()
    return replace(step, module=None, function=module)
