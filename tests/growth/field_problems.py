"""Small networks with fields and data, the stages on which the laws of growth are tested."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod

import fields
import torch
from growth.problems import SLOPES, State, state
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter
from oracles import Loss
from torch import Tensor, nn
from torch.nn import functional

from nas_bench.growth.measure import measure
from nas_bench.growth.method import GrowthMethod, Need, NewNeurons
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.tracing import find_sites

SUMS = Need.INPUTS | Need.HIDDEN | Need.CROSS | Need.GOAL
"""What every sum needs, but for the unweighted patches and N."""
EVERYTHING = SUMS | Need.MAPS
"""With the maps from which N is made."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True, repr=False)
class FieldProblem:
    """A network, its data and loss, and one site of it.

    Attributes:
        site: names of the grown and the next layer.
    """

    model: nn.Sequential
    x: Tensor
    y: Tensor
    loss: Loss
    site: tuple[str, str]

    def __repr__(self) -> str:
        return f"{self.model} on {tuple(self.x.shape)}, site {self.site}"

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        printer.text(repr(self))

    @cached_property
    def rows(self) -> fields.FieldRows:
        """The oracle's rows of the site."""
        return fields.field_rows(self.model, self.site, self.x, self.y, self.loss)

    @property
    def path(self) -> list[nn.Module]:
        """The modules between the grown layer and the next one."""
        return fields.path_of(self.model, self.site)

    @property
    def layers(self) -> tuple[nn.Module, nn.Module]:
        """The grown and the next layer."""
        return self.model.get_submodule(self.site[0]), self.model.get_submodule(self.site[1])

    @property
    def slope(self) -> float | None:
        """σ′(0) of the whole path where it is smooth, else None."""
        slope = 1.0
        for module in self.path:
            if isinstance(module, nn.MaxPool2d | nn.AdaptiveMaxPool2d):
                return None
            if isinstance(module, (*fields.POOLS, *fields.IDENTITIES, nn.Conv2d, nn.Flatten)):
                continue
            if type(module) not in SLOPES:
                return None
            slope *= SLOPES[type(module)]
        return slope

    @property
    def normed(self) -> bool:
        """Whether a batch norm is in the path."""
        return any(isinstance(module, NORMS) for module in self.path)

    def batches(self, size: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """The data as batches, by default one."""
        size = size or len(self.x)
        return list(zip(self.x.split(size), self.y.split(size), strict=True))

    def own(self) -> FieldProblem:
        """The stage with a copy of its network that may be changed."""
        return replace(self, model=copy.deepcopy(self.model))

    def cast(self, dtype: torch.dtype) -> FieldProblem:
        """The same problem in another precision."""
        y = self.y.to(dtype) if self.y.is_floating_point() else self.y
        return replace(self, model=self.own().model.to(dtype), x=self.x.to(dtype), y=y)


def site_of(stage: FieldProblem) -> Site:
    """The engine's own site of a stage."""
    return _site(stage, state(stage.model))


@lru_cache(100)
def _site(stage: FieldProblem, _state: State) -> Site:
    found = find_sites(stage.model, stage.x[:2])
    return next(s for s in found if (s.grown, s.next) == stage.site)


def statistics(
    stage: FieldProblem, size: int | None = None, needs: Need = EVERYTHING
) -> SiteStatistics:
    """What the engine measures at the site of a stage."""
    site = site_of(stage)
    batches = stage.batches(size)
    return measure(stage.model, [site], batches, stage.loss, {site.name: needs})[site.name]


def proposal(stage: FieldProblem, method: GrowthMethod, k: int = 3, seed: int = 0) -> NewNeurons:
    """What a method proposes at the site of a stage, from what it declared it reads."""
    found = statistics(stage, needs=method.needs(site_of(stage)))
    return method.propose(found, k, torch.Generator().manual_seed(seed))


def random_neurons(
    stage: FieldProblem, k: int = 3, *, updated: bool = True, seed: int = 0
) -> NewNeurons:
    """Gaussian neurons of about unit activity, with the oracle's update where asked."""
    rows, generator = stage.rows, torch.Generator().manual_seed(seed)
    p, d = rows.inputs.shape[-1], rows.goal.shape[-1]
    fan_in = torch.randn(k, p, generator=generator, dtype=torch.float64) / p**0.5
    fan_out = torch.randn(k, rows.taps, d, generator=generator, dtype=torch.float64)
    update = fields.weight_update(rows) if updated else None
    return NewNeurons(fan_in, fan_out / rows.taps**0.5, fan_in.new_zeros(k), weight_update=update)


def branched(
    stage: FieldProblem, new: NewNeurons, amplitude: float = 1.0, stand: fields.Stand = fields.real
) -> fields.BranchedField:
    """The explicit network after a step: α, ω × √ε and δW* × ε."""
    root, update = amplitude**0.5, new.weight_update
    return fields.BranchedField(
        stage.model,
        stage.site,
        root * new.fan_in,
        root * new.fan_out,
        None if update is None else amplitude * update,
        stand,
    )


def built(
    seed: int,
    shape: tuple[int, ...],
    layers: list[nn.Module],
    *,
    before: nn.Module | None = None,
    samples: int = 24,
    labels: bool = False,
) -> FieldProblem:
    """A network whose first and last layer are the site, with a head behind a next convolution.

    Args:
        seed: of weights and data.
        shape: of one sample.
        layers: grown layer, path, next layer.
        before: a module that comes first.
        samples: n.
        labels: cross-entropy instead of squared errors.
    """
    torch.manual_seed(seed)
    first = 0 if before is None else 1
    modules = ([] if before is None else [before]) + layers
    site = str(first), str(len(modules) - 1)
    model = nn.Sequential(*modules).double()
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x = torch.randn(samples, *shape, dtype=torch.float64) + 0.3
    if isinstance(layers[-1], nn.Conv2d):
        with torch.no_grad():
            width = model.eval()(x[:1])[0].numel()
        head = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(width, 3)).double()
        model = nn.Sequential(*model, *head)
    _live(model)
    with torch.no_grad():
        out = model.eval()(x)
    y = torch.randn(out.shape, dtype=torch.float64) + torch.sin(x.flatten(1)[:, :1]).reshape(
        -1, *[1] * (out.dim() - 1)
    )
    labels = labels and out.dim() == 2 and out.shape[1] > 1
    loss: Loss = functional.cross_entropy if labels else functional.mse_loss
    return FieldProblem(model, x, y.argmax(-1) if labels else y, loss, site)


def _live(model: nn.Module) -> None:
    """Give batch norms a life behind them."""
    for norm in (m for m in model.modules() if isinstance(m, NORMS)):
        with torch.no_grad():
            for tensor in (norm.weight, norm.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (norm.bias, norm.running_mean):
                tensor.uniform_(-0.5, 0.5)
            norm.num_batches_tracked.fill_(1000)


def depthwise(channels: int, kernel: int | tuple[int, int], **options: object) -> nn.Conv2d:
    """A convolution of each channel alone."""
    return nn.Conv2d(channels, channels, kernel, groups=channels, **options)


def stages() -> Iterator[tuple[str, FieldProblem]]:
    """Every stage, by name."""
    conv = nn.Conv2d
    yield "conv", built(0, (2, 5, 5), [conv(2, 3, 3, padding=1), nn.Tanh(),
                                       conv(3, 2, 3, padding=1)])  # fmt: skip
    yield "strides, dilation", built(1, (2, 7, 6), [
        conv(2, 3, (3, 2), stride=(2, 1), padding=(2, 1)), nn.GELU(),
        conv(3, 2, 3, stride=2, padding=2, dilation=(1, 2))], labels=True)  # fmt: skip
    yield "no bias, relu", built(2, (2, 5, 5), [
        conv(2, 3, 2, bias=False), nn.ReLU(), conv(3, 2, 2, padding=1, bias=False)])  # fmt: skip
    yield "inner", built(3, (2, 6, 6), [conv(2, 2, 3, padding="same"), nn.SELU(), conv(2, 3, 2)],
                         before=conv(2, 2, 2))  # fmt: skip
    yield "max pool", built(4, (2, 6, 6), [
        conv(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(3, 2, 2)])  # fmt: skip
    yield "max pool, padded", built(5, (2, 5, 6), [
        conv(2, 3, 2), nn.MaxPool2d(3, 2, 1), nn.ELU(),
        conv(3, 2, 3, padding=1)], labels=True)  # fmt: skip
    yield "average pool", built(6, (2, 5, 5), [
        conv(2, 2, 3, padding=1), nn.SiLU(), nn.AvgPool2d(3, 2, 1),
        conv(2, 3, 2, padding=1)])  # fmt: skip
    yield "average pool, pads not counted", built(7, (2, 5, 5), [
        conv(2, 2, 2, padding=1), nn.Tanh(), nn.AvgPool2d((2, 3), 2, 1, count_include_pad=False),
        conv(2, 3, 2, bias=False)])  # fmt: skip
    yield "batch norm", built(8, (2, 5, 5), [
        conv(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), conv(3, 2, 2)])  # fmt: skip
    yield "batch norm, tanh", built(9, (2, 5, 5), [
        conv(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.Tanh(), nn.Dropout2d(0.3),
        nn.AvgPool2d(2), conv(3, 2, 2)])  # fmt: skip
    yield "depthwise", built(10, (2, 6, 6), [
        conv(2, 3, (1, 2)), nn.BatchNorm2d(3), nn.Tanh(),
        depthwise(3, (3, 2), stride=2, padding=1, dilation=(1, 2)), nn.BatchNorm2d(3), nn.SiLU(),
        conv(3, 2, 1)], labels=True)  # fmt: skip
    yield "flatten", built(11, (2, 4, 4), [
        conv(2, 2, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(),
        nn.Linear(8, 3)], samples=40)  # fmt: skip
    yield "flatten, pooled", built(12, (1, 6, 5), [
        conv(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(8, 3)], samples=40, labels=True)  # fmt: skip
    yield "adaptive", built(13, (2, 5, 5), [
        conv(2, 2, 2), nn.SiLU(), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(),
        nn.Linear(12, 3, bias=False)], samples=40)  # fmt: skip
    yield "adaptive max", built(14, (2, 5, 4), [
        conv(2, 2, 2, padding=1), nn.AdaptiveMaxPool2d(2), nn.Tanh(), nn.Flatten(),
        nn.Linear(8, 3)], samples=40)  # fmt: skip
    yield "global average", built(15, (2, 4, 4), [
        conv(2, 3, 2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, 3)], samples=40)  # fmt: skip
    yield "pointwise", built(16, (2, 4, 4), [
        conv(2, 3, 3, padding=1), nn.PReLU(3), conv(3, 4, 1)])  # fmt: skip
    yield "tokens", built(17, (3, 4), [nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)])


ALL = dict(stages())
"""The stages, by name."""
SMOOTH = [name for name, stage in ALL.items() if stage.slope is not None]
"""Names of the stages whose path is smooth at 0, without max pooling."""
NORMED = [name for name, stage in ALL.items() if stage.normed]
"""Names of the stages with a batch norm in the path."""


def deep(seed: int = 0) -> FieldProblem:
    """Two adjacent sites, the second behind a flatten: ("0", "2") and ("2", "6")."""
    layers = [nn.Conv2d(2, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 3, 2), nn.SiLU(),
              nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)]  # fmt: skip
    return replace(built(seed, (2, 5, 5), layers, samples=40), site=("0", "2"))


ACTIVATIONS = (nn.Identity, nn.Tanh, nn.ReLU, nn.GELU, nn.SELU)
GRID = tuple[int, int]


@st.composite
def geometries(draw: st.DrawFn, size: GRID, reach: int = 3, room: int = 1) -> dict[str, GRID]:
    """Kernel, stride, padding and dilation that leave at least `room` positions on each axis."""
    axes = []
    for length in size:
        padding = draw(st.integers(0, 2))
        kernel = draw(st.integers(1, min(reach, length + 2 * padding)))
        most = (length + 2 * padding - room) // max(kernel - 1, 1)
        dilation = draw(st.integers(1, max(1, min(2, most))))
        span = length + 2 * padding - dilation * (kernel - 1) - 1
        stride = draw(st.integers(1, 2)) if span >= 2 * (room - 1) else 1
        axes.append((kernel, stride, padding, dilation))
    names = ("kernel_size", "stride", "padding", "dilation")
    return dict(zip(names, zip(*axes, strict=True), strict=True))


@st.composite
def pools(draw: st.DrawFn, size: GRID) -> nn.Module:
    """A pooling module that a map of this size can pass."""
    adaptive = draw(st.booleans())
    if adaptive:
        output = tuple(draw(st.integers(1, min(3, n))) for n in size)
        kind = draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))
        return kind(output)
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
    stride = tuple(draw(st.integers(1, 2)) for _ in size)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil = draw(st.booleans())
    if draw(st.booleans()):
        return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    counted = draw(st.booleans())
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=counted)


def size_after(module: nn.Module, size: GRID) -> GRID:
    """The map that a module makes of one."""
    if isinstance(module, nn.Conv2d):
        return fields.output_size(size, module)
    return tuple(module(torch.zeros(1, 1, *size)).shape[2:])


@st.composite
def networks(draw: st.DrawFn) -> FieldProblem:
    """A small random network with a site between fields, and data."""
    seed = draw(st.integers(0, 10**6))
    if draw(st.integers(0, 7)) == 0:
        return draw(token_networks(seed))
    flat = draw(st.booleans())
    size = draw(st.integers(4, 7)), draw(st.integers(4, 7))
    channels, width = draw(st.integers(1, 3)), draw(st.integers(1, 2 if flat else 3))
    outputs = draw(st.integers(1, 3))
    options = draw(geometries(size, room=2))
    grown = nn.Conv2d(channels, width, **options, bias=draw(st.booleans()))
    layers, now = [grown], fields.output_size(size, grown)
    assume(min(now) > 0)
    steps, now = draw(paths(width, now))
    layers += steps
    if flat:
        cells = width * now[0] * now[1]
        assume(cells <= 40)
        layers += [nn.Flatten(), nn.Linear(cells, outputs, bias=draw(st.booleans()))]
        samples = max(16, cells + 10)
    else:
        options = draw(geometries(now))
        layers.append(nn.Conv2d(width, outputs, **options, bias=draw(st.booleans())))
        positions = prod(fields.output_size(now, layers[-1]))
        samples = min(40, max(8, 60 // positions))
    before = draw(st.sampled_from([None, nn.Tanh()]))
    labels = draw(st.booleans())
    return built(seed, (channels, *size), layers, before=before, samples=samples, labels=labels)


@st.composite
def paths(draw: st.DrawFn, width: int, size: GRID) -> tuple[list[nn.Module], GRID]:
    """Batch norm, activation, depthwise convolution and pooling, each or not, in some order."""
    steps: list[nn.Module] = []
    if draw(st.booleans()):
        steps.append(nn.BatchNorm2d(width))
    steps.append(draw(st.sampled_from(ACTIVATIONS))())
    if width > 1 and draw(st.booleans()):
        options = draw(geometries(size))
        kernel = options.pop("kernel_size")
        steps.append(depthwise(width, kernel, **options, bias=draw(st.booleans())))
        size = fields.output_size(size, steps[-1])
        steps.append(draw(st.sampled_from([nn.BatchNorm2d(width), nn.Tanh()])))
    if draw(st.booleans()):
        pool = draw(pools(size))
        size = size_after(pool, size)
        steps.insert(len(steps) - draw(st.integers(0, 1)), pool)
    return steps, size


@st.composite
def token_networks(draw: st.DrawFn, seed: int) -> FieldProblem:
    """Linear, activation, linear over tokens."""
    tokens, features, width = draw(st.integers(1, 4)), draw(st.integers(1, 4)), 3
    first = nn.Linear(features, width, bias=draw(st.booleans()))
    second = nn.Linear(width, draw(st.integers(1, 3)), bias=draw(st.booleans()))
    activation = draw(st.sampled_from(ACTIVATIONS))()
    return built(seed, (tokens, features), [first, activation, second])
