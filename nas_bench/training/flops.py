"""What a network costs. Unit everywhere: one multiply-add is one FLOP, as fvcore counts."""

import copy
import warnings
from collections.abc import Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_SAMPLES = 4  # of the counted training step: batch norm needs more than one
_UNCOUNTED = (
    "bilinear",
    "cdist",
    "dot",
    "fft_fft",
    "fft_rfft",
    "gru",
    "gru_cell",
    "lstm",
    "lstm_cell",
    "mv",
    "_native_multi_head_attention",
    "outer",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "tensordot",
    "_transformer_encoder_layer_fwd",
    "vdot",
)
"""Operators with multiply-adds that fvcore passes over."""


class UncountedError(ValueError):
    """A network whose FLOPs cannot be counted."""


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
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention)
        total = float(analysis.total())
        _refuse_uncounted(analysis.unsupported_ops())
    return total


def training_flops(model: nn.Module, example: Tensor) -> float:
    """Multiply-adds per sample of a forward and backward pass in train mode.

    Counted on the meta device, so nothing is computed and no random number drawn; the loss
    itself is free.

    Args:
        model: unchanged; a copy is counted.
        example: inputs of one or more samples, shape (n, …).
    """
    twin = copy.deepcopy(model).train().to("meta")
    shape = (_SAMPLES, *example.shape[1:])
    inputs = torch.empty(shape, dtype=example.dtype, device="meta")
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        twin(inputs).sum().backward()
    return counter.get_total_flops() / 2 / _SAMPLES


def _attention(inputs: list[Any], outputs: list[Any]) -> int:
    """QKᵀ and its product with V, for shapes (…, queries, e), (…, keys, e), (…, keys, f)."""
    queries, keys, values = (value.type().sizes() for value in inputs[:3])
    return prod(queries[:-1]) * keys[-2] * (queries[-1] + values[-1])


def _refuse_uncounted(operators: Iterable[str]) -> None:
    found = sorted(name for name in operators if _plain(name) in _UNCOUNTED)
    if found:
        raise UncountedError(
            f"the multiply-adds of {', '.join(found)} are not counted by fvcore: build the "
            "network from linear, convolution, matmul or attention operators"
        )


def _plain(operator: str) -> str:
    return operator.removeprefix("aten::").removesuffix("_")
