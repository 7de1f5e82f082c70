"""The plain convolutional network of Growing Tiny Networks, E.2."""

from collections.abc import Sequence

from torch import nn

from nas_bench.training.initialisation import kaiming

SMALLEST = 4
"""Pixels of the least height and width: two poolings halve them."""


def convnet(shape: Sequence[int], widths: Sequence[int], classes: int) -> nn.Sequential:
    """Two blocks of two convolutions and a max pooling, then two linear layers, with SELU.

    Convolutions are 3 × 3 with padding 1. Weights are Kaiming normal, biases PyTorch's.

    Args:
        shape: of an image: channels, height, width; the latter two at least 4.
        widths: of the four convolutions and of the hidden linear layer.
        classes: how many outputs.
    """
    channels, height, width = shape
    first, second, third, fourth, hidden = widths
    network = nn.Sequential(
        *_block(channels, first, second),
        *_block(second, third, fourth),
        nn.Flatten(),
        nn.Linear(fourth * (height // 4) * (width // 4), hidden),
        nn.SELU(),
        nn.Linear(hidden, classes),
    )
    kaiming(network, "linear")
    return network


def _block(inputs: int, middle: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, middle, 3, padding=1),
        nn.SELU(),
        nn.Conv2d(middle, outputs, 3, padding=1),
        nn.SELU(),
        nn.MaxPool2d(2),
    ]
