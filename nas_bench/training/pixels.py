"""Pixels as the inputs of networks: normalised by the training set, channel by channel."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def moments(pixels: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of pixels; those of bytes are divided by 255 first.

    Of bytes they are counted, the same to the bit everywhere; of floats computed in float64.
    """
    if pixels.dtype != torch.uint8:
        values = pixels.numpy().astype(np.float64)
        return float(values.mean()), float(values.std())
    counts = torch.bincount(pixels.flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum()
    mean = float(weights @ values)
    return mean, float((weights @ (values - mean) ** 2).sqrt())


def channel_moments(images: Tensor) -> list[tuple[float, float]]:
    """The moments of every channel of images, shape (n, c, h, w)."""
    return [moments(channel) for channel in images.unbind(1)]


def normalised(images: Tensor, moments: Sequence[tuple[float, float]]) -> Tensor:
    """Images less the mean and over the deviation of their channels, as float32.

    Args:
        images: shape (n, c, h, w), bytes (divided by 255 first) or floats; unchanged.
        moments: of each channel; where the deviation is 0 only the mean is taken off.
    """
    inputs = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if images.dtype == torch.uint8:
        inputs.div_(255)
    for channel, (mean, deviation) in zip(inputs.unbind(1), moments, strict=True):
        channel.sub_(mean).div_(deviation or 1.0)
    return inputs
