"""The sites of a model: hidden widths that can grow, found in an unmodified `nn.Module`."""

import operator
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from nas_bench.growth.paths import (
    ACTIVATION_MODULES,
    ACTIVATION_NAMES,
    IDENTITY_MODULES,
    IDENTITY_NAMES,
    UNIT_SLOPE,
    Operation,
    UnitSlopeReLU,
    UnitSlopeReLU6,
    autograd_slope,
)

LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d,
)  # fmt: skip
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class SiteError(ValueError):
    """A layer that cannot grow, or not by the method asked for; the message says why."""


@dataclass(frozen=True)
class Site:
    """A hidden width: a grown layer that gains outputs and a next layer that gains inputs.

    Attributes:
        grown: qualified name of the grown layer.
        next: qualified name of the next layer.
        path: what happens in between.
        positions: rows per sample that the grown layer reads (tokens); 1 for (n, features).
    """

    grown: str
    next: str
    path: tuple[Operation, ...] = ()
    positions: int = 1

    @property
    def name(self) -> str:
        """The name of the grown layer."""
        return self.grown

    @property
    def batch_norms(self) -> tuple[str, ...]:
        """Qualified names of the batch norms in the path."""
        return tuple(s.module or "" for s in self.path if s.kind == "batch norm")

    def width(self, model: nn.Module) -> int:
        """How many hidden neurons there are now."""
        return len(linear(model, self.grown).weight)


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


def find_sites(model: nn.Module, example: Tensor) -> list[Site]:
    """The sites of a model, in network order.

    Args:
        model: any module that torch.fx can trace; it is not changed.
        example: an input, shape (n, …).

    Raises:
        SiteError: if the model cannot be traced.
    """
    return list(survey(model, example).sites)


def survey(model: nn.Module, example: Tensor) -> Survey:
    """The sites of a model and, for every other layer, why its width cannot grow.

    Args:
        model: any module that torch.fx can trace; it is not changed.
        example: an input, shape (n, …).

    Raises:
        SiteError: if the model cannot be traced.
    """
    graph = _traced(model, example)
    tracer = _Pathfinder(model, graph)
    called = [n for n in graph.nodes if n.op == "call_module"]
    layers = [n for n in called if isinstance(model.get_submodule(str(n.target)), LAYERS)]
    found: dict[str, Site | Refusal] = {}
    for node in layers:
        name = str(node.target)
        try:
            found.setdefault(name, tracer.site(node))
        except SiteError as error:
            found.setdefault(name, Refusal(name, str(error)))
    for name, module in model.named_modules():
        if isinstance(module, LAYERS) and name not in found:
            reason = "the model's own forward does not call it as a layer"
            found[name] = Refusal(name, reason)
    return Survey(
        tuple(s for s in found.values() if isinstance(s, Site)),
        tuple(r for r in found.values() if isinstance(r, Refusal)),
    )


def linear(model: nn.Module, name: str) -> nn.Linear:
    """The linear layer of this name.

    Raises:
        SiteError: if it is another kind of layer.
    """
    module = model.get_submodule(name)
    if not isinstance(module, nn.Linear):
        raise SiteError(f"{name} is a {type(module).__name__}, and only nn.Linear can grow")
    return module


def slope_reason(model: nn.Module, site: Site) -> str | None:
    """Why a neuron with zero fan-in would be dead for ever at this site, or None."""
    path = [_with_slope(model, step) for step in site.path]
    if autograd_slope(model, path, linear(model, site.grown).weight) != 0:
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
    flat = [s for s in sites if not autograd_slope(model, s.path, linear(model, s.grown).weight)]
    for site in flat:
        if reason := slope_reason(model, site):
            raise SiteError(reason)
    for step in (step for site in flat for step in site.path):
        if _replaceable(model, step) and step.module is not None:
            old = model.get_submodule(step.module)
            model.set_submodule(step.module, UNIT_SLOPE[type(old)]().train(old.training))


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


def _traced(model: nn.Module, example: Tensor) -> fx.Graph:
    try:
        with evaluating(model):
            traced = fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:
        raise SiteError(
            f"{type(model).__name__} cannot be traced by torch.fx ({error}); "
            "its sites can be named by hand: Site(grown=…, next=…, path=…)"
        ) from error
    with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
        ShapeProp(traced).propagate(example)
    return traced.graph


class _Tracer(fx.Tracer):
    """Sees our own activations as one operation, as it does those of torch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """See the base class."""
        ours = isinstance(m, (UnitSlopeReLU, UnitSlopeReLU6))
        return ours or super().is_leaf_module(m, module_qualified_name)


class _Pathfinder:
    """Follows every layer's output to the layer that reads it."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self.calls = Counter(str(n.target) for n in graph.nodes if n.op == "call_module")
        owners = (m for m in self.modules.values() for _ in m.parameters(recurse=False))
        tensors = (p for m in self.modules.values() for p in m.parameters(recurse=False))
        self.owners: dict[int, set[int]] = {}
        for owner, tensor in zip(owners, tensors, strict=True):
            self.owners.setdefault(id(tensor), set()).add(id(owner))
        self.bare = {str(n.target) for n in graph.nodes if n.op == "get_attr"}

    def site(self, node: fx.Node) -> Site:
        """The site whose grown layer this call is.

        Raises:
            SiteError: with the reason, if it cannot grow.
        """
        grown = str(node.target)
        self._check_layer(grown, "it")
        path: list[Operation] = []
        shape = _shape(node)
        while True:
            user = self._only_user(node)
            module = self.modules.get(str(user.target)) if user.op == "call_module" else None
            if isinstance(module, LAYERS):
                break
            path.append(self._step(user, node, module))
            node = user
        self._check_layer(str(user.target), f"the next layer, {user.target},")
        return Site(grown, str(user.target), tuple(path), positions=shape[1:-1].numel())

    def _check_layer(self, name: str, what: str) -> None:
        module = self.modules[name]
        if type(module) is not nn.Linear:
            kind = type(module).__name__
            raise SiteError(f"{what} is a {kind}; so far only nn.Linear grows")
        if self.calls[name] > 1:
            raise SiteError(f"{what} is used {self.calls[name]} times in one forward pass")
        if "weight" not in module._parameters:
            raise SiteError(f"{what} has a parametrised weight, which cannot be widened")
        for key, tensor in module.named_parameters(recurse=False):
            if len(self.owners[id(tensor)]) > 1 or f"{name}.{key}" in self.bare:
                raise SiteError(f"{what} shares its {key} with another part of the model")

    def _only_user(self, node: fx.Node) -> fx.Node:
        users = list(node.users)
        if len(users) > 1:
            raise SiteError(
                f"its output is read in {len(users)} places (a branch or skip connection)"
            )
        if not users or users[0].op == "output":
            raise SiteError("its output is the model's output: there is no next layer")
        return users[0]

    def _step(self, user: fx.Node, node: fx.Node, module: nn.Module | None) -> Operation:
        others = [n for n in user.all_input_nodes if n is not node]
        if user.target in ADDITIONS:
            raise SiteError("its output is added to another (residual): the widths are coupled")
        if others:
            raise SiteError(f"its output meets another tensor in {user.name}")
        if module is not None:
            return self._module_step(str(user.target), module, user, node)
        return self._function_step(user, node)

    def _module_step(
        self, name: str, module: nn.Module, user: fx.Node, node: fx.Node
    ) -> Operation:
        label = f"{type(module).__name__} ({name})"
        if isinstance(module, IDENTITY_MODULES):
            return Operation("identity", label)
        if isinstance(module, nn.Flatten):
            return _flatten(label, user, node)
        if isinstance(module, nn.BatchNorm1d):
            self._check_own(name, label)
            return _batch_norm(name, label, module, node)
        if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)):
            raise SiteError(f"{label} in the path couples the neurons of the layer")
        if isinstance(module, nn.PReLU) and module.num_parameters > 1:
            self._check_own(name, label)
            if len(_shape(node)) != 2:
                raise SiteError(f"{label} in the path has a slope for each token, not neuron")
        if isinstance(module, ACTIVATION_MODULES):
            return self._checked(Operation("activation", label, module=name), module)
        raise SiteError(f"{label} in the path is not known to act on each neuron alone")

    def _check_own(self, name: str, label: str) -> None:
        if self.calls[name] > 1:
            raise SiteError(f"{label} in the path is used {self.calls[name]} times")

    def _function_step(self, user: fx.Node, node: fx.Node) -> Operation:
        name = _function_name(user)
        if name in IDENTITY_NAMES:
            _check_dropout(name, user)
            return Operation("identity", name)
        if name == "flatten":
            return _flatten(name, user, node)
        if name.rstrip("_") not in ACTIVATION_NAMES or user.args[:1] != (node,):
            raise SiteError(f"{name} in the path is not known to act on each neuron alone")
        return self._checked(Operation("activation", name, function=_bound(user)), None)

    def _checked(self, step: Operation, module: nn.Module | None) -> Operation:
        parameter = next(self.model.parameters())
        zero = parameter.new_zeros(1)
        with torch.no_grad(), evaluating(module or nn.Identity()):
            value = float(step.activate(self.model, zero))
        if value != 0:
            raise SiteError(
                f"{step.label} is {value:.3g} at 0, not 0: new neurons would not start small"
            )
        return step


def _shape(node: fx.Node) -> torch.Size:
    return node.meta["tensor_meta"].shape


def _flatten(label: str, user: fx.Node, node: fx.Node) -> Operation:
    if _shape(user) != _shape(node):
        raise SiteError(f"{label} in the path mixes positions and neurons")
    return Operation("identity", label)


def _check_dropout(name: str, user: fx.Node) -> None:
    """Traced in eval mode, `training=self.training` is False."""
    if user.kwargs.get("training", False) is True:
        raise SiteError(
            f"{name} in the path stays random in eval mode; pass it training=self.training"
        )


def _batch_norm(name: str, label: str, module: nn.BatchNorm1d, node: fx.Node) -> Operation:
    if len(_shape(node)) != 2:
        raise SiteError(f"{label} in the path normalises tokens, not neurons")
    if not (module.affine and module.track_running_stats):
        raise SiteError(f"{label} in the path has no affine parameters or no running statistics")
    return Operation("batch norm", label, module=name)


def _function_name(user: fx.Node) -> str:
    if isinstance(user.target, str):
        return user.target
    return getattr(user.target, "__name__", str(user.target))


def _bound(user: fx.Node) -> Any:
    """The activation with its constants, never in place."""
    arguments = user.args[1:]
    options = {key: value for key, value in user.kwargs.items() if key != "inplace"}
    if isinstance(user.target, str):
        method = user.target.rstrip("_")
        return lambda z: getattr(z, method)(*arguments, **options)
    function = user.target
    return lambda z: function(z.clone(), *arguments, **options)  # it may work in place
