import pytest
import torch
from torch import Generator
from torch.nn import functional

from nas_bench.training.augmentation import augmented, crop_flip


def seeded(seed=0):
    return Generator().manual_seed(seed)


def images(n=200, channels=3, height=8, width=6):
    """Every pixel is another value, none 0."""
    return torch.arange(1, n * channels * height * width + 1.0).view(n, channels, height, width)


def windows(image):
    """All 162 images that augmentation can make of one."""
    padded = functional.pad(image, (4,) * 4)
    crops = [padded[:, i : i + 8, j : j + 6] for i in range(9) for j in range(9)]
    return [*crops, *(crop.flip(2) for crop in crops)]


def test_each_image_becomes_a_window_of_itself_or_of_its_mirror_image():
    before = images(30)
    for image, found in zip(before, crop_flip(before, seeded()), strict=True):
        assert any(torch.equal(found, window) for window in windows(image))


def test_all_shifts_and_both_sides_are_equally_frequent():
    one = images(1, 1).expand(40_000, -1, -1, -1)
    found = crop_flip(one, seeded())
    _, frequencies = found.flatten(1).unique(dim=0, return_counts=True)
    assert len(frequencies) == 2 * 9 * 9
    assert frequencies.min() > 170
    assert frequencies.max() < 330


def test_draws_come_from_the_generator_alone_and_the_images_stay():
    before = images()
    torch.manual_seed(1)
    first = crop_flip(before, seeded())
    torch.manual_seed(2)
    assert torch.equal(first, crop_flip(before, seeded()))
    assert not torch.equal(first, crop_flip(before, seeded(1)))
    assert torch.equal(before, images())


def test_without_augmentation_the_inputs_are_the_same_and_nothing_is_drawn():
    generator = seeded()
    state = generator.get_state()
    inputs = torch.ones(3, 2)
    assert augmented(inputs, "none", generator) is inputs
    assert torch.equal(generator.get_state(), state)


def test_what_is_no_image_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"\(3, 2\): set recipe.augmentation to none"):
        augmented(torch.ones(3, 2), "crop_flip", seeded())


def test_an_unknown_augmentation_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="choose none or crop_flip"):
        augmented(torch.ones(3, 2), "mixup", seeded())  # pyright: ignore[reportArgumentType]


def test_images_stay_on_their_device():
    changed = crop_flip(images(n=3).to("meta"), seeded())
    assert (changed.shape, changed.device.type) == ((3, 3, 8, 6), "meta")
