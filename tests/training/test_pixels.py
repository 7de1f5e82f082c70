import pytest
import torch

from nas_bench.training.pixels import channel_moments, moments, normalised

IMAGES = torch.randint(0, 256, (40, 3, 5, 7), generator=torch.Generator().manual_seed(0)).byte()


def test_bytes_and_the_same_values_as_floats_have_the_same_moments():
    values = IMAGES.double() / 255
    assert moments(IMAGES) == pytest.approx(moments(values), rel=1e-12)
    expected = float(values.mean()), float(values.std(correction=0))
    assert moments(IMAGES) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("images", [IMAGES, 3 + IMAGES.float() / 7], ids=["bytes", "floats"])
def test_every_channel_gets_mean_zero_and_deviation_one(images):
    before = images.clone()
    inputs = normalised(images, channel_moments(images))
    assert inputs.dtype == torch.float32
    assert inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (inputs.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert torch.equal(images, before)


def test_a_channel_of_one_value_becomes_zero():
    images = torch.full((4, 1, 2, 2), 0.5)
    assert not normalised(images, channel_moments(images)).any()
