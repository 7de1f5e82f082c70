"""Residual networks for images of 32 × 32, with the widths inside their blocks to choose."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from nas_bench.training.initialisation import kaiming

THIN_CHANNELS = (8, 16, 32, 64)
CHANNELS = (64, 128, 256, 512)
MIDDLES = tuple(channels for channels in CHANNELS for _ in range(2))
"""Widths in the middles of the blocks of ResNet-18."""


class Residual(nn.Module):
    """activation(skip(x) + branch(x)), the block of residual networks."""

    def __init__(self, branch: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.branch, self.skip, self.activation = branch, skip, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, c, h, w) in and out, where branch and skip agree on it."""
        return self.activation(self.skip(x) + self.branch(x))


class EverySecondPixel(nn.Module):
    """Halves a map without parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """Shapes (n, c, h, w) to (n, c, ⌈h/2⌉, ⌈w/2⌉)."""
        return x[:, :, ::2, ::2]


def thin_resnet(widths: Sequence[int], classes: int = 100) -> nn.Sequential:
    """ResNet-18 of Growing Tiny Networks, Table 1: `body` of four stages, and `head`.

    A stage is a convolution to 8, 16, 32 or 64 channels and two blocks, the second of which
    halves the map; the head has three linear layers. There is no batch norm; weights are Kaiming
    normal, biases PyTorch's.

    Args:
        widths: of the middles of the eight blocks.
        classes: how many outputs.
    """
    body: list[nn.Module] = []
    befores = (3, *THIN_CHANNELS[:-1])
    for before, channels, middles in zip(befores, THIN_CHANNELS, _pairs(widths), strict=True):
        body += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
        body += [_thin_block(channels, middles[0], 1), _thin_block(channels, middles[1], 2)]
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(THIN_CHANNELS[-1] * 2 * 2, 100),
        nn.ReLU(),
        nn.Linear(100, 100),
        nn.ReLU(),
        nn.Linear(100, classes),
    )
    network = nn.Sequential(OrderedDict(body=nn.Sequential(*body), head=head))
    kaiming(network, "relu")
    return network


def resnet18(widths: Sequence[int], classes: int) -> nn.Sequential:
    """ResNet-18 as it is trained on CIFAR: a stem of 3 × 3 and no pooling before the end.

    Batch norm after every convolution, a convolution of 1 × 1 where a skip connection changes
    the shape. Weights are Kaiming normal.

    Args:
        widths: of the middles of the eight blocks.
        classes: how many outputs.
    """
    stages: list[nn.Module] = []
    befores = (CHANNELS[0], *CHANNELS[:-1])
    for before, channels, middles in zip(befores, CHANNELS, _pairs(widths), strict=True):
        stages += [_block(before, middles[0], channels), _block(channels, middles[1], channels)]
    network = nn.Sequential(
        *_normed(3, CHANNELS[0]),
        nn.ReLU(),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS[-1], classes),
    )
    kaiming(network, "relu")
    return network


def _pairs(widths: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(widths[::2], widths[1::2], strict=True)


def _thin_block(channels: int, middle: int, stride: int) -> Residual:
    branch = nn.Sequential(
        nn.Conv2d(channels, middle, 3, stride, padding=1),
        nn.ReLU(),
        nn.Conv2d(middle, channels, 3, padding=1),
    )
    return Residual(branch, EverySecondPixel() if stride == 2 else nn.Identity())


def _block(inputs: int, middle: int, outputs: int) -> Residual:
    stride = 1 if inputs == outputs else 2
    branch = nn.Sequential(
        *_normed(inputs, middle, stride=stride), nn.ReLU(), *_normed(middle, outputs)
    )
    skip = nn.Sequential(*_normed(inputs, outputs, kernel=1, stride=stride))
    return Residual(branch, nn.Identity() if inputs == outputs else skip)


def _normed(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]
