"""Which operations a path may have: what acts on every channel alone, or a reason against."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from nas_bench.growth.fields import Kernel
from nas_bench.growth.layers import SiteError
from nas_bench.growth.obstacles import obstacle
from nas_bench.growth.paths import (
    ACTIVATION_MODULES,
    ACTIVATION_NAMES,
    IDENTITY_MODULES,
    IDENTITY_NAMES,
    Operation,
)

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
POOLING_NAMES = frozenset(
    {"avg_pool2d", "adaptive_avg_pool2d", "max_pool2d", "adaptive_max_pool2d"}
)
COUPLING = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


def module_step(name: str, module: nn.Module, shape: Sequence[int]) -> Operation:
    """What a module of the path does to each channel.

    Args:
        name: qualified.
        module: of that name.
        shape: of what it reads, samples first.

    Raises:
        SiteError: with the reason, if the layer before cannot grow through it.
    """
    label = f"{type(module).__name__} ({name})"
    if reason := obstacle(module):
        raise SiteError(f"{label} in the path {reason}")
    if isinstance(module, IDENTITY_MODULES):
        return Operation("identity", label, module=name)
    if isinstance(module, nn.Flatten):
        step = flatten_step(label, shape, module.start_dim, module.end_dim)
        return replace(step, module=name)
    if isinstance(module, _BatchNorm):
        return _batch_norm(name, label, module, shape)
    if isinstance(module, COUPLING):
        raise SiteError(f"{label} in the path couples the neurons of the layer")
    if isinstance(module, nn.Conv2d):
        return _depthwise(name, label, module)
    if pooling := _pooling_module(module):
        _check_map(label, shape)
        return Operation("pooling", label, module=name, linear=pooling)
    if isinstance(module, nn.PReLU) and module.num_parameters > 1 and len(shape) not in (2, 4):
        raise SiteError(f"{label} in the path has a slope for each token, not neuron")
    if isinstance(module, ACTIVATION_MODULES):
        return Operation("activation", label, module=name)
    raise SiteError(f"{label} in the path is not known to act on each neuron alone")


def function_step(
    name: str, function: Callable[..., Tensor], arguments: Sequence[Any], options: dict[str, Any],
    shape: Sequence[int],
) -> tuple[Operation, ...]:  # fmt: skip
    """What a function of the path does to each channel.

    Args:
        name: of the function in torch, or of a tensor's method.
        function: called with a map, the arguments and the options.
        arguments: behind the map.
        options: by name.
        shape: of what it reads, samples first.

    Raises:
        SiteError: with the reason, if the layer before cannot grow through it.
    """
    options = {key: value for key, value in options.items() if key != "inplace"}
    if name in IDENTITY_NAMES:
        if True in (*arguments, *options.values()):  # in eval mode, self.training is False
            raise SiteError(
                f"{name} in the path stays random in eval mode; pass it training=self.training"
            )
        return (Operation("identity", name),)
    if name == "flatten":
        return (flatten_step(name, shape, *arguments, **options),)
    if name in ("view", "reshape"):
        return (_reshaped(name, shape, arguments),)
    if name == "mean":
        return _mean(shape, *arguments, **options)
    if name in POOLING_NAMES:
        _check_map(name, shape)
        linear = _pooling(name, *arguments, **options)
        bound = partial(_called, function, arguments, options)
        return (Operation("pooling", name, function=bound, linear=linear),)
    if name.rstrip("_") in ACTIVATION_NAMES:
        bound = partial(_called, function, arguments, options)
        return (Operation("activation", name, function=bound),)
    raise SiteError(f"{name} in the path is not known to act on each neuron alone")


def flatten_step(
    label: str, shape: Sequence[int], start_dim: int = 0, end_dim: int = -1
) -> Operation:
    """A flatten of maps, or of what is flat already."""
    if len(shape) == 2 and start_dim in (1, -1):
        return Operation("identity", label)
    if len(shape) == 4 and start_dim in (1, -3) and end_dim in (3, -1):
        return Operation("flatten", label)
    raise SiteError(f"{label} in the path mixes positions and neurons")


def _reshaped(name: str, shape: Sequence[int], arguments: Sequence[Any]) -> Operation:
    """A view that is a flatten: (samples, -1), with the number of samples asked of a tensor."""
    sizes = arguments[0] if len(arguments) == 1 else arguments
    if isinstance(sizes, Sequence) and len(sizes) == 2 and not isinstance(sizes[0], int):
        if sizes[1] == -1:
            return flatten_step(name, shape, 1)
        raise SiteError(f"{name} in the path fixes the number of features; use flatten(1) instead")
    if isinstance(sizes, Sequence) and len(sizes) == 2 and sizes[0] == -1:
        raise SiteError(
            f"{name} in the path fixes the number of features ({sizes[1]}); use flatten(1) instead"
        )
    raise SiteError(f"{name} in the path is not known to act on each neuron alone")


def _mean(shape: Sequence[int], dim: Any = None, keepdim: bool = False) -> tuple[Operation, ...]:
    dims = {d % len(shape) for d in ([dim] if isinstance(dim, int) else dim or [])}
    if len(shape) != 4 or dims != {2, 3}:
        raise SiteError("mean in the path is not over the rows and columns of a map")
    pooling = Operation("pooling", "mean", function=_averaged, linear=_averaged)
    return (pooling,) if keepdim else (pooling, Operation("flatten", "mean"))


def _averaged(z: Tensor) -> Tensor:
    return z.mean((2, 3), keepdim=True)


def _called(
    function: Callable[..., Tensor], arguments: Sequence[Any], options: dict[str, Any], z: Tensor
) -> Tensor:
    """The function with its constants, never in place."""
    return function(z.clone(), *arguments, **options)


def _check_map(label: str, shape: Sequence[int]) -> None:
    if len(shape) != 4:
        raise SiteError(f"{label} in the path does not read a map of shape (n, C, H, W)")


def _batch_norm(name: str, label: str, module: _BatchNorm, shape: Sequence[int]) -> Operation:
    expected = {nn.BatchNorm1d: 2, nn.BatchNorm2d: 4}.get(type(module))  # pyright: ignore
    if expected is None:
        raise SiteError(f"{label} in the path is not nn.BatchNorm1d or nn.BatchNorm2d")
    if len(shape) != expected:
        raise SiteError(f"{label} in the path normalises tokens, not neurons")
    if not (module.affine and module.track_running_stats):
        raise SiteError(f"{label} in the path has no affine parameters or no running statistics")
    return Operation("batch norm", label, module=name)


def _depthwise(name: str, label: str, module: nn.Conv2d) -> Operation:
    if not depthwise(module):
        raise SiteError(
            f"{label} in the path has {module.groups} groups for {module.in_channels} inputs and "
            f"{module.out_channels} outputs: only depthwise convolutions keep neurons apart"
        )
    check_convolution(module, f"{label} in the path")
    return Operation("depthwise", label, module=name, linear=Kernel.of(module).centre())


def depthwise(module: nn.Module) -> bool:
    """Whether a layer convolves every channel alone."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels
        and module.groups > 1
    )


def check_convolution(module: nn.Module, what: str) -> None:
    """Refuse a padding other than zeros.

    Raises:
        SiteError: if there is one.
    """
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        raise SiteError(f"{what} pads with {module.padding_mode!r}, not with zeros")


def _pooling_module(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """The linear stand-in of a pooling module, None if it is something else."""
    if isinstance(module, nn.MaxPool2d):
        options = (module.kernel_size, module.stride, module.padding, module.dilation)
        return _pooling("max_pool2d", *options, module.ceil_mode, module.return_indices)
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return _pooling("adaptive_max_pool2d", module.output_size, module.return_indices)
    if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
        return module.forward
    return None


def _pooling(name: str, *arguments: Any, **options: Any) -> Callable[[Tensor], Tensor]:
    makers: dict[str, Callable[..., Callable[[Tensor], Tensor]]] = {
        "max_pool2d": _average_for_max,
        "adaptive_max_pool2d": _adaptive_average_for_max,
    }
    if name in makers:
        return makers[name](*arguments, **options)
    return lambda z: getattr(functional, name)(z, *arguments, **options)


def _average_for_max(
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    if return_indices or dilation not in (1, (1, 1), [1, 1]):
        raise SiteError("max pooling in the path is dilated or returns indices")
    return lambda z: functional.avg_pool2d(
        z, kernel_size, stride, padding, ceil_mode, count_include_pad=False
    )


def _adaptive_average_for_max(
    output_size: Any, return_indices: bool = False
) -> Callable[[Tensor], Tensor]:
    if return_indices:
        raise SiteError("max pooling in the path returns indices")
    return lambda z: functional.adaptive_avg_pool2d(z, output_size)
