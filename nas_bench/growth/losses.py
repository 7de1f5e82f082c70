"""What a loss is the mean of: how much the samples of a batch weigh in it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nas_bench.growth.batches import Batch, some

Loss = Callable[[Any, Any], Tensor]
PRECISION = 1e-4
"""Of the mean over samples, relative: means of single precision agree to 1e-6."""


def batch_weight(loss: Loss, batch: Batch) -> float:
    """W, by which the mean loss of a batch is multiplied to be the sum over its samples.

    The number of samples n, but of `nn.CrossEntropyLoss` and `nn.NLLLoss` with class weights or
    ignored targets, which divide by the weights of the targets: n times their mean.

    Args:
        loss: of (outputs, targets).
        batch: inputs and targets.
    """
    inputs, targets = batch
    if not isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) or targets.is_floating_point():
        return len(inputs)
    counted = targets != loss.ignore_index
    weights = counted.double()
    if loss.weight is not None:
        weights *= loss.weight.double()[torch.where(counted, targets, 0).long()]
    return len(inputs) * float(weights.mean())


def mean_over(batch: Batch, loss: Loss, outputs: Any) -> Tensor:
    """The mean loss of a batch, given the outputs, also where the loss is the sum.

    Args:
        batch: inputs and targets.
        loss: of (outputs, targets), the mean over samples, or the sum where its `reduction`
            attribute says so.
        outputs: of the model.

    Raises:
        ValueError: if the loss is not a single number.
    """
    value = loss(outputs, batch[1])
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"the loss is {what}, expected one number, the mean over samples: "
            'use reduction="mean" instead of "none"'
        )
    summed = getattr(loss, "reduction", "mean") == "sum"
    return value / batch_weight(loss, batch) if summed else value


def check_mean(batch: Batch, loss: Loss, outputs: Any) -> None:
    """Refuse a loss that is no mean over samples, by the losses of two parts of a batch.

    Args:
        batch: inputs and targets.
        loss: of (outputs, targets).
        outputs: of the model, samples first; of one that returns no tensors nothing is known.

    Raises:
        ValueError: if the parts do not give the whole.
    """
    n = len(batch[0])
    value = mean_over(batch, loss, outputs)
    if n < 2 or not isinstance(outputs, Tensor) or outputs.shape[:1] != (n,):
        return
    third = max(1, n // 3)
    pairs = [(some(batch, s), outputs[s]) for s in (slice(third), slice(third, None))]
    weights = [batch_weight(loss, part) for part, _ in pairs]
    means = [
        float(mean_over(part, loss, seen)) if weight else 0.0
        for (part, seen), weight in zip(pairs, weights, strict=True)
    ]
    whole, total = float(value), sum(w * mean for w, mean in zip(weights, means, strict=True))
    mean = total / (sum(weights) or 1.0)
    rounding = max(PRECISION, 16 * torch.finfo(value.dtype).eps)
    if abs(whole - mean) > rounding * max(map(abs, (whole, *means))):
        raise ValueError(
            f"the loss of {n} samples is {whole:.6g} and its parts have {mean:.6g} on average: "
            'expected the mean over samples (or the sum, by a loss with reduction = "sum"); '
            "weights of classes belong into nn.CrossEntropyLoss(weight=…)"
        )
