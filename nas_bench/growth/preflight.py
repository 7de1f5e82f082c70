"""What is refused before anything is measured: where growth would go wrong without a word."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from nas_bench.growth.batches import Batch, some
from nas_bench.growth.losses import Loss, check_mean
from nas_bench.growth.sites import Site, evaluating, randomness_kept

SAMPLES = 64
"""About as many of the minibatch, spread over it, are what model and loss are tried on."""
DIFFERENCE = 1e-3
"""Between two passes, of their size: what rounding in another order never makes."""


def check_context(model: nn.Module, optimizer: Optimizer | None) -> None:
    """Refuse a model that cannot be grown where it is used.

    Raises:
        ValueError: if it has no parameters, is inside DistributedDataParallel or inference mode,
            or the optimiser trains none of it.
    """
    own = {id(parameter) for parameter in model.parameters()}
    if not own:
        raise ValueError(f"{type(model).__name__} has no parameters: there is nothing to grow")
    if torch.is_inference_mode_enabled() or any(p.is_inference() for p in model.parameters()):
        raise ValueError(
            "growing needs gradients, which torch.inference_mode rules out: build and grow the "
            "model outside of it (torch.no_grad does no harm)"
        )
    if optimizer is not None:
        groups = optimizer.param_groups
        if not own & {id(parameter) for group in groups for parameter in group["params"]}:
            raise ValueError(
                f"the optimiser, {type(optimizer).__name__}, trains no parameter of this "
                "model: pass the one that was built from model.parameters()"
            )
    if any(model in wrapper.modules() for wrapper in _wrappers()):
        raise ValueError(
            "the model is inside DistributedDataParallel, which would not reduce the gradients "
            "of new parameters: grow it before it is wrapped, and wrap it anew after each growth"
        )


def _wrappers() -> list[DistributedDataParallel]:
    """Those there are; only looked for where processes work together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return []
    return [x for x in gc.get_objects() if issubclass(type(x), DistributedDataParallel)]


def check_pass(model: nn.Module, sites: Iterable[Site], batch: Batch, loss: Loss) -> None:
    """Refuse a model that is not the same twice, and a loss that is no mean over samples.

    Args:
        model: left as it is.
        sites: that are to grow.
        batch: of which a few samples are read.
        loss: of (outputs, targets).

    Raises:
        ValueError: also if the model or the loss cannot read the batch.
    """
    batch = some(batch, slice(None, None, max(1, len(batch[0]) // SAMPLES)))
    with evaluating(model), torch.no_grad(), randomness_kept(batch[0].device):
        with (
            _explained(f"the model cannot read inputs of {_described(batch[0])}"),
            _one_precision(model, sites),
        ):
            outputs, again = model(batch[0]), model(batch[0])
        if not _same(outputs, again):
            raise ValueError(
                "two passes over the same samples in eval mode differ: something stays random, "
                "such as functional dropout; pass it training=self.training"
            )
        with _explained(
            f"the loss cannot be taken of outputs of {_described(outputs)} and targets of "
            f"{_described(batch[1])}"
        ):
            check_mean(batch, loss, outputs)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of the caller's own code as one sentence; ours are sentences already."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{what}: {reason} (a DataLoader over whole batches needs batch_size=None)"
        ) from error


@contextmanager
def _one_precision(model: nn.Module, sites: Iterable[Site]) -> Iterator[None]:
    """Layers of the sites refuse to read or write in another precision than their weights'."""

    def check(of: nn.Module, values: tuple[Tensor, ...], output: Tensor) -> None:
        for x in (*values, output):
            if x.dtype != next(of.parameters()).dtype:
                kind = str(x.dtype).removeprefix("torch.")
                raise ValueError(
                    f"a layer, {of}, meets {kind} and has other weights: if the model's forward "
                    "switches autocast on, put it around the training step instead"
                )

    with ExitStack() as stack:
        for name in {name for site in sites for name in (site.grown, site.next)}:
            handle = model.get_submodule(name).register_forward_hook(check)
            stack.callback(handle.remove)
        yield


def _described(values: Any) -> str:
    leaves = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    kinds = (f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}" for x in leaves)
    return ", ".join(kinds) or type(values).__name__


def _same(first: Any, second: Any) -> bool:
    pairs = zip(tree_leaves(first), tree_leaves(second), strict=False)
    return all(_close(a, b) for a, b in pairs if isinstance(a, Tensor))


def _close(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    size = float(a.abs().nan_to_num(0.0, 0.0).max()) if a.numel() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=DIFFERENCE * size, equal_nan=True)
