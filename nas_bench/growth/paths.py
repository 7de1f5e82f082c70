"""The path of a site: what happens between the grown layer and the next one, per channel."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


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


UNIT_SLOPE = {nn.ReLU: UnitSlopeReLU, nn.ReLU6: UnitSlopeReLU6}
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
IDENTITY_MODULES = (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)
IDENTITY_NAMES = frozenset({"dropout", "alpha_dropout", "contiguous"})


@dataclass(frozen=True)
class Operation:
    """One operation of a path.

    Attributes:
        kind: what it is to a channel; identities are what eval mode switches off.
        label: for messages.
        module: qualified name of the module that does it, or None for a function.
        function: what it does where no module does it.
    """

    kind: Literal["activation", "batch norm", "identity"]
    label: str
    module: str | None = None
    function: Callable[[Tensor], Tensor] | None = None

    def activate(self, model: nn.Module, z: Tensor, copied: Tensor | None = None) -> Tensor:
        """The activation of new channels z, shape (…, k)."""
        if self.module is None:
            return self.function(z) if self.function else z
        module = model.get_submodule(self.module)
        if isinstance(module, nn.PReLU):
            slopes = module.weight
            of_copies = copied is not None and len(slopes) > 1
            return torch.where(z > 0, z, z * (slopes[copied] if of_copies else slopes.mean()))
        return module(z.clone() if getattr(module, "inplace", False) else z)

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
    added), except on copies, which share the batch norm of the channel they copy.

    Args:
        model: that the site is part of.
        path: the steps of the site.
        z: pre-activities, shape (…, k).
        copied: the existing channel that each new one copies, shape (k,), or None.

    Returns:
        Shape (…, k).
    """
    for step in path:
        if step.kind == "activation":
            z = step.activate(model, z, copied)
        elif step.kind == "batch norm" and copied is not None:
            z = _normalised(model.get_submodule(step.module or ""), z, copied)
    return z


def follow_linearised(model: nn.Module, path: Iterable[Operation], z: Tensor) -> Tensor:
    """`follow` with each activation replaced by its one-sided slopes at 0 (path′)."""
    for step in path:
        if step.kind == "activation":
            z = step.linearised(model, z)
    return z


def autograd_slope(model: nn.Module, path: Iterable[Operation], like: Tensor) -> float:
    """What autograd takes for the derivative of the path at exactly 0."""
    z = torch.zeros(1, dtype=like.dtype, device=like.device, requires_grad=True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(follow(model, path, z).sum(), z)
    return float(slope)


def _normalised(norm: nn.Module, z: Tensor, channels: Tensor) -> Tensor:
    if not isinstance(norm, nn.BatchNorm1d):
        raise TypeError(f"expected a batch norm in the path, got {type(norm).__name__}")
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError("a batch norm in the path of a site has running statistics")
    scale = norm.weight[channels] / (variance[channels] + norm.eps).sqrt()
    return (z - mean[channels]) * scale + norm.bias[channels]
