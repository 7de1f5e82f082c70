"""What is refused before anything is measured: where growth would go wrong without a word."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from nas_bench.growth.batches import Batch, some
from nas_bench.growth.input_grams import InputGrams
from nas_bench.growth.losses import Loss, check_mean
from nas_bench.growth.method import GrowthMethod
from nas_bench.growth.sites import Site, evaluating, randomness_kept

SAMPLES = 64
"""About as many of the minibatch, spread over it, are what model and loss are tried on."""
DIFFERENCE = 1e-3
"""Between two passes, of their size: what rounding in another order never makes."""


@runtime_checkable
class Indexed(Protocol):
    """What can be iterated over because it has elements by number."""

    def __getitem__(self, index: Any, /) -> Any:
        """The element of this number."""
        ...


_KINDS: dict[str, tuple[Any, str]] = {
    "model": (nn.Module, "an nn.Module"),
    "batches": (
        Iterable | Indexed,
        "batches of (inputs, targets), such as a list or a DataLoader",
    ),
    "loss": (Callable, "a function of (outputs, targets), such as nn.CrossEntropyLoss()"),
    "method": (GrowthMethod, "a growth method, such as Tiny()"),
    "fill": (bool, "True or False"),
    "calibrate_young": (bool, "True or False"),
    "progress": (bool, "True or False"),
    "optimizer": (Optimizer | None, "one torch.optim.Optimizer, or None"),
    "grams": (InputGrams | None, "the InputGrams of earlier growths, or None"),
    "sites": (list | tuple, "a list of sites, as find_sites(model, example) returns it"),
    "an element of sites": (Site, "a site, as find_sites(model, example) returns them"),
}
"""What the arguments of `grow` are."""


def check_kinds(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of another kind.

    Args:
        arguments: by name.

    Raises:
        TypeError: if one is not what it should be.
    """
    for name, value in arguments.items():
        kind, expected = _KINDS[name]
        if not isinstance(value, kind) or isinstance(value, type):
            raise TypeError(f"{name} is {_spelled(value)}, expected {expected}")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of the choices.

    Raises:
        ValueError: if it is none.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")


def check_numbers(neurons: Any, samples: Any, seed: Any) -> None:
    """Refuse numbers of neurons and samples, and a seed, that are none.

    Raises:
        TypeError: if one is not a whole number (or, by names of sites, whole numbers).
        ValueError: if one is too small or too large.
    """
    _check_counts("neurons", neurons if isinstance(neurons, Mapping) else {"": neurons}, 0)
    if samples is not None and not isinstance(samples, Mapping):
        raise TypeError(
            f"samples is {_spelled(samples)}, expected numbers by names of sites, such as "
            "{'0': 500}, or None"
        )
    _check_counts("samples", samples or {}, 1)
    if seed is not None:
        _check_counts("seed", {"": seed}, 0)


def _check_counts(name: str, counts: Mapping[Any, Any], least: int) -> None:
    for site, count in counts.items():
        what = f"{name} of site {site}" if site else name
        if not isinstance(count, Integral) or isinstance(count, bool):
            raise TypeError(f"{what} is {_spelled(count)}, expected a whole number")
        if not least <= int(count) < 2**63:
            raise ValueError(f"{what} is {count}, expected at least {least} and less than 2**63")


def check_names(name: str, given: Iterable[str], sites: Sequence[Site]) -> None:
    """Refuse names of sites that are none.

    Raises:
        ValueError: if there is one.
    """
    known = [site.name for site in sites]
    if unknown := sorted(str(site) for site in given if site not in known):
        raise ValueError(f"{name}: no site {', '.join(unknown)}; sites: {', '.join(known)}")


def _spelled(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}, not an instance"
    short = isinstance(value, (str, int, float)) or value is None
    return repr(value)[:80] if short else f"a {type(value).__name__}"


def check_context(model: nn.Module, optimizer: Optimizer | None) -> None:
    """Refuse a model that cannot be grown where it is used.

    Raises:
        ValueError: if it has no parameters, or some without values, is inside
            DistributedDataParallel or inference mode, or the optimiser trains none of it.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(
                f"{name} has no shape yet: pass one batch through the model before it grows"
            )
        if parameter.is_meta:
            raise ValueError(
                f"{name} is on the meta device, without values: make the model on a real one"
            )
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


def few(batch: Batch) -> Batch:
    """A few samples of a batch, spread over it."""
    return some(batch, slice(None, None, max(1, len(batch[0]) // SAMPLES)))


def check_pass(
    model: nn.Module, sites: Iterable[Site], batch: Batch, loss: Loss, batches: Iterable[Batch]
) -> None:
    """Refuse a model that is not the same twice, and a loss that is no mean over samples.

    Args:
        model: left as it is.
        sites: that are to grow.
        batch: of which a few samples are read.
        loss: of (outputs, targets).
        batches: that it comes from.

    Raises:
        ValueError: also if the model or the loss cannot read the batch.
    """
    batch, cure = few(batch), _cure(batch, batches)
    with evaluating(model), torch.no_grad(), randomness_kept(batch[0].device):
        with (
            _explained(f"the model cannot read inputs of {_described(batch[0])}", cure),
            _one_precision(model, sites),
        ):
            outputs, again = model(batch[0]), model(batch[0])
        if not alike(outputs, again, DIFFERENCE):
            raise ValueError(
                "two passes over the same samples in eval mode differ: something stays random, "
                "such as functional dropout; pass it training=self.training"
            )
        with _explained(
            f"the loss cannot be taken of outputs of {_described(outputs)} and targets of "
            f"{_described(batch[1])}",
            cure,
        ):
            check_mean(batch, loss, outputs)


def _cure(batch: Batch, batches: Iterable[Batch]) -> str:
    """What helps where a loader has made batches of batches."""
    inputs, targets = batch
    pairs = isinstance(targets, Tensor) and inputs.dim() > 2 and targets.dim() > 1
    if isinstance(batches, DataLoader) and batches.batch_size and pairs:
        return " (a DataLoader over whole batches needs batch_size=None)"
    return ""


@contextmanager
def _explained(what: str, cure: str) -> Iterator[None]:
    """Errors of the caller's own code as one sentence; ours are sentences already."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{what}: {reason}{cure}") from error


@contextmanager
def _one_precision(model: nn.Module, sites: Iterable[Site]) -> Iterator[None]:
    """Layers of the sites are of one precision, and read and write in no other inside."""
    names = dict.fromkeys(name for site in sites for name in (site.grown, site.next))
    known: dict[torch.dtype, str] = {}
    for name in names:
        known.setdefault(model.get_parameter(f"{name}.weight").dtype, f"{name}.weight")
    if len(known) > 1:
        kinds = " and ".join(f"{str(k).removeprefix('torch.')} ({n})" for k, n in known.items())
        raise ValueError(
            f"the layers that grow are {kinds}, expected one precision: use model.float() or "
            "model.double()"
        )

    def check(of: nn.Module, values: tuple[Tensor, ...], output: Tensor) -> None:
        for x in (*values, output):
            if x.dtype != next(of.parameters()).dtype:
                kind = str(x.dtype).removeprefix("torch.")
                raise ValueError(
                    f"a layer, {of}, meets {kind} and has other weights: if the model's forward "
                    "switches autocast on, put it around the training step instead"
                )

    with ExitStack() as stack:
        for name in names:
            handle = model.get_submodule(name).register_forward_hook(check)
            stack.callback(handle.remove)
        yield


def _described(values: Any) -> str:
    leaves = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    kinds = (f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}" for x in leaves)
    return ", ".join(kinds) or type(values).__name__


def alike(first: Any, second: Any, difference: float) -> bool:
    """Whether outputs of a model are the same but for a difference, relative to their size."""
    pairs = zip(tree_leaves(first), tree_leaves(second), strict=False)
    return all(_close(a, b, difference) for a, b in pairs if isinstance(a, Tensor))


def _close(a: Tensor, b: Tensor, difference: float) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    size = float(a.abs().nan_to_num(0.0, 0.0).max()) if a.numel() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=difference * size, equal_nan=True)
