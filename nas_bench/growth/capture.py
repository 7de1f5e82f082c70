"""One forward and backward pass that shows what layers read and what the loss wants of them."""

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_bench.growth.rerun import Rerun
from nas_bench.growth.sites import Site, evaluating

Loss = Callable[[Tensor, Any], Tensor]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Captured:
    """One batch seen from inside the model, in eval mode.

    Attributes:
        samples: n.
        loss: mean over the samples.
        inputs: what each layer reads, by layer name, shape (n, …, features).
        outputs: pre-activities of the next layers, by layer name, shape (n, …, d).
        goals: v = −∂ℓ/∂a of the summed loss, by next layer's name; empty if not asked for.
    """

    samples: int
    loss: float
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    goals: dict[str, Tensor]

    def first(self, samples: int) -> "Captured":
        """The same of the first samples only (but the loss)."""
        if samples >= self.samples:
            return self
        maps = (self.inputs, self.outputs, self.goals)
        cut = ({name: x[:samples] for name, x in values.items()} for values in maps)
        return Captured(samples, self.loss, *cut)


class Quota:
    """How many samples of a pass each site still takes.

    Attributes:
        left: by name of the site; what is not named takes all.
    """

    def __init__(self, samples: Mapping[str, int] | None) -> None:
        self.left = dict(samples or {})

    def wanting(self, sites: Iterable[Site]) -> list[Site]:
        """The sites that take more."""
        return [site for site in sites if self.left.get(site.name, 1) > 0]

    def take(self, site: Site, offered: int) -> int:
        """How many of the samples offered the site takes."""
        taken = min(offered, self.left.get(site.name, offered))
        if site.name in self.left:
            self.left[site.name] -= taken
        return taken


def capture(
    model: nn.Module, sites: Collection[Site], batch: Batch, loss: Loss, *, goals: bool
) -> Captured:
    """What the layers of the sites read and, with goals, the goal update of their next layers.

    Args:
        model: whose mode, gradients and buffers are left as they are.
        sites: whose grown and next layers are watched.
        batch: inputs and targets.
        loss: of (outputs, targets), the mean over samples (or the sum, where its `reduction`
            attribute says so).
        goals: whether to run the backward pass.
    """
    inputs, targets = batch
    read: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}

    def reader(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            read[name] = arguments[0].detach()

        return hook

    def writer(name: str) -> Callable[..., Tensor]:
        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if goals and not output.requires_grad:
                output.requires_grad_()
            outputs[name] = output
            return output.clone()  # a later activation may work in place

        return hook

    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.set_grad_enabled(goals))
        for name in sorted({layer for s in sites for layer in (s.grown, s.next)}):
            module = model.get_submodule(name)
            stack.enter_context(_removed(module.register_forward_pre_hook(reader(name))))
        for name in sorted({s.next for s in sites}):
            module = model.get_submodule(name)
            stack.enter_context(_removed(module.register_forward_hook(writer(name))))
        value = loss(model(inputs), targets)
        gradients = torch.autograd.grad(value, list(outputs.values())) if goals else ()
    undo_mean = 1 if getattr(loss, "reduction", "mean") == "sum" else len(inputs)
    return Captured(
        samples=len(inputs),
        loss=float(value.detach()) * undo_mean / len(inputs),
        inputs=read,
        outputs={name: output.detach() for name, output in outputs.items()},
        goals={n: -undo_mean * g for n, g in zip(outputs, gradients, strict=False)},
    )


def mean_loss(
    model: nn.Module, batch: Batch, loss: Loss, layer: str, change: Tensor,
    rerun: Rerun | None = None,
) -> Tensor:  # fmt: skip
    """Mean loss in eval mode with something added to the output of a layer.

    Args:
        model: left as it is.
        batch: inputs and targets.
        loss: as in `capture`.
        layer: name of the layer.
        change: added to its output.
        rerun: of that layer, shared by several passes over the same batch.
    """
    module = model.get_submodule(layer)
    handle = module.register_forward_hook(lambda _, __, output: output + change)  # pyright: ignore
    with evaluating(model), _removed(handle), rerun or nullcontext():
        value = loss(model(batch[0]), batch[1])
    return value / len(batch[0]) if getattr(loss, "reduction", "mean") == "sum" else value


@contextmanager
def full_precision(model: nn.Module) -> Iterator[None]:
    """No autocast and no TensorFloat-32 inside, whatever the training around uses.

    Raises:
        ValueError: if the parameters themselves are of half precision.
    """
    parameter = next(model.parameters())
    if parameter.dtype in (torch.float16, torch.bfloat16):
        raise ValueError(
            f"the parameters are {str(parameter.dtype).removeprefix('torch.')}, too coarse to "
            "grow: keep them in float32 and train under torch.autocast instead"
        )
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    enabled, benchmark, deterministic = cudnn.enabled, cudnn.benchmark, cudnn.deterministic
    exact = cudnn.flags(enabled, benchmark, deterministic=deterministic, allow_tf32=False)
    try:
        with exact, torch.autocast(parameter.device.type, enabled=False):
            yield
    finally:
        matmul.allow_tf32 = before


class Passes:
    """Batches that may be read several times, and refuse to differ between passes."""

    def __init__(self, batches: Iterable[Batch], device: torch.device) -> None:
        self.batches = batches
        self.device = device
        self.known: list[tuple[int, int]] = []
        self.begun, self.whole = False, False

    def __iter__(self) -> Iterator[Batch]:
        if self.begun and iter(self.batches) is self.batches:
            raise ValueError(
                "the data can be read only once and a second pass is needed; "
                "pass a list or a DataLoader instead of an iterator"
            )
        self.begun, number = True, 0
        for number, (inputs, targets) in enumerate(self.batches, start=1):
            self._check(number - 1, (_checksum(inputs), _checksum(targets)))
            yield inputs.to(self.device), targets.to(self.device)
        if number != len(self.known):
            raise _changed()
        self.whole = True

    def _check(self, number: int, sums: tuple[int, int]) -> None:
        """Compare a batch with that of earlier passes, which may have ended before it."""
        if number == len(self.known) and not self.whole:
            self.known.append(sums)
        elif number >= len(self.known) or self.known[number] != sums:
            raise _changed()


def _changed() -> ValueError:
    return ValueError(
        "the data changed between two passes; statistics need the same samples in the "
        "same order: switch off shuffling and random augmentation"
    )


def _checksum(values: Tensor) -> int:
    """CRC-32 of the bytes: any change of a value or of the order changes it."""
    flat = values.detach().cpu().contiguous().reshape(-1)
    return zlib.crc32(flat.view(torch.uint8).numpy().data)


class _removed:  # noqa: N801  (reads as a word in `with`)
    """A hook that is removed on leaving."""

    def __init__(self, handle: torch.utils.hooks.RemovableHandle) -> None:
        self.handle = handle

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.handle.remove()
