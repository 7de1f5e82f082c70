"""The path of a site: what happens between the grown layer and the next one, per channel."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


class UnitSlopeReLU(nn.Module):
    """max(x, 0) whose derivative at 0 is 1, so that neurons with zero fan-in can learn."""

    def forward(self, x: Tensor) -> Tensor:
        """See the base class."""
        return torch.where(x < 0, 0.0, x)


class UnitSlopeReLU6(nn.Module):
    """min(max(x, 0), 6) whose derivative at 0 is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """See the base class."""
        return torch.where(x < 0, 0.0, x).clamp_max(6.0)


class _FromTheRight(nn.Module):
    """An activation that is the identity above 0, and whose derivative at 0 is 1 as well."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (as torch names it)
        """See the base class."""
        return torch.where(input < 0, super().forward(input), input)


class UnitSlopeLeakyReLU(_FromTheRight, nn.LeakyReLU):
    """LeakyReLU whose derivative at 0 is that of its right side, 1."""


class UnitSlopePReLU(_FromTheRight, nn.PReLU):
    """PReLU whose derivative at 0 is that of its right side, 1."""


class UnitSlopeELU(_FromTheRight, nn.ELU):
    """ELU whose derivative at 0 is that of its right side, 1."""


UNIT_SLOPE: dict[type[nn.Module], type[nn.Module]] = {
    nn.ReLU: UnitSlopeReLU,
    nn.ReLU6: UnitSlopeReLU6,
    nn.LeakyReLU: UnitSlopeLeakyReLU,
    nn.PReLU: UnitSlopePReLU,
    nn.ELU: UnitSlopeELU,
}
"""The same functions with derivative 1 at 0, where autograd takes the left one."""
ACTIVATION_MODULES = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh,
    nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.SELU,
    nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
    nn.Threshold, UnitSlopeReLU, UnitSlopeReLU6,
)  # fmt: skip
ACTIVATION_NAMES = frozenset(
    {
        "celu", "clamp", "clamp_max", "clamp_min", "elu", "gelu", "hardshrink", "hardsigmoid",
        "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu", "relu6", "selu",
        "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    }
)  # fmt: skip
"""Functions in torch and torch.nn.functional and methods of tensors, without underscores."""
IDENTITY_MODULES = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity,
)  # fmt: skip
IDENTITY_NAMES = frozenset(
    {"dropout", "dropout1d", "dropout2d", "alpha_dropout", "feature_alpha_dropout", "contiguous"}
)


Kind = Literal["activation", "batch norm", "identity", "pooling", "depthwise", "flatten"]


@dataclass(frozen=True)
class Operation:
    """One operation of a path.

    Attributes:
        kind: what it is to a channel; identities are what eval mode switches off.
        label: for messages.
        module: qualified name of the module that does it, or None for a function.
        function: what it does where no module does it.
        linear: of pooling and depthwise convolutions, what they do to a new channel, linearly:
            a window's average stands for its maximum, and a depthwise convolution moves a new
            channel by the tap in the middle of its kernel.
    """

    kind: Kind
    label: str
    module: str | None = None
    function: Callable[[Tensor], Tensor] | None = None
    linear: Callable[[Tensor], Tensor] | None = None

    def apply(self, model: nn.Module, z: Tensor, copied: Tensor | None = None) -> Tensor:
        """What becomes of new channels z; those that copy others share their parameters."""
        if self.kind == "identity":
            return z
        if self.kind == "flatten":
            return z.flatten(1)
        if self.kind == "batch norm":
            return z if copied is None else _normalised(_norm(model, self), z, copied)
        if self.kind == "depthwise":
            return self.moved(z) if copied is None else _convolved(model, self, z, copied)
        return self.activate(model, z, copied)

    def activate(self, model: nn.Module, z: Tensor, copied: Tensor | None = None) -> Tensor:
        """The activation (or pooling) of new channels z, shape (…, k) or (n, k, H, W)."""
        if self.module is None:
            return self.function(z) if self.function else z
        module = model.get_submodule(self.module)
        if isinstance(module, nn.PReLU):
            slopes = module.weight
            of_copies = copied is not None and len(slopes) > 1
            own = by_channel(slopes[copied], z) if of_copies else slopes.mean()
            left = z < 0 if isinstance(module, UnitSlopePReLU) else z <= 0
            return torch.where(left, z * own, z)
        return module(z.clone() if getattr(module, "inplace", False) else z)

    def moved(self, z: Tensor) -> Tensor:
        """The linear operation that stands for pooling or a depthwise convolution."""
        return self.linear(z) if self.linear else z

    def linearised(self, model: nn.Module, z: Tensor) -> Tensor:
        """The activation replaced by its one-sided slopes at 0: s₊ z⁺ − s₋ z⁻."""
        above, below = self.slopes(model, z)
        return above * z.clamp_min(0.0) - below * (-z).clamp_min(0.0)

    def slopes(self, model: nn.Module, like: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives right and left of 0, in the dtype and on the device of `like`."""
        h = torch.tensor([1e-9, -1e-9], dtype=torch.float64)
        z = h.to(like).requires_grad_()
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(self.activate(model, z).sum(), z)
        return slopes[0], slopes[1]


def follow(
    model: nn.Module, path: Iterable[Operation], z: Tensor, copied: Tensor | None = None
) -> Tensor:
    """What the next layer reads of new channels with pre-activities z, in eval mode.

    Batch norm is the identity on new channels (their running moments are made so when they are
    added), and a depthwise convolution has the kernel that is 1 in the middle, except on copies,
    which share the parameters of the channel they copy.

    Args:
        model: that the site is part of.
        path: the steps of the site.
        z: pre-activities, shape (…, k), or (n, k, H, W) of a convolution.
        copied: the existing channel that each new one copies, shape (k,), or None.

    Returns:
        Shape (…, k), (n, k, H', W'), or (n, k · H' · W') behind a flatten.
    """
    for step in path:
        if step.kind == "flatten" and copied is not None:
            copied = repeated(copied, z[0, 0].numel())
        z = step.apply(model, z, copied)
    return z


def follow_linearised(model: nn.Module, path: Iterable[Operation], z: Tensor) -> Tensor:
    """`follow` with each activation replaced by its one-sided slopes at 0 (path′)."""
    for step in path:
        z = step.linearised(model, z) if step.kind == "activation" else step.apply(model, z)
    return z


def follow_linear(path: Iterable[Operation], z: Tensor) -> Tensor:
    """`follow` with activations as the identity and a window's average for its maximum."""
    for step in path:
        z = z.flatten(1) if step.kind == "flatten" else step.moved(z)
    return z


def tangent(function: Callable[[Tensor], Tensor], at: Tensor, by: Tensor) -> Tensor:
    """By how much a function changes, to first order: the gradient of its gradient's product."""
    with torch.enable_grad():
        z = at.detach().requires_grad_()
        value = function(z)
        wanted = torch.zeros_like(value, requires_grad=True)
        (gradient,) = torch.autograd.grad(value, z, wanted, create_graph=True)
        (change,) = torch.autograd.grad(gradient, wanted, by.detach())
    return change


def curvature(model: nn.Module, path: Iterable[Operation], z: Tensor, sharpness: float) -> Tensor:
    """Second derivatives of `elementwise` steps at the pre-activities of the existing neurons.

    A kink at 0, as ReLU has one, counts as that of the softplus log(1 + e^{βz})/β.

    Args:
        model: that the site is part of.
        path: batch norms and activations.
        z: shape (…, width), or (n, width, H, W) of a convolution.
        sharpness: β.

    Returns:
        Shape of z.
    """
    channels = torch.arange(z.shape[1 if z.dim() == 4 else -1], device=z.device)
    first, second = torch.ones_like(z), torch.zeros_like(z)
    for step in path:

        def apply(x: Tensor, step: Operation = step) -> Tensor:
            return step.apply(model, x, channels)

        slope, bend = _derivatives(apply, z)
        if step.kind == "activation":
            beside = torch.full_like(z[:1], 1e-9)
            kink = _derivatives(apply, beside)[0] - _derivatives(apply, -beside)[0]
            share = torch.sigmoid(sharpness * z)
            bend = bend + kink * sharpness * share * (1 - share)
        second = bend * first.square() + slope * second
        first, z = first * slope, apply(z).detach()
    return second


def _derivatives(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivatives of a function of each entry alone."""
    with torch.enable_grad():
        x = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        bend = None
        if slope.requires_grad:
            (bend,) = torch.autograd.grad(slope.sum(), x, allow_unused=True)
    return slope.detach(), torch.zeros_like(z) if bend is None else bend


def elementwise(path: Iterable[Operation]) -> tuple[Operation, ...]:
    """The steps that come before anything that moves or mixes the positions of a map."""
    spatial = ("pooling", "depthwise", "flatten")
    return tuple(takewhile(lambda step: step.kind not in spatial, path))


def autograd_slope(model: nn.Module, path: Iterable[Operation], like: Tensor) -> float:
    """What autograd takes for the derivative of the path's activations at exactly 0."""
    z = torch.zeros(1, dtype=like.dtype, device=like.device, requires_grad=True)
    activations = [step for step in path if step.kind == "activation"]
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(follow(model, activations, z).sum(), z)
    return float(slope)


def steepest_slope(model: nn.Module, path: Iterable[Operation], like: Tensor) -> float:
    """The larger size of the derivatives of the path's activations right and left of 0."""
    z = torch.tensor([1e-9, -1e-9], dtype=torch.float64).to(like).requires_grad_()
    activations = [step for step in path if step.kind == "activation"]
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(follow(model, activations, z).sum(), z)
    return float(slopes.abs().max())


def by_channel(values: Tensor, z: Tensor) -> Tensor:
    """One value for each channel, shaped to meet z, shape (n, k, H, W) or (…, k)."""
    return values[:, None, None] if z.dim() == 4 else values


def repeated(channels: Tensor, times: int) -> Tensor:
    """The features that channels have become by a flatten, so many each."""
    return (channels[:, None] * times + torch.arange(times, device=channels.device)).flatten()


def _norm(model: nn.Module, step: Operation) -> _BatchNorm:
    norm = model.get_submodule(step.module or "")
    if not isinstance(norm, _BatchNorm):
        raise TypeError(f"expected a batch norm in the path, got {type(norm).__name__}")
    return norm


def _normalised(norm: _BatchNorm, z: Tensor, channels: Tensor) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError("a batch norm in the path of a site has running statistics")
    scale = norm.weight[channels] / (variance[channels] + norm.eps).sqrt()
    centred = z - by_channel(mean[channels], z)
    return centred * by_channel(scale, z) + by_channel(norm.bias[channels], z)


def _convolved(model: nn.Module, step: Operation, z: Tensor, channels: Tensor) -> Tensor:
    of = model.get_submodule(step.module or "")
    if not isinstance(of, nn.Conv2d):
        raise TypeError(f"expected a depthwise convolution, got {type(of).__name__}")
    bias = None if of.bias is None else of.bias[channels]
    stride, padding, dilation = of.stride, of.padding, of.dilation
    weight = of.weight[channels]
    return functional.conv2d(
        z,
        weight,
        bias,
        stride,
        padding,
        dilation,
        groups=len(weight),  # pyright: ignore
    )
