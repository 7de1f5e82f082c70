"""Running statistics of batch norms that have not seen enough batches yet."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_bench.growth.capture import Batch
from nas_bench.growth.sites import evaluating


def uncalibrated(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms that have seen fewer than 1/momentum batches."""

    def fresh(norm: _BatchNorm) -> bool:
        seen = norm.num_batches_tracked
        return seen is not None and norm.momentum is not None and int(seen) * norm.momentum < 1

    return [m for m in model.modules() if isinstance(m, _BatchNorm) and fresh(m)]


def calibrate(model: nn.Module, norms: Iterable[_BatchNorm], batches: Iterable[Batch]) -> None:
    """Replace the running statistics of these batch norms by averages over the batches.

    Only the batch norms run in training mode, and how many batches they have tracked is kept. A
    batch of one sample, which has no variance, is left out.

    Args:
        model: that they are part of.
        norms: to calibrate.
        batches: the statistics batch.
    """
    with evaluating(model), torch.no_grad(), _averaging(list(norms)):
        for inputs, _ in batches:
            if len(inputs) > 1:
                model(inputs)


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
