"""Random changes of the images of a training step."""

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

Augmentation = Literal["none", "crop_flip"]
PADDING = 4


def augmented(inputs: Tensor, augmentation: Augmentation, generator: Generator) -> Tensor:
    """The inputs of a training step, changed as the recipe says.

    Args:
        inputs: shape (n, …), unchanged.
        augmentation: of the recipe.
        generator: source of the draws, on the CPU, so that every device sees the same images.

    Raises:
        ValueError: if the inputs are no images where images are needed.
    """
    match augmentation:
        case "none":
            return inputs
        case "crop_flip":
            return crop_flip(inputs, generator)
    raise ValueError(f"unknown augmentation {augmentation!r}: choose none or crop_flip")


def crop_flip(images: Tensor, generator: Generator) -> Tensor:
    """Each image shifted by up to 4 pixels each way, and every second one mirrored.

    What moves in is 0, the mean colour of normalised images, as in He et al. (2016), who subtract
    the mean before they pad; pipelines that normalise last pad with black.

    Args:
        images: shape (n, c, h, w), unchanged.
        generator: source of shifts and mirrorings, on the CPU.

    Returns:
        Shape (n, c, h, w).

    Raises:
        ValueError: if the images have another number of dimensions.

    References:
        Deep Residual Learning for Image Recognition, He, Zhang, Ren, Sun, 2016,
        https://arxiv.org/abs/1512.03385, section 4.2.
    """
    if images.ndim != 4:
        raise ValueError(
            f"augmentation crop_flip takes images (n, c, h, w), not inputs of shape "
            f"{tuple(images.shape)}: set recipe.augmentation to none"
        )
    (n, channels, height, width), device = images.shape, images.device
    shifts = torch.randint(2 * PADDING + 1, (2, n, 1), generator=generator)
    mirrored = torch.randint(2, (1, n, 1), generator=generator)
    down, right, mirrored = _sent(torch.cat([shifts, mirrored]), device)
    columns = torch.arange(width, device=device).expand(n, width)
    rows = down + torch.arange(height, device=device)
    columns = right + torch.where(mirrored.bool(), columns.flip(1), columns)
    pixels = rows.unsqueeze(2) * (width + 2 * PADDING) + columns.unsqueeze(1)
    padded = functional.pad(images, (PADDING,) * 4).flatten(2)
    chosen = pixels.flatten(1).unsqueeze(1).expand(n, channels, -1)
    return padded.gather(2, chosen).view_as(images)


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """The values on a device; to a GPU from pinned memory, so that the host does not wait."""
    pinned = values.pin_memory() if device.type == "cuda" else values
    return pinned.to(device, non_blocking=True)
