"""One forward and backward pass that shows what layers read and what the loss wants of them."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_bench.growth.batches import Batch
from nas_bench.growth.layers import NotFiniteError, check_finite
from nas_bench.growth.losses import Loss, batch_weight, mean_over
from nas_bench.growth.rerun import Rerun
from nas_bench.growth.sites import Site, evaluating

FULL = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Captured:
    """One batch seen from inside the model, in eval mode.

    Attributes:
        samples: n.
        weight: W, how much they weigh in the loss: n, but for weighted means.
        loss: mean over the samples.
        inputs: what each layer reads, by layer name, shape (n, …, features).
        outputs: pre-activities of the next layers, by layer name, shape (n, …, d).
        goals: v = −∂ℓ/∂a of the summed loss, by next layer's name; empty if not asked for.
    """

    samples: int
    weight: float
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
        return Captured(samples, self.weight, self.loss, *cut)


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
    model: nn.Module, sites: Collection[Site], batch: Batch, loss: Loss, *, goals: bool,
    label: str = "the batch",
) -> Captured:  # fmt: skip
    """What the layers of the sites read and, with goals, the goal update of their next layers.

    Args:
        model: whose mode, gradients and buffers are left as they are.
        sites: whose grown and next layers are watched.
        batch: inputs and targets.
        loss: of (outputs, targets), the mean over samples (or the sum, where its `reduction`
            attribute says so).
        goals: whether to run the backward pass.
        label: of the batch, for messages.

    Raises:
        ValueError: if anything seen is nan or inf, or no target counts.
    """
    inputs, _ = batch
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
        mean = mean_over(batch, loss, model(inputs))
        if goals and not mean.requires_grad:
            raise ValueError(
                "the loss does not depend on the model's weights: give one that is made of its "
                "outputs, in torch, without detach or no_grad"
            )
        gradients = torch.autograd.grad(mean, list(outputs.values())) if goals else ()
    weight = batch_weight(loss, batch)
    seen = Captured(
        samples=len(inputs),
        weight=weight,
        loss=float(mean.detach()),
        inputs=read,
        outputs={name: output.detach() for name, output in outputs.items()},
        goals={n: -weight * g for n, g in zip(outputs, gradients, strict=False)},
    )
    _check(seen, label)
    return seen


def _check(seen: Captured, label: str) -> None:
    """Refuse what is not finite, in the order in which it arises."""
    if not seen.weight:
        raise ValueError(
            f"no target of {label} counts in the loss, all are ignored or weigh 0: leave it out"
        )
    for what, values in (("reads", seen.inputs), ("writes", seen.outputs)):
        for layer, x in values.items():
            check_finite(f"what {layer} {what} of {label}", x)
    if not math.isfinite(seen.loss):
        raise NotFiniteError(f"the loss of {label} is {seen.loss}: expected a finite number")
    for layer, goal in seen.goals.items():
        check_finite(f"the gradient of the loss of {label} at {layer}", goal)


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
        return mean_over(batch, loss, model(batch[0]))


@contextmanager
def full_precision(model: nn.Module) -> Iterator[None]:
    """No autocast and no TensorFloat-32 inside, whatever the training around uses.

    Raises:
        ValueError: if any parameter itself is of half precision.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.dtype not in FULL:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ValueError(
                f"the parameters are {kind} ({name}), too coarse to grow: keep them in "
                "float32 and train under torch.autocast instead"
            )
    device = next(model.parameters()).device
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    enabled, benchmark, deterministic = cudnn.enabled, cudnn.benchmark, cudnn.deterministic
    exact = cudnn.flags(enabled, benchmark, deterministic=deterministic, allow_tf32=False)
    try:
        with exact, torch.autocast(device.type, enabled=False):
            yield
    finally:
        matmul.allow_tf32 = before


class _removed:  # noqa: N801  (reads as a word in `with`)
    """A hook that is removed on leaving."""

    def __init__(self, handle: torch.utils.hooks.RemovableHandle) -> None:
        self.handle = handle

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.handle.remove()
