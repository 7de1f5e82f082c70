"""What the tasks on CIFAR say about their networks."""

import pytest
import torch

from nas_bench import plugins
from nas_bench.training.flops import parameters

RESNET = "cifar100[architecture=resnet18"
IMAGES = torch.zeros(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("spec", "classes", "size"),
    [
        ("cifar10", 10, 49_610),
        ("cifar100", 100, 117_410),
        ("cifar100[architecture=resnet18]", 100, 11_220_132),
        ("cifar100[architecture=vit]", 100, 1_217_252),
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
    own, started = f"{RESNET}]", f"{RESNET},start={start}]"
    assert list(plugins.task(started).seed_widths) == seed
    written = f"{RESNET},seed_widths={seed}]".replace(" ", "")
    canonical = {plugins.canonical(spec, "task") for spec in (started, written)}
    assert canonical == {own if start == "0.25" else written}


def test_start_is_a_fraction_of_the_target_that_is_asked_for():
    task = plugins.task(f"{RESNET},start=0.5,target_widths=[8,8,8,8,8,8,8,8]]")
    assert task.seed_widths == (4,) * 8


@pytest.mark.parametrize("start", ["0", "-1", "1.5"])
def test_a_start_that_is_no_fraction_is_refused(start):
    with pytest.raises(plugins.PluginError, match="expected a fraction above 0, up to 1"):
        plugins.task(f"{RESNET},start={start}]")


@pytest.mark.parametrize("task", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("widths", ["seed_widths=[1,1]", "target_widths=[110,51]"])
def test_widths_of_another_network_are_refused_even_where_they_are_its_own(task, widths):
    with pytest.raises(plugins.PluginError, match="one width each for every hidden layer"):
        plugins.task(f"{task}[architecture=convnet,{widths}]")


def test_each_network_has_its_own_recipe_and_share_of_a_gpu():
    thin, full, vit = map(plugins.task, ("cifar100", f"{RESNET}]", "cifar100[architecture=vit]"))
    assert [task.recipe.optimizer for task in (thin, full, vit)] == ["adam", "sgd", "adamw"]
    assert [task.gpu_share for task in (thin, full, vit)] == [0.25, 1.0, 0.5]
