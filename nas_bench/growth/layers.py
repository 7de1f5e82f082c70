"""The layers whose widths grow, `nn.Linear` and `nn.Conv2d`, as matrices."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = nn.Linear | nn.Conv2d


class SiteError(ValueError):
    """A layer that cannot grow, or not by the method asked for; the message says why."""


class NotFiniteError(ValueError):
    """A nan or inf where growth looks: of bad data, or of a network that has diverged."""


def layer(model: nn.Module, name: str) -> Layer:
    """The layer of this name.

    Raises:
        SiteError: if it is of another kind.
    """
    module = model.get_submodule(name)
    if not isinstance(module, (nn.Linear, nn.Conv2d)):
        raise SiteError(
            f"{name} is a {type(module).__name__}: only nn.Linear and nn.Conv2d can grow"
        )
    return module


def check_finite(what: str, x: Tensor) -> None:
    """Refuse nan and inf.

    Raises:
        NotFiniteError: if there are any.
    """
    if x.isfinite().all():
        return
    bad = (~x.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
    raise NotFiniteError(
        f"{what} is nan or inf in {len(bad)} of {len(x)} samples (the first is number {bad[0]}, "
        "from 0): look for them in the data, or for weights that have diverged"
    )


def inputs(of: Layer) -> int:
    """p, what each neuron of a layer reads, with the constant 1 of its bias."""
    return of.weight[0].numel() + (of.bias is not None)


def matrix(of: Layer) -> Tensor:
    """A layer's weight as rows of float64 with the bias last, shape (outputs, p)."""
    weight = of.weight.detach().flatten(1)
    columns = weight if of.bias is None else torch.cat((weight, of.bias.detach()[:, None]), 1)
    return columns.double()


def split(of: Layer, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Rows like those of `matrix` as weight and bias in the layer's own shapes.

    Args:
        of: the layer.
        rows: shape (k, features), or (k, features + 1) where the last column is a bias.
    """
    features = of.weight[0].numel()
    weight = rows[:, :features].reshape(-1, *of.weight.shape[1:])
    return weight, rows[:, features] if rows.shape[1] > features else None


def applied(of: Layer, x: Tensor, rows: Tensor) -> Tensor:
    """What the layer would compute from x if these rows were its weights.

    Args:
        of: gives stride, padding and dilation.
        x: what the layer reads, shape (n, …, features) or (n, C, H, W).
        rows: as in `split`.

    Returns:
        Shape (n, …, k) or (n, k, H', W').
    """
    return with_weight(of, x, *split(of, rows))


def with_weight(of: Layer, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What the layer computes from x with another weight and bias, of its own shapes."""
    if isinstance(of, nn.Linear):
        return functional.linear(x, weight, bias)
    padding = cast("tuple[int, int]", of.padding)
    return functional.conv2d(x, weight, bias, of.stride, padding, of.dilation)


def columns(of: Layer, fan_out: Tensor) -> Tensor:
    """Fan-out weights, shape (k, taps, d), as new input columns of the next layer's weight."""
    blocks = fan_out.permute(2, 0, 1)
    if isinstance(of, nn.Linear):
        return blocks.flatten(1)
    return blocks.reshape(*blocks.shape[:2], *of.kernel_size)
