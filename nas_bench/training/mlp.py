"""Multilayer perceptrons, the networks of the tasks on small images and vectors."""

import itertools
from collections.abc import Sequence
from typing import Literal

from torch import nn

Activation = Literal["relu", "selu", "tanh"]
_MODULES: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "selu": nn.SELU, "tanh": nn.Tanh}


def mlp(
    inputs: int, widths: Sequence[int], outputs: int, activation: Activation = "relu"
) -> nn.Sequential:
    """Flatten, then linear layers of these widths with an activation between.

    Weights are Kaiming normal, N(0, gain² / fan-in), with gain √2 before ReLU (He et al. 2015),
    as the seed networks of Growing Tiny Networks (E.1). Biases keep PyTorch's uniform law: at
    zero, the second ReLU of a [1, 1] network would be dead for half of all seeds.
    """
    sizes = (inputs, *widths, outputs)
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), _MODULES[activation]()]
    network = nn.Sequential(*layers[:-1])
    _initialise(network, "relu" if activation == "relu" else "linear")
    return network


def _initialise(network: nn.Sequential, nonlinearity: Literal["relu", "linear"]) -> None:
    *hidden, last = (layer for layer in network if isinstance(layer, nn.Linear))
    for layer in hidden:
        nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
    nn.init.kaiming_normal_(last.weight, nonlinearity="linear")
