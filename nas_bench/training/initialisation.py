"""Initial weights of networks with a fixed kind of activation."""

from typing import Literal

from torch import nn


def kaiming(network: nn.Module, nonlinearity: Literal["relu", "linear"]) -> None:
    """Draw all weights of linear and convolutional layers anew; biases keep PyTorch's law.

    Weights are Kaiming normal, N(0, gain² / fan-in), with gain √2 before ReLU and 1 before other
    activations and at the output, the last layer (He et al. 2015), as the seed networks of
    Growing Tiny Networks. Biases stay uniform: at zero, the second ReLU of a [1, 1] network would
    be dead for half of all seeds.

    Args:
        network: changed in place.
        nonlinearity: what follows hidden layers.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    for layer in layers[:-1]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
    nn.init.kaiming_normal_(layers[-1].weight, nonlinearity="linear")
