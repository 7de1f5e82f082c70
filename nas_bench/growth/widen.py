"""Widening a site in place."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_bench.growth.batches import Batch
from nas_bench.growth.layers import (
    Layer,
    applied,
    check_finite,
    columns,
    layer,
    split,
)
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.paths import repeated
from nas_bench.growth.sites import Site, evaluating


@dataclass(frozen=True)
class Replacement:
    """A parameter that growth replaced; the old entries are the leading block of the new one.

    Attributes:
        old: the parameter before.
        new: the parameter that stands for it.
        dim: along which entries were added.
        copied: of which old entries the added ones are copies, or None.
    """

    old: nn.Parameter
    new: nn.Parameter
    dim: int = 0
    copied: Tensor | None = None


@dataclass(frozen=True)
class Moments:
    """Mean and biased variance of new channels where a batch norm reads them, shape (k,)."""

    mean: Tensor
    variance: Tensor


def new_channel_moments(
    model: nn.Module,
    site: Site,
    neurons: NewNeurons,
    batches: Iterable[Batch],
    samples: int | None = None,
) -> dict[str, Moments]:
    """Moments of new channels that copy none over the statistics batch, by label of the norm.

    Args:
        model: before widening; left as it is.
        site: with a batch norm in its path.
        neurons: with their amplitude.
        batches: the data.
        samples: how many of the first samples are read; all if None.

    Raises:
        ValueError: if what the grown layer reads is not finite.
    """
    grown = layer(model, site.grown)
    own = [neurons.fan_in[which] for which, copied in neurons.sources if copied is None]
    if not own:
        return {}
    sums: dict[str, Tensor] = {}
    read: list[Tensor] = []
    handle = grown.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    try:
        with evaluating(model), torch.no_grad():
            for batch, _ in batches:
                inputs = batch if samples is None else batch[:samples]
                samples = None if samples is None else samples - len(inputs)
                model(inputs)
                x = read.pop()
                check_finite(f"what {site.grown} reads", x)
                z = applied(grown, x, own[0].to(grown.weight))
                _add_moments(model, site, z, sums)
                if samples == 0:
                    break
    finally:
        handle.remove()
    return {name: _moments(total) for name, total in sums.items()}


def widen(
    model: nn.Module, site: Site, neurons: NewNeurons, moments: dict[str, Moments] | None = None
) -> list[Replacement]:
    """Add the neurons to the model: new rows of the grown layer, new columns of the next one.

    Updates of existing weights are added in place. Copies come before neurons that copy none.

    Batch norms in the path become the identity on new channels, in eval mode: their running
    moments are the channels' own, weight = √(variance + eps) and bias = mean. A channel with zero
    fan-in therefore starts with weight √eps: slope 1 at 0, and an output that the batch norm keeps
    within √eps until its weight has grown. Copied channels copy their original's batch norm.

    Args:
        model: changed in place.
        site: that grows.
        neurons: with their final signs and amplitudes.
        moments: at each batch norm of the path, of the new channels that copy none.

    Returns:
        The replaced parameters, for the optimiser; none where only existing weights are updated.
    """
    grown, following = layer(model, site.grown), layer(model, site.next)
    with torch.no_grad():
        for of, update in ((following, neurons.weight_update), (grown, neurons.grown_update)):
            if update is not None:
                _update(of, update)
    parts = [neurons.chosen(*source) for source in neurons.sources]
    return [replaced for part in parts for replaced in _widened(model, site, part, moments)]


def _widened(
    model: nn.Module, site: Site, neurons: NewNeurons, moments: dict[str, Moments] | None
) -> list[Replacement]:
    """Add neurons of which all copy others, or none does."""
    grown, following = layer(model, site.grown), layer(model, site.next)
    replaced: list[Replacement] = []
    with torch.no_grad():
        weight, bias = split(grown, neurons.fan_in)
        copied, new = neurons.copied, len(neurons)
        if grown.bias is not None and bias is not None:
            replaced.append(_extended(grown, "bias", bias, copied=copied))
        replaced.append(_extended(grown, "weight", weight, copied=copied))
        read = columns(following, neurons.fan_out)
        flat = read.shape[1] != new  # every position of a map by itself
        sources = repeated(copied, site.taps) if flat and copied is not None else copied
        replaced.append(_extended(following, "weight", read, dim=1, copied=sources))
        for step in site.path:
            if step.kind == "flatten":
                new *= site.taps
                copied = None if copied is None else repeated(copied, site.taps)
            module = model.get_submodule(step.module or "")
            if isinstance(module, _BatchNorm):
                moments_here = (moments or {}).get(step.label)
                replaced += _widened_batch_norm(module, copied, moments_here)
            elif isinstance(module, nn.PReLU) and module.num_parameters > 1:
                replaced.append(_widened_slopes(module, new, copied))
            elif isinstance(module, nn.Conv2d):
                replaced += _widened_depthwise(module, new, copied)
    _resize(grown, following)
    return replaced


def _resize(grown: Layer, following: Layer) -> None:
    """The sizes that modules print and check."""
    if isinstance(grown, nn.Linear):
        grown.out_features = len(grown.weight)
    else:
        grown.out_channels = len(grown.weight)
    if isinstance(following, nn.Linear):
        following.in_features = following.weight.shape[1]
    else:
        following.in_channels = following.weight.shape[1]


def _extended(
    module: nn.Module, name: str, added: Tensor, dim: int = 0, copied: Tensor | None = None
) -> Replacement:
    """Append entries to a parameter of a module."""
    old = module.get_parameter(name)
    joined = torch.cat((old, added.to(old)), dim)
    if not old.is_contiguous() and old.is_contiguous(memory_format=torch.channels_last):
        joined = joined.contiguous(memory_format=torch.channels_last)
    new = nn.Parameter(joined, requires_grad=old.requires_grad)
    setattr(module, name, new)
    return Replacement(old, new, dim, copied)


def _update(of: Layer, update: Tensor) -> None:
    """Add an update to the existing weights (and, last column, to the bias)."""
    weight, bias = split(of, update)
    of.weight.add_(weight.to(of.weight))
    if of.bias is not None and bias is not None:
        of.bias.add_(bias.to(of.bias))


def _widened_batch_norm(
    norm: _BatchNorm, copied: Tensor | None, moments: Moments | None
) -> list[Replacement]:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError("a batch norm in the path of a site has running statistics")
    if copied is not None:
        new = [t[copied] for t in (mean, variance, norm.weight, norm.bias)]
    elif moments is not None:
        weight = (moments.variance + norm.eps).sqrt()
        new = [moments.mean, moments.variance, weight, moments.mean]
    else:
        raise ValueError("new channels behind a batch norm need their moments to be measured")
    norm.running_mean = torch.cat((mean, new[0].to(mean)))
    norm.running_var = torch.cat((variance, new[1].to(variance)))
    norm.num_features = len(norm.running_mean)
    return [
        _extended(norm, "weight", new[2], copied=copied),
        _extended(norm, "bias", new[3], copied=copied),
    ]


def _widened_slopes(prelu: nn.PReLU, neurons: int, copied: Tensor | None) -> Replacement:
    slopes = prelu.weight.mean().expand(neurons) if copied is None else prelu.weight[copied]
    prelu.num_parameters += neurons
    return _extended(prelu, "weight", slopes, copied=copied)


def _widened_depthwise(of: nn.Conv2d, neurons: int, copied: Tensor | None) -> list[Replacement]:
    """New channels have the kernel that is 1 in the middle and bias 0, or copies."""
    if copied is not None:
        weight = of.weight[copied]
    else:
        weight = of.weight.new_zeros(neurons, *of.weight.shape[1:])
        weight[:, 0, (of.kernel_size[0] - 1) // 2, (of.kernel_size[1] - 1) // 2] = 1.0
    replaced = [_extended(of, "weight", weight, copied=copied)]
    if of.bias is not None:
        bias = of.bias.new_zeros(neurons) if copied is None else of.bias[copied]
        replaced.append(_extended(of, "bias", bias, copied=copied))
    of.in_channels = of.out_channels = of.groups = len(of.weight)
    return replaced


def _add_moments(model: nn.Module, site: Site, z: Tensor, sums: dict[str, Tensor]) -> None:
    """Add the count, sum and sum of squares of new channels at each batch norm of the path."""
    for step in site.path:
        if step.kind == "batch norm":
            values = z.double()
            over = (0, 2, 3) if z.dim() == 4 else 0
            count = torch.full_like(values.sum(over), values.numel() / values.shape[1])
            new = torch.stack((count, values.sum(over), values.square().sum(over)))
            sums[step.label] = sums[step.label] + new if step.label in sums else new
        z = step.apply(model, z)


def _moments(total: Tensor) -> Moments:
    count, first, second = total
    mean = first / count
    return Moments(mean, (second / count - mean.square()).clamp_min(0.0))
