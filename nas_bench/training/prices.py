"""What torch's operators cost, in multiply-adds, forward and backward.

Products cost their multiply-adds, whatever kernel a device picks for them: a convolution, grouped
or not, each of its weights once for each position, attention its two products forward and four
backward (a fused kernel that forms QKᵀ again to save memory costs no more).

Norms, resizing and adaptive pooling cost what fvcore charges for them: 5 per number for a norm
with weights and 4 without, 2 and 1 for a batch norm in eval mode, 4 per output of a bilinear
resizing, 1 per number that is averaged. A root mean square norm, which torch writes in elementwise
operators, is free as they are.

**Backward, an operator costs its forward price once for the gradient of its inputs and once for
that of its weights**, where they are asked for; the gradients of averages and of biases are free.

Complex numbers take four multiply-adds where real ones take one. Decompositions have the prices
of `decompositions`. All else is `harmless`, or has no price and is refused.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

from nas_bench.training.calls import Call, Shape
from nas_bench.training.decompositions import DECOMPOSITIONS

Price = Callable[[Call], float]

RESIZING = {
    "upsample_nearest1d": 1,
    "upsample_nearest2d": 1,
    "upsample_nearest3d": 1,
    "_upsample_nearest_exact1d": 1,
    "_upsample_nearest_exact2d": 1,
    "_upsample_nearest_exact3d": 1,
    "upsample_linear1d": 2,
    "upsample_bilinear2d": 4,
    "upsample_trilinear3d": 8,
    "upsample_bicubic2d": 16,
}
"""Multiply-adds per output: fvcore's, and as many as inputs are read where it has none."""


def matmul(left: Shape, right: Shape) -> int:
    """Of shapes (…, m, k) and (…, k, n), broadcast; a vector is a row or a column."""
    rows = prod(left[-2:-1])
    columns = right[-1] if len(right) > 1 else 1
    return _broadcast(left[:-2], right[:-2]) * rows * left[-1] * columns


def attention(query: Shape, key: Shape, value: Shape) -> int:
    """QKᵀ and its product with V, for shapes (…, queries, e), (…, keys, e), (…, keys, f)."""
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def einsum(equation: str, shapes: Sequence[Shape]) -> int:
    """Of two factors: a batched matrix product, after sums over letters of one of them."""
    terms, _, out = equation.replace(" ", "").partition("->")
    left, right = (set(term) for term in terms.split(","))
    sizes = dict(zip(terms.replace(",", ""), [n for shape in shapes for n in shape], strict=True))
    if not (left & right) - set(out):
        return 0
    return prod(sizes[letter] for letter in (left & right) | set(out))


def _broadcast(left: Shape, right: Shape) -> int:
    longer, shorter = sorted((left, right), key=len, reverse=True)
    padded = (1,) * (len(longer) - len(shorter)) + shorter
    return prod(max(pair) for pair in zip(longer, padded, strict=True))


def _product(call: Call) -> float:
    return matmul(*call.shapes[:2])


def _added_product(call: Call) -> float:
    return matmul(*call.shapes[1:3])


def _outer(call: Call) -> float:
    return call.output.numel()


def _distances(call: Call) -> float:
    """Of every pair: shapes (…, n, d) and (…, m, d)."""
    return call.output.numel() * call.shapes[0][-1]


def _convolution(call: Call) -> float:
    """Every weight at every position: of the outputs, or of the inputs if transposed."""
    positions = call.arguments["input"] if call.arguments["transposed"] else call.output
    return _at_positions(call, tuple(positions.shape))


def _convolution_backward(call: Call) -> float:
    """As forward for the inputs and for the weights; biases are free."""
    transposed = call.arguments["transposed"]
    positions = call.arguments["input" if transposed else "grad_output"]
    inputs, weights, _ = call.arguments["output_mask"]
    return (inputs + weights) * _at_positions(call, tuple(positions.shape))


def _at_positions(call: Call, shape: Shape) -> int:
    return shape[0] * call.arguments["weight"].numel() * prod(shape[2:])


def _attention(call: Call) -> float:
    query, key, value = (tuple(call.arguments[name].shape) for name in ("query", "key", "value"))
    return attention(query, key, value)


def _attention_backward(call: Call) -> float:
    return 2 * _attention(call)


def _multi_head_attention(call: Call) -> float:
    """Four projections and attention, self-attention only: shape (n, tokens, e)."""
    n, tokens, width = call.shapes[0]
    return 4 * n * tokens * width**2 + 2 * n * tokens**2 * width


def _encoder_layer(call: Call) -> float:
    """Attention, two linear layers and two norms."""
    inputs, hidden = call.arguments["src"], call.arguments["ffn_weight_1"]
    linear = 2 * inputs.numel() * len(hidden)
    return _multi_head_attention(call) + linear + 2 * 5 * inputs.numel()


def _norm(call: Call, *, rate: int = 4) -> float:
    """Of every number: `rate`, and 1 for a weight."""
    return call.arguments["input"].numel() * (rate + (call.arguments["weight"] is not None))


def _batch_norm(call: Call) -> float:
    """1 instead of 4 where the moments are given."""
    training = call.arguments.get("training", call.arguments.get("train", True))
    return _norm(call, rate=4 if training else 1)


def _backward(call: Call, *, forward: Price) -> float:
    """The forward price for the inputs and for the weights."""
    weighted = call.arguments["weight"] is not None
    inputs, weights, *_ = call.arguments.get("output_mask", (True, weighted))
    return (inputs + weights) * forward(call)


def _resizing(call: Call, *, rate: int) -> float:
    return rate * call.output.numel()


def _resizing_backward(call: Call, *, rate: int) -> float:
    return rate * call.arguments["grad_output"].numel()


def _sampling_backward(call: Call) -> float:
    """The forward price for the inputs and for the grid."""
    asked = sum(call.arguments.get("output_mask", (True, True)))
    return asked * _resizing_backward(call, rate=4)


def _pooling(call: Call) -> float:
    return prod(call.shapes[0])


def _mean(call: Call) -> float:
    """Free, but for what adaptive pooling to one position calls."""
    shape, dims = call.shapes[0], call.arguments.get("dim")
    return prod(shape) if pools(len(shape), dims, call.arguments.get("keepdim")) else 0


def pools(dimensions: int, dims: Sequence[int] | None, keepdim: bool | None) -> bool:
    """Whether a mean is adaptive pooling of maps to one position, as torch writes it."""
    return dimensions == 4 and bool(keepdim) and list(dims or ()) == [-1, -2]


def _decomposition(call: Call, *, flops: Price) -> float:
    return flops(call) / 2


_FUSED = ("flash_attention", "efficient_attention", "cudnn_attention", "flash_attention_for_cpu")
_BATCH_NORMS = (
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "batch_norm",
    "_native_batch_norm_legit",
    "_batch_norm_with_update",
)
_SAMPLERS = ("grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler")
_NORMS = ("native_layer_norm", "native_group_norm")

PRICES: dict[str, Price] = {
    "mm": _product,
    "bmm": _product,
    "mv": _product,
    "dot": _product,
    "vdot": _product,
    "_sparse_mm": _product,
    "addmm": _added_product,
    "addmv": _added_product,
    "addbmm": _added_product,
    "baddbmm": _added_product,
    "_addmm_activation": _added_product,
    "addr": _outer,
    "_cdist_forward": _distances,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "convolution_overrideable": _convolution,
    "convolution_backward_overrideable": _convolution_backward,
    "_native_multi_head_attention": _multi_head_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "_adaptive_avg_pool2d": _pooling,
    "mean": _mean,
    **{name: partial(_resizing, rate=4) for name in _SAMPLERS},
    **{f"{name}_backward": _sampling_backward for name in _SAMPLERS},
    **{f"_scaled_dot_product_{name}": _attention for name in _FUSED},
    **{f"_scaled_dot_product_{name}_backward": _attention_backward for name in _FUSED},
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    "_native_batch_norm_legit_no_training": partial(_norm, rate=1),
    **{f"{name}_backward": partial(_backward, forward=_batch_norm) for name in _BATCH_NORMS},
    **dict.fromkeys(_NORMS, _norm),
    **{f"{name}_backward": partial(_backward, forward=_norm) for name in _NORMS},
    **{name: partial(_resizing, rate=rate) for name, rate in RESIZING.items()},
    **{f"{name}_backward": partial(_resizing_backward, rate=r) for name, r in RESIZING.items()},
    **{name: partial(_decomposition, flops=flops) for name, flops in DECOMPOSITIONS.items()},
}
"""Multiply-adds of a call, by the name of torch's operator."""
