"""Operators against hand formulas, in inference, training and growth."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from nas_bench.growth.costs import CostMeter
from nas_bench.training.flops import UncountedError, inference_flops, training_flops

CONVOLUTIONS = {
    "plain": (nn.Conv2d(6, 8, 3), (6, 9, 7), 8 * 6 * 9 * 7 * 5),
    "grouped": (nn.Conv2d(6, 8, 3, 2, padding=1, groups=2), (6, 9, 7), 8 * 3 * 9 * 5 * 4),
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 9, 7), 6 * 9 * 9 * 7),
    "multiplied depthwise": (nn.Conv2d(6, 12, 3, groups=6), (6, 9, 7), 12 * 9 * 7 * 5),
    "dilated": (nn.Conv2d(6, 8, 3, dilation=2, bias=False), (6, 9, 7), 8 * 6 * 9 * 5 * 3),
    "same": (nn.Conv2d(6, 8, 3, padding="same", groups=2), (6, 9, 7), 8 * 3 * 9 * 9 * 7),
    "1d": (nn.Conv1d(6, 8, 3, 2, groups=2), (6, 9), 8 * 3 * 3 * 4),
    "3d": (nn.Conv3d(6, 8, 3, groups=2), (6, 5, 4, 3), 8 * 3 * 27 * 3 * 2 * 1),
    "transposed": (nn.ConvTranspose2d(6, 8, 3), (6, 9, 7), 8 * 6 * 9 * 9 * 7),
    "transposed strided": (
        nn.ConvTranspose2d(6, 8, 3, 2, padding=1, output_padding=1, bias=False),
        (6, 9, 7),
        8 * 6 * 9 * 9 * 7,
    ),
    "transposed grouped": (
        nn.ConvTranspose2d(6, 8, 3, 2, groups=2, dilation=2),
        (6, 9, 7),
        8 * 3 * 9 * 9 * 7,
    ),
    "transposed depthwise 1d": (
        nn.ConvTranspose1d(6, 6, 4, 3, groups=6, output_padding=2),
        (6, 9),
        6 * 4 * 9,
    ),
}


class Of(nn.Module):
    """A function of the inputs, with parameters to train."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.ones(shape) for shape in shapes)

    def forward(self, inputs):
        return self.function(inputs, *self.weights)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(context, inputs):
        return inputs**2

    @staticmethod
    def backward(context, gradient):
        return gradient


@torch.library.custom_op("nas_bench_tests::twice", mutates_args=())
def twice(inputs: torch.Tensor) -> torch.Tensor:
    return inputs * 2


@twice.register_fake
def _(inputs):
    return torch.empty_like(inputs)


def grown(call):
    """Multiply-adds that growth is charged for a call."""
    meter = CostMeter()
    with meter.charge("part"):
        call()
    return meter.flops["part"]


def forward_and_backward(model, inputs):
    """What growth is charged for a step on the CPU, per sample."""
    return grown(lambda: model(inputs).sum().backward()) / len(inputs)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_costs_each_weight_once_for_each_position(name):
    layer, shape, forward = CONVOLUTIONS[name]
    example, inner = torch.ones(2, *shape), nn.Sequential(nn.PReLU(), layer)
    assert inference_flops(layer, example) == forward
    assert training_flops(layer, example) == 2 * forward  # inputs need no gradient
    assert training_flops(inner, example) == 3 * forward
    assert forward_and_backward(inner, example) == 3 * forward


def test_a_frozen_layer_has_no_gradient_of_weights_to_pay():
    frozen = nn.Conv2d(6, 8, 3, groups=2).requires_grad_(False)
    model = nn.Sequential(nn.PReLU(), frozen)
    forward = inference_flops(frozen, torch.ones(2, 6, 9, 7))
    assert training_flops(model, torch.ones(2, 6, 9, 7)) == 2 * forward


def attend(inputs, weight):
    x = inputs * weight
    return F.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_costs_the_same_in_inference_training_and_growth(dtype):
    model = Of(attend, (8,)).to(dtype)
    example, products = torch.ones(2, 3, 5, 8, dtype=dtype), 2 * 3 * 5 * 5 * 8
    assert inference_flops(model, example) == products
    assert training_flops(model, example) == 3 * products
    assert forward_and_backward(model, example) == 3 * products


def test_fused_attention_layers_cost_what_their_parts_do():
    layer = nn.TransformerEncoderLayer(8, 2, 24, batch_first=True).eval()
    inputs = torch.ones(3, 5, 8)
    parts = inference_flops(layer, inputs)
    with torch.no_grad():
        assert grown(lambda: layer(inputs)) == 3 * parts
        attention = layer.self_attn
        once = grown(lambda: attention(inputs, inputs, inputs))
    assert once == 3 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8)


NORMS = {
    "batch norm": (nn.BatchNorm2d(6), 2, 5, 2),
    "batch norm without weights": (nn.BatchNorm2d(6, affine=False), 1, 4, 1),
    "group norm": (nn.GroupNorm(2, 6), 5, 5, 2),
    "layer norm": (nn.LayerNorm((6, 4, 4)), 5, 5, 2),
    "layer norm without weights": (nn.LayerNorm(4, elementwise_affine=False), 4, 4, 1),
    "instance norm": (nn.InstanceNorm2d(6), 4, 4, 1),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_costs_as_much_for_each_gradient_as_forward(name):
    layer, evaluated, trained, gradients = NORMS[name]
    model, example = nn.Sequential(nn.PReLU(), layer), torch.ones(2, 6, 4, 4)
    assert inference_flops(model, example) == evaluated * 6 * 4 * 4
    expected = (1 + gradients) * trained * 6 * 4 * 4
    assert training_flops(model, example) == expected
    assert forward_and_backward(model, example) == expected


RESIZED = {"nearest": 1, "nearest-exact": 1, "bilinear": 4, "bicubic": 16}


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("mode", RESIZED)
def test_resizing_is_counted_forward_and_backward(mode, deterministic, request):
    """Also in a trial, where torch takes some of it apart."""
    before = torch.are_deterministic_algorithms_enabled()
    request.addfinalizer(lambda: torch.use_deterministic_algorithms(before))
    torch.use_deterministic_algorithms(deterministic)
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Upsample(scale_factor=2, mode=mode))
    example, convolution, outputs = torch.ones(2, 3, 5, 5), 4 * 3 * 4 * 16, 4 * 64
    assert inference_flops(model, example) == convolution + RESIZED[mode] * outputs
    assert training_flops(model, example) == 2 * (convolution + RESIZED[mode] * outputs)


@pytest.mark.parametrize("size", [1, 2])
def test_adaptive_pooling_reads_each_input_once_and_its_gradient_is_free(size):
    model, example = nn.Sequential(nn.PReLU(), nn.AdaptiveAvgPool2d(size)), torch.ones(2, 3, 6, 6)
    assert inference_flops(model, example) == training_flops(model, example) == 3 * 6 * 6


PRODUCTS = {
    "matmul with fewer batches": (lambda x, w: w @ x, (5, 4), (3, 4, 2), 3 * 5 * 4 * 2),
    "matmul with a vector": (lambda x, w: x @ w, (4,), (3, 4), 3 * 4),
    "baddbmm": (lambda x, w: torch.baddbmm(x, x, w), (1, 4, 4), (4, 4), 4 * 4 * 4),
    "addbmm": (lambda x, w: torch.addbmm(w, x, x), (4, 4), (4, 4), 4 * 4 * 4),
    "addmv": (lambda x, w: torch.addmv(w, x[0], w), (4,), (4, 4), 4 * 4),
    "einsum": (lambda x, w: torch.einsum("nij,jk->nik", x, w), (4, 5), (3, 4), 3 * 4 * 5),
    "batched einsum": (lambda x, w: torch.einsum("nij,ij->ni", x, w), (3, 4), (3, 4), 3 * 4),
    "outer einsum": (lambda x, w: torch.einsum("ni,j->nij", x, w), (5,), (4,), 0),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_priced_however_they_are_written(name):
    function, weights, shape, forward = PRODUCTS[name]
    model, example = Of(function, weights), torch.ones(1, *shape)
    assert inference_flops(model, example) == forward
    assert grown(lambda: model(example)) == forward


REFUSED = {
    "inner": lambda x, w: torch.inner(x, w),
    "kron": lambda x, w: torch.kron(x, w),
    "linalg_multi_dot": lambda x, w: torch.linalg.multi_dot([x, w, w]),
    "chain_matmul": lambda x, w: torch.chain_matmul(x, w, w),
    "linalg_vecdot": lambda x, w: torch.linalg.vecdot(x, w[:1]),
    "conv_tbc": lambda x, w: torch.conv_tbc(x[None], w[None], w[0]),
    "tensordot": lambda x, w: torch.tensordot(x, w, 1),
    "outer": lambda x, w: torch.outer(x[0], w[0]),
    "cdist": lambda x, w: torch.cdist(x, w),
    "bilinear": lambda x, w: F.bilinear(x, x, w[None]),
    "fft_rfft": lambda x, w: torch.fft.rfft(x * w[0]),
    "embedding_bag": lambda x, w: F.embedding_bag(x.long(), w),
    "linalg_pinv": lambda x, w: torch.linalg.pinv(x * w[0]),
    "affine_grid_generator": lambda x, w: F.affine_grid(w[None, :2, :3], [1, 1, 4, 4]),
    "nas_bench_tests::twice": lambda x, w: twice(x),
    "Square": lambda x, w: Square.apply(x * w[0]),
}


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
@pytest.mark.parametrize("name", REFUSED)
def test_what_fvcore_does_not_price_is_refused_by_its_name(name):
    with pytest.raises(UncountedError, match=rf"multiply-adds of .*{name}"):
        inference_flops(Of(REFUSED[name], (4, 4)), torch.ones(1, 4))


@pytest.mark.parametrize("equation", ["nij,jk,kl->nil", "...ij,jk->...ik", "nij,jk"])
def test_other_forms_of_einsum_are_refused(equation):
    model = Of(lambda x, *w: torch.einsum(equation, x, *w[: equation.count(",")]), (4, 4), (4, 4))
    with pytest.raises(UncountedError, match="write it with two factors"):
        inference_flops(model, torch.ones(1, 3, 4))


def test_an_einsum_of_one_factor_is_free():
    assert inference_flops(Of(lambda x: torch.einsum("nij->nji", x)), torch.ones(1, 3, 4)) == 0


@pytest.mark.filterwarnings("ignore:.*flatten_parameters")
@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_networks_are_refused(cell):
    with pytest.raises(UncountedError, match="multiply-adds of aten::"):
        inference_flops(cell(3, 4), torch.zeros(5, 3))


def test_a_recurrent_cell_costs_its_linear_layers():
    assert inference_flops(nn.LSTMCell(3, 4), torch.zeros(5, 3)) == 16 * (3 + 4)


UNPRICED = {
    "nas_bench_tests::twice": lambda x: twice(x),
    "_fft_r2c": lambda x: torch.fft.rfft(x),
    "_trilinear": lambda x: F.bilinear(x, x, x[None]),
    "_embedding_bag": lambda x: F.embedding_bag(torch.ones(1, 2, dtype=torch.int64), x),
    "conv_tbc": lambda x: torch.conv_tbc(x[None], x[None], x[0]),
    "_pdist_forward": lambda x: torch.pdist(x),
    "mkldnn_rnn_layer": lambda x: nn.LSTM(4, 4)(x),
}


@pytest.mark.parametrize("name", UNPRICED)
def test_growth_and_training_refuse_an_operator_without_a_price_by_its_name(name):
    with torch.no_grad(), pytest.raises(UncountedError, match=rf"multiply-adds of .*{name}"):
        grown(lambda: UNPRICED[name](torch.ones(4, 4)))


def test_training_refuses_a_custom_operator_by_its_name():
    with pytest.raises(UncountedError, match="nas_bench_tests::twice"):
        training_flops(Of(lambda x, w: twice(x * w), (4,)), torch.ones(2, 4))


def test_complex_products_cost_four_real_ones_in_growth_and_are_refused_in_networks():
    square = torch.ones(4, 4, dtype=torch.complex64)
    assert grown(lambda: square @ square) == 4 * 4**3
    model = Of(lambda x, w: (x @ torch.complex(w, w)).abs(), (4, 4))
    with pytest.raises(UncountedError, match=r"fvcore counts 16 .* make 64"):
        inference_flops(model, torch.ones(1, 4, dtype=torch.complex64))


HARMLESS = {
    "embedding": lambda x, w: F.embedding(x.long(), w),
    "softmax": lambda x, w: (x * w).softmax(-1).cumsum(0).sort().values,
    "scatter": lambda x, w: torch.zeros(4, 4).to(x).index_add(0, x[:, 0].long(), x * w[:1]),
    "activations": lambda x, w: F.mish(F.gelu(F.hardswish(F.silu(F.glu(x * w[0]))))),
    "root mean square norm": lambda x, w: F.rms_norm(x * w[0], (4,), w[1]),
    "dropout": lambda x, w: F.alpha_dropout(F.dropout(F.dropout1d(x * w[0])), 0.1),
    "pooling": lambda x, w: F.max_pool1d(F.avg_pool1d(F.pad(x * w[0], (1, 1)), 2), 2),
    "losses": lambda x, w: F.cross_entropy(x * w[0], x[:, 0].long()) + F.mse_loss(x, w[:1]),
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_what_has_no_multiply_adds_is_free(name):
    model, example = Of(HARMLESS[name], (4, 4)), torch.ones(1, 4)
    assert inference_flops(model, example) == 0
    assert forward_and_backward(model, example) == 0


def test_optimizer_steps_are_free():
    weight = nn.Parameter(torch.ones(3, 3))
    weight.grad = torch.ones(3, 3)
    for optimizer in (torch.optim.SGD([weight], 0.1, 0.9), torch.optim.AdamW([weight])):
        assert grown(optimizer.step) == 0
