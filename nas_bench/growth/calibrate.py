"""Running statistics of batch norms that have not seen enough batches yet."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_bench.growth.batches import Batch
from nas_bench.growth.layers import NotFiniteError
from nas_bench.growth.sites import evaluating


def uncalibrated(model: nn.Module, *, young: bool = False) -> list[_BatchNorm]:
    """The batch norms whose running mean is still 0 and variance 1.

    Args:
        model: that they are part of.
        young: whether also those that count fewer than 1/momentum batches. Trained ones may say
            so, too: state dicts of version 1 have no count.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    return [m for m in norms if _fresh(m) or (young and _young(m))]


def _fresh(norm: _BatchNorm) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    return (
        mean is not None
        and variance is not None
        and not mean.any()
        and bool((variance == 1).all())
    )


def _young(norm: _BatchNorm) -> bool:
    seen = norm.num_batches_tracked
    momentum = 1.0 if norm.momentum is None else norm.momentum
    return seen is not None and int(seen) * momentum < 1


def calibrate(model: nn.Module, norms: Iterable[_BatchNorm], batches: Iterable[Batch]) -> None:
    """Replace the running statistics of these batch norms by averages over the batches.

    Only the batch norms run in training mode, and how many batches they have tracked is kept. A
    batch of one sample, which has no variance, is left out.

    Args:
        model: that they are part of.
        norms: to calibrate.
        batches: the statistics batch.

    Raises:
        ValueError: if every batch has only one sample, or the data is not finite; the statistics
            are then left as they are.
    """
    norms, used = list(norms), 0
    before = [(n.running_mean, n.running_var) for n in norms]
    before = [tuple(t.clone() for t in pair if t is not None) for pair in before]
    with evaluating(model), torch.no_grad(), _averaging(norms):
        for inputs, _ in batches:
            if len(inputs) > 1:
                model(inputs)
                used += 1
    if error := _failure(norms, used):
        for norm, (mean, variance) in zip(norms, before, strict=True):
            norm.running_mean, norm.running_var = mean, variance
        raise error


def _failure(norms: list[_BatchNorm], used: int) -> ValueError | None:
    """What is wrong with statistics over so many batches, or None."""
    if norms and not used:
        return ValueError(
            "batch norms that have seen too few batches cannot be calibrated on batches of one "
            "sample: grow from larger batches"
        )
    if all(n.running_var is None or n.running_var.isfinite().all() for n in norms):
        return None
    return NotFiniteError("what a batch norm reads is nan or inf: look for it in the data")


@contextmanager
def _averaging(norms: list[_BatchNorm]) -> Iterator[None]:
    kept = [(norm, norm.momentum, int(norm.num_batches_tracked or 0)) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum, tracked in kept:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.fill_(tracked)
