"""Widening a site in place."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_bench.growth.capture import Batch
from nas_bench.growth.linalg import affine
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.sites import Site, evaluating, linear


@dataclass(frozen=True)
class Replacement:
    """A parameter that growth replaced; the old entries are the leading block of the new one."""

    old: nn.Parameter
    new: nn.Parameter


@dataclass(frozen=True)
class Moments:
    """Mean and biased variance of new channels where a batch norm reads them, shape (k,)."""

    mean: Tensor
    variance: Tensor


def new_channel_moments(
    model: nn.Module, site: Site, neurons: NewNeurons, batches: Iterable[Batch]
) -> dict[str, Moments]:
    """Moments of the new channels over the statistics batch, by label of the batch norm.

    Args:
        model: before widening; left as it is.
        site: with a batch norm in its path.
        neurons: with their amplitude.
        batches: the data.
    """
    layer = linear(model, site.grown)
    sums: dict[str, Tensor] = {}
    read: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    try:
        with evaluating(model), torch.no_grad():
            for inputs, _ in batches:
                model(inputs)
                _add_moments(model, site, read.pop(), neurons.fan_in, sums)
    finally:
        handle.remove()
    return {name: _moments(total) for name, total in sums.items()}


def widen(
    model: nn.Module, site: Site, neurons: NewNeurons, moments: dict[str, Moments] | None = None
) -> list[Replacement]:
    """Add the neurons to the model: new rows of the grown layer, new columns of the next one.

    Batch norms in the path become the identity on new channels, in eval mode: their running
    moments are the channels' own, weight = √(variance + eps) and bias = mean. A channel with zero
    fan-in therefore starts with weight √eps: slope 1 at 0, and an output that the batch norm keeps
    within √eps until its weight has grown. Copied channels copy their original's batch norm.

    Args:
        model: changed in place.
        site: that grows.
        neurons: with their final signs and amplitudes.
        moments: of the new channels at each batch norm of the path.

    Returns:
        The replaced parameters, for the optimiser.
    """
    grown, following = linear(model, site.grown), linear(model, site.next)
    replaced: list[Replacement] = []
    with torch.no_grad():
        fan_in = neurons.fan_in
        if grown.bias is not None:
            replaced.append(_extended(grown, "bias", fan_in[:, -1]))
            fan_in = fan_in[:, :-1]
        replaced.append(_extended(grown, "weight", fan_in))
        if neurons.weight_update is not None:
            _update(following, neurons.weight_update)
        replaced.append(_extended(following, "weight", neurons.fan_out.flatten(1).T, dim=1))
        for step in site.path:
            module = model.get_submodule(step.module or "")
            if isinstance(module, nn.BatchNorm1d):
                replaced += _widened_batch_norm(module, neurons, (moments or {}).get(step.label))
            elif isinstance(module, nn.PReLU) and module.num_parameters > 1:
                replaced.append(_widened_slopes(module, neurons))
    grown.out_features, following.in_features = len(grown.weight), following.weight.shape[1]
    return replaced


def _extended(module: nn.Module, name: str, added: Tensor, dim: int = 0) -> Replacement:
    """Append entries to a parameter of a module."""
    old = module.get_parameter(name)
    joined = torch.cat((old, added.to(old)), dim)
    new = nn.Parameter(joined, requires_grad=old.requires_grad)
    setattr(module, name, new)
    return Replacement(old, new)


def _update(layer: nn.Linear, update: Tensor) -> None:
    """Add δW* to the existing weights (and, last column, to the bias)."""
    if layer.bias is not None:
        layer.bias.add_(update[:, -1].to(layer.bias))
        update = update[:, :-1]
    layer.weight.add_(update.to(layer.weight))


def _widened_batch_norm(
    norm: nn.BatchNorm1d, neurons: NewNeurons, moments: Moments | None
) -> list[Replacement]:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError("a batch norm in the path of a site has running statistics")
    if neurons.copied is not None:
        new = [t[neurons.copied] for t in (mean, variance, norm.weight, norm.bias)]
    elif moments is not None:
        weight = (moments.variance + norm.eps).sqrt()
        new = [moments.mean, moments.variance, weight, moments.mean]
    else:
        raise ValueError("new channels behind a batch norm need their moments to be measured")
    norm.running_mean = torch.cat((mean, new[0].to(mean)))
    norm.running_var = torch.cat((variance, new[1].to(variance)))
    norm.num_features = len(norm.running_mean)
    return [_extended(norm, "weight", new[2]), _extended(norm, "bias", new[3])]


def _widened_slopes(prelu: nn.PReLU, neurons: NewNeurons) -> Replacement:
    if neurons.copied is not None:
        slopes = prelu.weight[neurons.copied]
    else:
        slopes = prelu.weight.mean().expand(len(neurons))
    prelu.num_parameters += len(neurons)
    return _extended(prelu, "weight", slopes)


def _add_moments(
    model: nn.Module, site: Site, x: Tensor, fan_in: Tensor, sums: dict[str, Tensor]
) -> None:
    """Add the count, sum and sum of squares of new channels at each batch norm of the path."""
    z = affine(x.double(), fan_in.double())
    for step in site.path:
        if step.kind == "activation":
            z = step.activate(model, z)
        elif step.kind == "batch norm":
            new = torch.stack((torch.ones_like(z), z, z.square())).sum(1)
            sums[step.label] = sums[step.label] + new if step.label in sums else new


def _moments(total: Tensor) -> Moments:
    count, first, second = total
    mean = first / count
    return Moments(mean, (second / count - mean.square()).clamp_min(0.0))
