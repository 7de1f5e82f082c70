"""Convolutions as linear algebra: patches of maps, and pairs of layers with a map between them.

A linear layer behind a flatten is a convolution whose kernel covers the whole map. Maps have
channels first and samples second inside this file, so that every product is one of matrices.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Pair = tuple[int, int]
MapFunction = Callable[[Tensor], Tensor]
"""A linear function of maps (…, …, H, W), the same for every channel."""
CHUNK_ENTRIES = 2**22
"""Of unfolded patches, at most so many at a time."""


@dataclass(frozen=True)
class Kernel:
    """How a convolution reads a map, whatever its weights.

    Attributes:
        size: of the kernel; its entries are the taps, row by row.
        stride: of its positions.
        padding: rows and columns of zeros before and behind the map: top, bottom, left, right.
        dilation: distance of neighbouring taps.
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "Kernel":
        """That of a layer."""
        (kh, kw), (dh, dw) = convolution.kernel_size, convolution.dilation
        if convolution.padding == "valid":
            padding = (0, 0, 0, 0)
        elif convolution.padding == "same":
            high, wide = dh * (kh - 1), dw * (kw - 1)
            padding = (high // 2, high - high // 2, wide // 2, wide - wide // 2)
        else:
            top, left = (int(p) for p in convolution.padding)
            padding = (top, top, left, left)
        stride, dilation = convolution.stride, convolution.dilation
        return cls((kh, kw), (stride[0], stride[1]), padding, (dilation[0], dilation[1]))

    @property
    def taps(self) -> int:
        """Entries of the kernel."""
        return self.size[0] * self.size[1]

    def positions(self, height: int, width: int) -> Pair:
        """Rows and columns of the output for a map of this size."""
        top, bottom, left, right = self.padding
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.size, strict=True)]
        return (
            (height + top + bottom - reach[0]) // self.stride[0] + 1,
            (width + left + right - reach[1]) // self.stride[1] + 1,
        )

    def patches(self, x: Tensor) -> Tensor:
        """What each output position reads, with a constant 1 last.

        Args:
            x: shape (n, C, H, W).

        Returns:
            Shape (C · taps + 1, n, H', W').
        """
        height, width = self.positions(*x.shape[2:])
        n, channels = x.shape[:2]
        patches = x.new_empty(channels * self.taps + 1, n, height, width)
        patches[-1] = 1.0
        by_tap = patches[:-1].view(channels, self.taps, n, height, width)
        top, bottom, left, right = self.padding
        padded = functional.pad(x.transpose(0, 1), (left, right, top, bottom))
        for tap, rows, columns in self._windows(height, width):
            by_tap[:, tap] = padded[..., rows, columns]
        return patches

    def spread(self, goals: Tensor, height: int, width: int) -> Tensor:
        """What every position of the map is wanted to do through each tap.

        The adjoint of reading the map: zero where a tap does not read a position.

        Args:
            goals: at the output positions, shape (n, d, H', W').
            height: of the map.
            width: of the map.

        Returns:
            Shape (taps, d, n, height, width).
        """
        n, d, *positions = goals.shape
        top, bottom, left, right = self.padding
        padded = goals.new_zeros(self.taps, d, n, height + top + bottom, width + left + right)
        for tap, rows, columns in self._windows(*positions):
            padded[tap][..., rows, columns] = goals.transpose(0, 1)
        return padded[..., top : top + height, left : left + width]

    def readers(self, height: int, width: int, like: Tensor) -> Tensor:
        """c(r'), how many taps read each position of a map, shape (height, width)."""
        ones = like.new_ones(1, 1, *self.positions(height, width))
        return self.spread(ones, height, width).sum(0)[0, 0]

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution of x, shape (n, C, H, W), with a weight (k, C · taps [+ 1]).

        Returns:
            Shape (n, k, H', W'); a weight with a column more than taps ends with its bias.
        """
        top, bottom, left, right = self.padding
        features = x.shape[1] * self.taps
        bias = weight[:, features] if weight.shape[1] > features else None
        kernel = weight[:, :features].reshape(-1, x.shape[1], *self.size)
        if top == bottom and left == right:
            return functional.conv2d(x, kernel, bias, self.stride, (top, left), self.dilation)
        x = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(x, kernel, bias, self.stride, 0, self.dilation)

    def weight_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Σ over samples and positions q of x read by each tap of q, times a gradient at q.

        Args:
            x: shape (n, C, H, W).
            gradient: shape (n, d, H', W').

        Returns:
            Shape (d, C, taps).
        """
        top, bottom, left, right = self.padding
        if top != bottom or left != right:
            x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
        weight = x.new_empty(gradient.shape[1], x.shape[1], *self.size)
        _, summed, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, self.stride, (top, left), self.dilation, False, (0, 0), 1,
            (False, True, False),
        )  # fmt: skip
        return summed.flatten(2)

    def centre(self) -> MapFunction:
        """The convolution whose kernel is 1 at index (k − 1)//2 and 0 elsewhere."""
        i, j = ((k - 1) // 2 for k in self.size)
        top, _, left, _ = self.padding
        first = (i * self.dilation[0] - top, j * self.dilation[1] - left)

        def centred(z: Tensor) -> Tensor:
            height, width = z.shape[-2:]
            rows, columns = self.positions(height, width)
            below = self.stride[0] * (rows - 1) + 1 - height + first[0]
            behind = self.stride[1] * (columns - 1) + 1 - width + first[1]
            moved = functional.pad(z, (-first[1], behind, -first[0], below))
            return moved[..., :: self.stride[0], :: self.stride[1]]

        return centred

    def _windows(self, height: int, width: int) -> Iterator[tuple[int, slice, slice]]:
        """For each tap the rows and columns of the padded map that it reads."""
        for tap in range(self.taps):
            i, j = divmod(tap, self.size[1])
            top, left = i * self.dilation[0], j * self.dilation[1]
            rows = slice(top, top + self.stride[0] * (height - 1) + 1, self.stride[0])
            columns = slice(left, left + self.stride[1] * (width - 1) + 1, self.stride[1])
            yield tap, rows, columns


@dataclass(frozen=True)
class Field:
    """The geometry of a site whose hidden activity is a map.

    Attributes:
        grown: how the grown layer reads.
        next: how the next layer reads.
        steps: the linear operations of the path in between, activations left out.
        normalised: how many of them come before the first batch norm (0, if there is none).
        size: height and width of the map that the next layer reads.
        normalised_flat: whether the first batch norm stands behind a flatten, and so takes the
            mean of every position by itself.
    """

    grown: Kernel
    next: Kernel
    steps: tuple[MapFunction, ...]
    normalised: int
    size: Pair
    normalised_flat: bool = False

    def carried(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Patches of the grown layer carried to the next one, and their mean on the way.

        Args:
            patches: u, shape (p, n, H, W).

        Returns:
            ū, shape (p, n, *size), and the mean over positions where a batch norm would take it
            (at the grown layer, if there is none), summed over samples, shape (p,).
        """
        for step in self.steps[: self.normalised]:
            patches = step(patches)
        mean = patches.mean((2, 3)).sum(1)
        return self._after_norm(patches), mean

    def constant(self, x: Tensor) -> Tensor:
        """A constant 1 at the batch norm (or grown layer) carried on, shape (1, n, *size).

        Args:
            x: what the grown layer reads, shape (n, C, H, W).
        """
        ones = x.new_ones(1, len(x), *self.grown.positions(*x.shape[2:]))
        for step in self.steps[: self.normalised]:
            ones = step(ones)
        return self._after_norm(torch.ones_like(ones))

    def _after_norm(self, maps: Tensor) -> Tensor:
        for step in self.steps[self.normalised :]:
            maps = step(maps)
        return maps

    def cross(self, carried: Tensor, goals: Tensor) -> Tensor:
        """Σ_q ū(q, o) v(q)ᵀ for every tap o, summed over samples.

        Args:
            carried: ū, shape (p, n, *size).
            goals: v, shape (n, d, H', W').

        Returns:
            Shape (p, taps · d).
        """
        if self.next == Kernel(self.size):  # every tap reads one position, as behind a flatten
            product = torch.einsum("pnr,nd->prd", carried.flatten(2), goals.flatten(1))
            return product.flatten(1)
        return (
            self.next.weight_gradient(carried.transpose(0, 1), goals).permute(1, 2, 0).flatten(1)
        )

    def products(self, carried: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """Two matrices a sample, the entries of whose product are Σ_q ū(q, o) v(q)ᵀ.

        Args:
            carried: ū, shape (p, n, *size).
            goals: v, shape (n, d, H', W').

        Returns:
            Shapes (n, r, q) and (n, q, c), with r · c = p · taps · d in the order of `cross`.
        """
        by_sample = carried.flatten(2).transpose(0, 1)
        if self.next == Kernel(self.size):
            return by_sample.flatten(1)[:, :, None], goals.flatten(1)[:, None]
        spread = self.next.spread(goals, *self.size).flatten(3)
        return by_sample, spread.permute(2, 3, 0, 1).flatten(2)

    def linear_change(self, x: Tensor, fan_in: Tensor, fan_out: Tensor) -> Tensor:
        """v_new = Σ_k ω_k α_kᵀ ū, linear in both weights.

        Args:
            x: what the grown layer reads, shape (n, C, H, W).
            fan_in: α, shape (k, p).
            fan_out: ω, shape (k, taps, d).

        Returns:
            Shape (n, d, H', W').
        """
        z = self.grown.apply(x, fan_in)
        for step in self.steps:
            z = step(z)
        return self.next.apply(z, fan_out.permute(2, 0, 1).flatten(1))


def chunks(kernel: Kernel, maps: Tensor, times: int = 1) -> Iterator[slice]:
    """Samples of maps (n, C, H, W) in parts of which so many times the patches fit in memory."""
    positions = kernel.positions(*maps.shape[2:])
    entries = (maps.shape[1] * kernel.taps + 1) * positions[0] * positions[1] * times
    size = max(1, CHUNK_ENTRIES // entries)
    return (slice(i, i + size) for i in range(0, len(maps), size))


def total(parts: Sequence[Tensor]) -> Tensor:
    """The sum of products of parts of the data, in float64."""
    result = parts[0].double()
    for part in parts[1:]:
        result = result + part
    return result
