"""Multilayer perceptrons, the networks of the tasks on small images and vectors."""

import itertools
from collections.abc import Sequence
from typing import Literal

from torch import nn

from nas_bench.training.initialisation import kaiming

Activation = Literal["relu", "selu", "tanh"]
_MODULES: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "selu": nn.SELU, "tanh": nn.Tanh}


def mlp(
    inputs: int, widths: Sequence[int], outputs: int, activation: Activation = "relu"
) -> nn.Sequential:
    """Flatten, then linear layers of these widths with an activation between.

    Weights are Kaiming normal, biases PyTorch's, as in Growing Tiny Networks, E.1.
    """
    sizes = (inputs, *widths, outputs)
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), _MODULES[activation]()]
    network = nn.Sequential(*layers[:-1])
    kaiming(network, "relu" if activation == "relu" else "linear")
    return network
