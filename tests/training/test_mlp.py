import pytest
import torch
from torch import nn

from nas_bench.training.mlp import mlp


def test_widths_are_those_of_the_hidden_layers():
    network = mlp(6, [4, 3], 2)
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(4, 6), (3, 4), (2, 3)]
    assert network(torch.zeros(5, 2, 3)).shape == (5, 2)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2**0.5), ("tanh", 1), ("selu", 1)])
def test_hidden_weights_are_kaiming_normal(activation, gain):
    torch.manual_seed(0)
    first, last = (mlp(400, [400], 400, activation)[index] for index in (1, 3))
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    assert float(first.weight.detach().std()) == pytest.approx(gain / 20, rel=0.01)
    assert float(last.weight.detach().std()) == pytest.approx(1 / 20, rel=0.01)
