"""What a network costs. Unit everywhere: one multiply-add is one FLOP, as fvcore counts.

Inference is fvcore's number. Training, and growth, are counted operator by operator as they run,
at the prices of `prices`, which are fvcore's forward and extend them to the backward pass; a
network that both do not count alike in a forward pass is refused.
"""

import copy
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from nas_bench.training import prices
from nas_bench.training.flop_meter import FlopMeter, UncountedError, unpriced
from nas_bench.training.harmless import harmless

_SAMPLES = 4  # of the counted training step: batch norm needs more than one
Handle = Callable[[list[Any], list[Any]], Any]


def parameters(model: nn.Module) -> int:
    """How many scalars the network trains."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def inference_flops(model: nn.Module, example: Tensor) -> float:
    """Multiply-adds per sample of a forward pass in eval mode, by fvcore.

    Args:
        model: unchanged; a copy is traced.
        example: inputs of one or more samples, shape (n, …).

    Raises:
        UncountedError: if an operator's multiply-adds are unknown.
    """
    with torch.enable_grad(), warnings.catch_warnings():  # no_grad would fuse attention
        warnings.simplefilter("ignore")  # fvcore and the tracer warn about torch's own changes
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(copy.deepcopy(model).eval(), (example[:1],))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.set_op_handle(**_HANDLES)
        total = float(analysis.total())
    unknown = [name for name in analysis.unsupported_ops() if not harmless(name)]
    if unknown:
        raise UncountedError(unpriced(*unknown))
    _refuse_unequal(total, _forward_flops(model, example))
    return total


def training_flops(model: nn.Module, example: Tensor) -> float:
    """Multiply-adds per sample of a forward and backward pass in train mode.

    Counted on the meta device, so nothing is computed and no random number drawn; the loss
    itself is free.

    Args:
        model: unchanged; a copy is counted.
        example: inputs of one or more samples, shape (n, …).

    Raises:
        UncountedError: if an operator's multiply-adds are unknown.
    """
    twin = copy.deepcopy(model).train().to("meta")
    shape = (_SAMPLES, *example.shape[1:])
    inputs = torch.empty(shape, dtype=example.dtype, device="meta")
    with torch.enable_grad(), _as_usual(), FlopMeter() as meter:
        twin(inputs).sum().backward()
    return meter.flops / _SAMPLES


def _forward_flops(model: nn.Module, example: Tensor) -> float:
    """Those of the operators that run for one sample in eval mode, on the meta device."""
    twin = copy.deepcopy(model).eval().to("meta")
    with torch.enable_grad(), _as_usual(), FlopMeter() as meter:
        twin(example[:1].to("meta"))
    return meter.flops


@contextmanager
def _as_usual() -> Iterator[None]:
    """Operators as they are without determinism, which takes resizing apart into free ones."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn)


def _refuse_unequal(fvcore: float, run: float) -> None:
    if fvcore != run:
        raise UncountedError(
            f"fvcore counts {fvcore:.0f} multiply-adds in a forward pass, but the operators that "
            f"run make {run:.0f}: use linear, convolution, matmul or attention operators"
        )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.type().sizes())


def _shapes(values: list[Any]) -> list[tuple[int, ...]]:
    return [_shape(value) for value in values]


def _matmul(inputs: list[Any], _outputs: list[Any]) -> float:
    return prices.matmul(*_shapes(inputs[:2]))


def _added_product(inputs: list[Any], _outputs: list[Any]) -> float:
    return prices.matmul(*_shapes(inputs[1:3]))


def _attention(inputs: list[Any], _outputs: list[Any]) -> float:
    return prices.attention(*_shapes(inputs[:3]))


def _einsum(inputs: list[Any], _outputs: list[Any]) -> float:
    equation = inputs[0].toIValue().replace(" ", "")
    if re.fullmatch(r"\w+->\w*", equation):
        return 0
    if not re.fullmatch(r"\w+,\w+->\w*", equation):
        raise UncountedError(
            f"the multiply-adds of einsum {equation!r} are not known: write it with two factors, "
            "an arrow and no dots, or use matmul"
        )
    return prices.einsum(equation, _shapes(list(inputs[1].node().inputs())))


def _same_convolution(inputs: list[Any], outputs: list[Any]) -> float:
    """Padding by the name of a mode, which fvcore does not know."""
    return prod(_shape(inputs[1])) * prod(_shape(outputs[0])[2:]) * _shape(inputs[0])[0]


def _mean(inputs: list[Any], _outputs: list[Any]) -> float:
    if len(inputs) < 4:
        return 0
    dims = [value.toIValue() for value in inputs[1].node().inputs()]
    pools = prices.pools(len(_shape(inputs[0])), dims, inputs[2].toIValue())
    return prod(_shape(inputs[0])) if pools else 0


def _resizing(rate: int) -> Handle:
    return lambda _inputs, outputs: rate * prod(_shape(outputs[0]))


_HANDLES: dict[str, Handle] = {
    **{f"aten::{name}": _matmul for name in ("matmul", "mv", "dot", "vdot")},
    **{f"aten::{name}": _added_product for name in ("addmv", "addbmm", "baddbmm")},
    **{f"aten::{name}": _resizing(rate) for name, rate in prices.RESIZING.items()},
    "aten::scaled_dot_product_attention": _attention,
    "aten::einsum": _einsum,
    "aten::_convolution_mode": _same_convolution,
    "aten::mean": _mean,
}
"""What fvcore does not price, or gets wrong: matmul with a vector or with fewer batches."""
