"""Tasks whose data several networks share: options, names and sizes."""

import numpy as np
import pytest
import torch

from nas_bench import plugins
from nas_bench.growth import find_sites
from nas_bench.specs import InputError
from nas_bench.training.cifar import CIFAR100_COARSE
from nas_bench.training.flops import parameters
from nas_bench.training.task import Samples

CONVNETS = {
    "mnist[architecture=convnet]": ((1, 28, 28), (8, 8, 16, 16, 16), 10),
    "fashion_mnist[architecture=convnet]": ((1, 28, 28), (8, 8, 16, 16, 16), 10),
    "cifar100[architecture=convnet]": ((3, 32, 32), (16, 16, 32, 32, 16), 100),
    "cifar100[architecture=convnet,labels=coarse]": ((3, 32, 32), (16, 16, 32, 32, 16), 20),
}


def by_hand(shape, widths, classes):
    """Four 3 × 3 convolutions, two halvings of the map, two linear layers; with biases."""
    channels, height, width = shape
    a, b, c, d, hidden = widths
    convolutions = sum(9 * i * o + o for i, o in ((channels, a), (a, b), (b, c), (c, d)))
    flat = d * (height // 4) * (width // 4)
    return convolutions + flat * hidden + hidden + hidden * classes + classes


@pytest.mark.parametrize("spec", CONVNETS)
def test_a_convnet_has_widths_of_its_own_and_the_shortest_name(spec):
    shape, widths, classes = CONVNETS[spec]
    task = plugins.task(spec)
    assert (task.seed_widths, task.target_widths) == ((1,) * 5, widths)
    assert plugins.canonical(spec, "task") == spec
    network = task.network(task.target_widths)
    assert parameters(network) == by_hand(shape, widths, classes)

    sites = find_sites(network, torch.zeros(2, *shape))
    assert len([site for site in sites if task.grows(site.name)]) == 5


def test_widths_that_are_asked_for_are_kept_and_named():
    spec = "mnist[architecture=convnet,target_widths=[2,2,3,3,4]]"
    assert plugins.task(spec).target_widths == (2, 2, 3, 3, 4)
    assert plugins.canonical(spec, "task") == spec
    own = "mnist[architecture=convnet,target_widths=[8,8,16,16,16]]"
    assert plugins.canonical(own, "task") == "mnist[architecture=convnet]"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mnist[architecture=convnet,activation=tanh]", "is tanh, but a convnet has SELU"),
        ("mnist[architecture=convnet,seed_widths=[2,2]]", "must have one width each"),
        ("mnist[architecture=vit]", "expected 'mlp' or 'convnet'"),
        ("cifar100[labels=super]", "expected 'fine' or 'coarse'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(spec, said):
    with pytest.raises(InputError) as error:
        plugins.task(spec)
    assert said in str(error.value)


def test_coarse_labels_are_those_of_the_files(tmp_path):
    """Twenty superclasses beside the hundred classes, as the set has them."""
    import pickle

    place = tmp_path / CIFAR100_COARSE.place
    place.mkdir()
    images = np.arange(3 * 3072, dtype=np.uint8).reshape(3, 3072)
    for name in ("train", "test"):
        held = {b"data": images, b"fine_labels": [99, 5, 0], b"coarse_labels": [19, 2, 0]}
        (place / name).write_bytes(pickle.dumps(held))
    for labels, expected in (("fine", [99, 5, 0]), ("coarse", [19, 2, 0])):
        train, test = plugins.task(f"cifar100[labels={labels}]").load(tmp_path)
        assert isinstance(train, Samples)
        assert train.targets.tolist() == test.targets.tolist() == expected
