"""Finding the sites of an unmodified `nn.Module`, by tracing or by name."""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from nas_bench.growth.layers import SiteError, layer
from nas_bench.growth.obstacles import hooked_part, obstacle
from nas_bench.growth.operations import (
    ADDITIONS,
    check_convolution,
    depthwise,
    function_step,
    module_step,
)
from nas_bench.growth.paths import UNIT_SLOPE, Operation, follow, repeated
from nas_bench.growth.sites import Refusal, Site, Survey, evaluating, randomness_kept
from nas_bench.growth.width_reads import width_reasons

LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)  # fmt: skip
SHAPE_READERS = ("size", "dim")


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
    sites = [s for s in found.values() if isinstance(s, Site)]
    for name, reason in width_reasons(model, sites, example).items():
        found[name] = Refusal(name, reason)
    return Survey(
        tuple(s for s in found.values() if isinstance(s, Site)),
        tuple(r for r in found.values() if isinstance(r, Refusal)),
    )


def named_site(
    model: nn.Module,
    example: Tensor,
    grown: str,
    following: str,
    path: Sequence[str | Callable[[Tensor], Tensor]] = (),
) -> Site:
    """A site named by hand, for models that torch.fx cannot trace.

    Who names a site answers for it: that the path is what happens between the layers, and that
    nothing else reads or changes what the grown layer writes.

    Args:
        model: it is not changed.
        example: an input, shape (n, …).
        grown: qualified name of the grown layer.
        following: qualified name of the next layer.
        path: what happens in between: qualified names of modules, activation functions of
            torch.nn.functional, and torch.flatten.

    Raises:
        SiteError: with the reason, if the site cannot grow.
    """
    for name, what in ((grown, "the grown layer"), (following, "the next layer")):
        _check_kind(_module(model, name), what)
    written, read = _seen(model, example, grown, following)
    steps: list[Operation] = []
    z = written
    channels = torch.arange(layer(model, grown).weight.shape[0], device=z.device)
    for part in path:
        if isinstance(part, str):
            new = (module_step(part, _module(model, part), z.shape),)
        else:
            name = getattr(part, "__name__", str(part))
            dim = (1,) if name == "flatten" else ()
            try:
                new = function_step(name, part, dim, {}, z.shape)
            except TypeError as error:
                raise SiteError(
                    f"{name} in the path needs arguments: name a module instead"
                ) from error
        steps += [_checked(model, step) for step in new]
        with evaluating(model), torch.no_grad():
            z = follow(model, new, z, _features(channels, written, z))
    site = _site(grown, following, steps, written.shape, model)
    if z.shape != read.shape or not torch.allclose(z, read, 1e-3, 1e-5):
        raise SiteError(
            f"{following} reads something else than what the path makes of {grown}'s output: "
            "name every module and function in between, in order"
        )
    return site


def _features(channels: Tensor, written: Tensor, z: Tensor) -> Tensor:
    """The channels, or what they have become by a flatten."""
    times = z.shape[1] // len(channels) if z.dim() == 2 and written.dim() == 4 else 1
    return repeated(channels, times)


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise SiteError(f"{type(model).__name__} has no module {name!r}") from error


def _seen(model: nn.Module, example: Tensor, grown: str, following: str) -> tuple[Tensor, Tensor]:
    """What the grown layer writes and the next one reads."""
    seen: dict[str, list[Tensor]] = {grown: [], following: []}

    def writes(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        seen[grown].append(output.clone())

    def reads(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen[following].append(arguments[0].clone())

    handles = (
        model.get_submodule(grown).register_forward_hook(writes),
        model.get_submodule(following).register_forward_pre_hook(reads),
    )
    try:
        with evaluating(model), torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    for name, tensors in seen.items():
        if len(tensors) != 1:
            times = f"{len(tensors)} times" if tensors else "0 times"
            raise SiteError(f"{name} is called {times} by the model: expected once")
    return seen[grown][0], seen[following][0]


def _site(
    grown: str, following: str, path: Sequence[Operation], shape: torch.Size, model: nn.Module
) -> Site:
    """The site with its sizes, from the shape of what the grown layer writes."""
    writer, reader = model.get_submodule(grown), model.get_submodule(following)
    if isinstance(writer, nn.Linear):
        if not isinstance(reader, nn.Linear):
            raise SiteError(f"it is linear and the next layer, {following}, a convolution")
        _check_rows(path, shape, model)
        return Site(grown, following, tuple(path), positions=shape[1:-1].numel())
    if len(shape) != 4:
        raise SiteError("its input has no batch dimension: expected maps of shape (n, C, H, W)")
    z = torch.zeros(1, 1, *shape[2:])
    for step in path:
        z = step.moved(z)
    size = (int(z.shape[2]), int(z.shape[3]))
    flat = any(step.kind == "flatten" for step in path)
    if not flat and isinstance(reader, nn.Linear):
        raise SiteError(f"there is no flatten before the next layer, {following}, which is linear")
    if flat != isinstance(reader, nn.Linear):
        raise SiteError(f"the next layer, {following}, does not read its channels one by one")
    taps = size[0] * size[1] if flat else torch.Size(getattr(reader, "kernel_size", ())).numel()
    return Site(grown, following, tuple(path), size[0] * size[1], size, taps)


def _check_rows(path: Sequence[Operation], shape: torch.Size, model: nn.Module) -> None:
    """Refuse what takes dimension 1 of (n, rows, columns, features) for the neurons."""
    if len(shape) != 4:
        return
    for step in path:
        module = model.get_submodule(step.module or "")
        slopes = isinstance(module, nn.PReLU) and module.num_parameters > 1
        if slopes or step.kind not in ("activation", "identity"):
            raise SiteError(f"{step.label} in the path takes dimension 1 for the neurons")


def _check_kind(module: nn.Module, what: str) -> None:
    kind = type(module)
    if kind not in (nn.Linear, nn.Conv2d):
        raise SiteError(f"{what} is a {kind.__name__}: only nn.Linear and nn.Conv2d grow")
    if depthwise(module):
        raise SiteError(f"{what} is a depthwise convolution: it is as wide as what it reads")
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        raise SiteError(f"{what} is a convolution in {module.groups} groups")
    check_convolution(module, what)
    if reason := obstacle(module):
        raise SiteError(f"{what} {reason}")


def _checked(model: nn.Module, step: Operation) -> Operation:
    if step.kind != "activation":
        return step
    parameter = next(model.parameters())
    with torch.no_grad(), evaluating(model):
        value = float(step.activate(model, parameter.new_zeros(1)))
    if value != 0:
        raise SiteError(
            f"{step.label} is {value:.3g} at 0, not 0: new neurons would not start small"
        )
    return step


def _traced(model: nn.Module, example: Tensor) -> fx.Graph:
    try:
        with evaluating(model):
            traced = fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:
        wrapped = isinstance(model, nn.DataParallel | torch.jit.ScriptModule)
        cure = (
            "grow the module that it wraps, and wrap that anew after each growth"
            if wrapped or hasattr(model, "_orig_mod")  # of torch.compile
            else "its sites can be named by hand with nas_bench.growth.named_site"
        )
        reason = " ".join(str(error).split())
        raise SiteError(
            f"{type(model).__name__} cannot be traced by torch.fx ({reason}); {cure}"
        ) from error
    with evaluating(model), torch.no_grad(), randomness_kept(example.device):
        try:
            model(example)
            with redirect_stderr(StringIO()):  # where torch.fx prints a traceback
                ShapeProp(traced).propagate(example)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            kind = str(example.dtype).removeprefix("torch.")
            raise SiteError(
                f"{type(model).__name__} cannot read an example of shape {tuple(example.shape)} "
                f"and type {kind}: {reason}"
            ) from error
    return traced.graph


class _Tracer(fx.Tracer):
    """Sees our own activations as one operation, as it does those of torch.

    Arguments of the model's forward that have a default keep it, but for the first.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """See the base class."""
        return isinstance(m, tuple(UNIT_SLOPE.values())) or super().is_leaf_module(
            m, module_qualified_name
        )

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """See the base class."""
        function, (root, example, *others) = super().create_args_for_root(
            root_fn, is_module, concrete_args
        )
        return function, [root, example, *map(_or_default, others)]


def _or_default(argument: Any) -> Any:
    """The default of a traced argument that has one."""
    default = argument.node.args if isinstance(argument, fx.Proxy) else ()
    return default[0] if default else argument


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
        grown, shape = str(node.target), _shape(node)
        self._check_layer(grown, "it")
        path: list[Operation] = []
        while True:
            user = self._only_user(node)
            module = self.modules.get(str(user.target)) if user.op == "call_module" else None
            if isinstance(module, LAYERS) and not depthwise(module):
                break
            path += self._steps(user, node, module)
            node = user
        following = str(user.target)
        self._check_layer(following, f"the next layer, {following},")
        site = _site(grown, following, path, shape, self.model)
        if reason := hooked_part(self.model, site):
            raise SiteError(reason)
        return site

    def _check_layer(self, name: str, what: str) -> None:
        _check_kind(self.modules[name], what)
        if self.calls[name] > 1:
            raise SiteError(f"{what} is used {self.calls[name]} times in one forward pass")
        self._check_own(name, what)

    def _check_own(self, name: str, what: str) -> None:
        for key, tensor in self.modules[name].named_parameters(recurse=False):
            if len(self.owners[id(tensor)]) > 1 or f"{name}.{key}" in self.bare:
                raise SiteError(f"{what} shares its {key} with another part of the model")

    def _only_user(self, node: fx.Node) -> fx.Node:
        users = [user for user in node.users if not _reads_shape(user)]
        if len(users) > 1:
            raise SiteError(
                f"its output is read in {len(users)} places (a branch or skip connection)"
            )
        if not users or users[0].op == "output":
            raise SiteError("its output is the model's output: there is no next layer")
        return users[0]

    def _steps(
        self, user: fx.Node, node: fx.Node, module: nn.Module | None
    ) -> tuple[Operation, ...]:
        others = [n for n in user.all_input_nodes if n is not node and not _is_size(n)]
        if user.target in ADDITIONS:
            raise SiteError("its output is added to another (residual): the widths are coupled")
        if others:
            raise SiteError(f"its output meets another tensor in {user.name}")
        if module is not None:
            steps = (self._module_step(str(user.target), module, _shape(node)),)
        else:
            name = _function_name(user)
            if user.args[:1] != (node,):
                raise SiteError(f"{name} in the path is not known to act on each neuron alone")
            function = _function(user)
            steps = function_step(name, function, user.args[1:], user.kwargs, _shape(node))
            if not all(_is_samples(n) for n in user.all_input_nodes if n is not node):
                raise SiteError(f"{name} in the path mixes samples and neurons")
        return tuple(_checked(self.model, step) for step in steps)

    def _module_step(self, name: str, module: nn.Module, shape: torch.Size) -> Operation:
        step = module_step(name, module, shape)
        label = f"{step.label} in the path"
        if next(module.parameters(), None) is not None and self.calls[name] > 1:
            raise SiteError(f"{label} is used {self.calls[name]} times")
        self._check_own(name, label)
        return step


def _shape(node: fx.Node) -> torch.Size:
    return node.meta["tensor_meta"].shape


def _reads_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in SHAPE_READERS
    return node.target is getattr and node.args[1] in ("shape", "ndim")


def _is_size(node: fx.Node) -> bool:
    """Whether a value is a size, not a tensor."""
    return "tensor_meta" not in node.meta


def _is_samples(node: fx.Node) -> bool:
    """Whether a size is that of dimension 0."""
    which = (*node.args[1:], *node.kwargs.values())
    return node.target in ("size", operator.getitem) and list(which) == [0]


def _function_name(user: fx.Node) -> str:
    if isinstance(user.target, str):
        return user.target
    return getattr(user.target, "__name__", str(user.target))


def _function(user: fx.Node) -> Callable[..., Tensor]:
    if isinstance(user.target, str):
        method = user.target.rstrip("_")
        return lambda z, *arguments, **options: getattr(z, method)(*arguments, **options)
    return user.target  # pyright: ignore
