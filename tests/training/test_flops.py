import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_bench.training.flops import (
    UncountedError,
    inference_flops,
    parameters,
    training_flops,
)
from nas_bench.training.mlp import mlp


class Attention(nn.Module):
    def forward(self, inputs):
        return nn.functional.scaled_dot_product_attention(inputs, inputs, inputs[..., :3])


def conv_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.SELU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3, stride=2, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 10),
    )


def counted_by_torch(model, example):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        copy.deepcopy(model).eval()(example)
    return counter.get_total_flops() / 2 / len(example)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (mlp(784, [110, 51], 10), (2, 28, 28)),
        (conv_net(), (2, 3, 16, 16)),
        (Attention(), (2, 4, 7, 5)),
    ],
)
def test_fvcore_counts_what_torch_counts_in_multiply_adds(model, shape):
    example = torch.zeros(shape)
    assert inference_flops(model, example) == counted_by_torch(model, example)


def test_resnet18_at_32_costs_37_million_multiply_adds():
    from torchvision.models import resnet18

    model = resnet18(num_classes=100)
    example = torch.zeros(2, 3, 32, 32)
    flops = inference_flops(model, example)
    assert flops == pytest.approx(37.1e6, rel=2e-3)
    assert flops == pytest.approx(counted_by_torch(model, example), rel=6e-3)  # + batch norm
    assert training_flops(model, example) == pytest.approx(3 * flops, rel=0.03)


def test_training_costs_three_forward_passes_less_the_gradient_of_the_inputs():
    model = mlp(784, [110, 51], 10)
    forward = 784 * 110 + 110 * 51 + 51 * 10
    assert training_flops(model, torch.zeros(1, 1, 28, 28)) == 3 * forward - 784 * 110


def test_counting_changes_neither_the_network_nor_the_global_generator():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    inference_flops(model, torch.ones(2, 4))
    training_flops(model, torch.ones(2, 4))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_a_network_with_uncounted_operators_is_refused_by_their_name():
    with pytest.raises(UncountedError, match="aten::lstm"):
        inference_flops(nn.LSTM(3, 4), torch.zeros(5, 2, 3))


def test_parameters_are_those_that_train():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2).requires_grad_(False))
    assert parameters(model) == 15
