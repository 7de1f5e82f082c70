"""What the tasks on CIFAR say about their networks."""

import pytest
import torch

from nas_bench import plugins
from nas_bench.training.flops import parameters

IMAGES = torch.zeros(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("spec", "classes", "size"),
    [
        ("cifar10", 10, 49_610),
        ("cifar100", 100, 117_410),
        ("cifar100_resnet", 100, 11_220_132),
        ("cifar100_vit", 100, 1_217_252),
    ],
)
def test_the_target_network_has_the_size_that_is_documented(spec, classes, size):
    task = plugins.task(spec)
    network = task.network(task.target_widths).eval()
    assert network(IMAGES).shape == (2, classes)
    assert parameters(network) == size


def test_the_thin_resnet_keeps_its_fully_connected_layers():
    task = plugins.task("cifar100")
    network = task.network(task.seed_widths)
    layers = [name for name, module in network.named_modules() if hasattr(module, "weight")]
    assert [name for name in layers if not task.grows(name)] == ["head.1", "head.3", "head.5"]


@pytest.mark.parametrize(
    ("start", "seed"),
    [
        ("0.25", [16, 16, 32, 32, 64, 64, 128, 128]),
        ("0.015625", [1, 1, 2, 2, 4, 4, 8, 8]),
        ("0.001", [1] * 8),
        ("1", [64, 64, 128, 128, 256, 256, 512, 512]),
    ],
)
def test_start_is_another_way_to_write_seed_widths(start, seed):
    task = plugins.task(f"cifar100_resnet[start={start}]")
    assert list(task.seed_widths) == seed
    written = f"cifar100_resnet[seed_widths={seed}]".replace(" ", "")
    canonical = {
        plugins.canonical(s, "task") for s in (f"cifar100_resnet[start={start}]", written)
    }
    assert canonical == {"cifar100_resnet" if start == "0.25" else written}


def test_start_is_a_fraction_of_the_target_that_is_asked_for():
    task = plugins.task("cifar100_resnet[start=0.5,target_widths=[8,8,8,8,8,8,8,8]]")
    assert task.seed_widths == (4,) * 8


@pytest.mark.parametrize("start", ["0", "-1", "1.5"])
def test_a_start_that_is_no_fraction_is_refused(start):
    with pytest.raises(plugins.PluginError, match="expected a fraction above 0, up to 1"):
        plugins.task(f"cifar100_resnet[start={start}]")
