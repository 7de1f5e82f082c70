"""What a task's samples and networks must be, so that its trials mean what they seem to."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset, IterableDataset

from nas_bench.growth.sites import evaluating, randomness_kept
from nas_bench.specs import said
from nas_bench.text import text_of
from nas_bench.training.streaming import Streamed
from nas_bench.training.task import Samples, Split, Task, TaskError


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left, which is no fault of a task."""
    allocation = isinstance(error, RuntimeError) and "can't allocate memory" in text_of(error)
    return allocation or isinstance(error, MemoryError | torch.OutOfMemoryError)


def loaded(task: Task, folder: Path) -> tuple[Split, Split]:
    """The training and test samples of a task; datasets become samples that are streamed.

    Raises:
        DataMissingError: if they are neither in the folder nor can be downloaded.
        TaskError: if they are not what networks can be trained and tested on.
    """
    found = task.load(folder)
    if not isinstance(found, tuple) or len(found) != 2 or not all(map(_readable, found)):
        raise TaskError(
            f"load returned {_kind(found)}, expected two Samples or map-style datasets of torch: "
            "training and test"
        )
    train, test = (p if isinstance(p, Samples) else Streamed.of(p) for p in found)
    few = [part.first(2) if isinstance(part, Streamed) else part for part in (train, test)]
    for name, samples in zip(("training", "test"), few, strict=True):
        _check_samples(name, samples)
    for name in ("inputs", "targets"):
        one, other = (_form(getattr(samples, name), "n") for samples in few)
        if one != other:
            raise TaskError(f"training and test {name} differ: {one} and {other}")
    return train, test


def check_network(task: Task, network: nn.Module, train: Split, **splits: Split) -> None:
    """Refuse a network or a loss that does not fit the samples; nothing is changed.

    Args:
        task: whose loss and metric count.
        network: on the device of the samples.
        train: of which a few go through the network.
        splits: all samples whose labels the network must know, by name.

    Raises:
        TaskError: if it does not fit.
    """
    few = train.first(2)
    with evaluating(network), torch.no_grad(), randomness_kept(few.inputs.device):
        try:
            outputs = network(few.inputs)
        except Exception as error:
            if out_of_memory(error):
                raise
            what = _form(few.inputs)
            raise TaskError(f"its network cannot read {what}: {said(error)}") from error
        if not isinstance(outputs, Tensor) or outputs.shape[:1] != few.inputs.shape[:1]:
            what = f"shape {_shape(outputs)}" if isinstance(outputs, Tensor) else _kind(outputs)
            raise TaskError(f"its network returns {what}, expected a tensor with a row per sample")
        if task.metric == "accuracy":
            _check_labels(outputs, {"training": train, **splits})
        _check_loss(task.loss.to(few.inputs.device), outputs, few.targets)


def check_widths(found: Sequence[int], asked: Sequence[int]) -> None:
    """Refuse a network whose sites are not as wide as it was asked for.

    Raises:
        TaskError: if one is wider or narrower.
    """
    if list(found) != list(asked):
        raise TaskError(f"widths {list(asked)} became sites of widths {list(found)}")


def check_last_batch(network: nn.Module, train: Split, batch_size: int) -> None:
    """Refuse batch norm in a network whose last batch of an epoch is too small for it.

    Raises:
        TaskError: if it is of one sample, and no moments can be taken of that.
    """
    normed = any(isinstance(module, _BatchNorm) for module in network.modules())
    if not normed or len(train) % batch_size != 1 % batch_size:
        return
    one = train.first(1).inputs
    try:
        with randomness_kept(one.device), torch.no_grad():
            copy.deepcopy(network).train()(one)
    except ValueError as error:
        raise TaskError(
            f"the last batch of an epoch has 1 sample ({len(train)} in batches of {batch_size}), "
            "with which batch norm cannot train: choose another recipe.batch_size"
        ) from error


def _readable(part: object) -> bool:
    """Whether these are samples, or a dataset of which each can be asked for."""
    mapped = isinstance(part, Dataset) and not isinstance(part, IterableDataset)
    return isinstance(part, Samples) or mapped


def _check_samples(name: str, samples: Samples) -> None:
    for part in ("inputs", "targets"):
        values = getattr(samples, part)
        if not isinstance(values, Tensor):
            raise TaskError(f"{name} {part} are {_kind(values)}, expected a tensor")
        if values.requires_grad:
            raise TaskError(f"{name} {part} require gradients: return them with .detach()")
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise TaskError(f"{name} {part} are not finite everywhere: look for nan and inf")
        if not values.ndim or not len(values):
            raise TaskError(f"there are no {name} {part}: a task needs samples of both kinds")
    inputs, targets = len(samples.inputs), len(samples.targets)
    if inputs != targets:
        raise TaskError(f"{inputs} {name} inputs have {targets} targets, expected as many")
    if not samples.inputs.is_floating_point():
        raise TaskError(f"{name} inputs are {samples.inputs.dtype}, expected floats: use .float()")


def _check_labels(outputs: Tensor, splits: dict[str, Split]) -> None:
    for name, samples in splits.items():
        targets = samples.targets
        if targets.ndim != 1 or targets.is_floating_point():
            raise TaskError(
                f"accuracy needs targets of integers, shape (n,), or metric = 'loss'; {name} "
                f"targets are {_form(targets)}"
            )
        if outputs.ndim != 2:
            raise TaskError(f"outputs of shape {_shape(outputs)} have no column for every class")
        low, high = int(targets.min()), int(targets.max())
        if not 0 <= low <= high < outputs.shape[1]:
            raise TaskError(
                f"{name} labels run from {low} to {high}, but outputs have {outputs.shape[1]} "
                f"columns, for 0 to {outputs.shape[1] - 1}"
            )


def _check_loss(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.filterwarnings("error", "Using a target size", UserWarning)
            once = loss(outputs, targets)
            twice = loss(torch.cat([outputs, outputs]), torch.cat([targets, targets]))
    except Exception as error:
        if out_of_memory(error):
            raise
        raise TaskError(
            f"its loss cannot compare outputs, {_form(outputs)}, with targets, {_form(targets)}: "
            f"{said(error)}"
        ) from error
    if not isinstance(once, Tensor) or once.ndim:
        what = f"of shape {_shape(once)}" if isinstance(once, Tensor) else _kind(once)
        raise TaskError(f"its loss is {what}, expected one number, the mean over samples")
    if once.isfinite() and not torch.isclose(once, twice, rtol=1e-2, atol=1e-6):
        raise TaskError("its loss grows with the number of samples: make it the mean over them")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _form(values: Tensor, count: str = "") -> str:
    """Type and shape; of other samples too with a word for how many there are."""
    shape = _shape(values)
    if count:
        shape = f"({', '.join([count, *map(str, values.shape[1:])])})"
    return f"{str(values.dtype).removeprefix('torch.')} of shape {shape}"


def _shape(values: Tensor) -> str:
    return str(tuple(values.shape))
