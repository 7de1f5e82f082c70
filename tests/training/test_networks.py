"""The networks of the tasks on colour images, as `torch.fx`, fvcore and autograd see them."""

import pytest
import torch
from torch import fx, nn

from nas_bench.training.convnet import convnet
from nas_bench.training.flops import inference_flops, parameters, training_flops
from nas_bench.training.resnet import EverySecondPixel, Residual, resnet18, thin_resnet
from nas_bench.training.vit import VisionTransformer

SHAPE = (3, 32, 32)
PAPER = (91, 76, 41, 11, 6, 3, 1, 1)
NETWORKS = {
    "convnet": lambda: convnet(SHAPE, (2, 3, 4, 5, 6), 10),
    "thin ResNet": lambda: thin_resnet((1, 2, 3, 4, 5, 6, 7, 8)),
    "ResNet-18": lambda: resnet18((1, 2, 3, 4, 5, 6, 7, 8), 10),
    "ViT": lambda: VisionTransformer(SHAPE, (3, 5), 10),
}
EVERY = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)


def images(n=4):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(0))


@EVERY
def test_a_traced_network_computes_the_same(build):
    network = build().eval()
    with torch.no_grad():
        assert torch.equal(fx.symbolic_trace(network)(images()), network(images()))


@EVERY
def test_every_parameter_gets_a_gradient(build):
    network = build()
    nn.functional.cross_entropy(network(images()), torch.arange(4)).backward()
    assert all(p.grad is not None for p in network.parameters())


@EVERY
def test_the_same_seed_gives_the_same_network(build):
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build())
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


@EVERY
def test_training_costs_about_three_forward_passes(build):
    network = build()
    forward = inference_flops(network, images())
    assert 1.9 * forward < training_flops(network, images()) < 3.1 * forward  # more: batch norm


def test_widths_are_those_of_the_layers_that_grow():
    linear = [m for m in convnet(SHAPE, (2, 3, 4, 5, 6), 10) if hasattr(m, "weight")]
    assert [len(m.weight) for m in linear] == [2, 3, 4, 5, 6, 10]
    for build in (thin_resnet, lambda widths: resnet18(widths, 10)):
        blocks = [m for m in build(PAPER).modules() if isinstance(m, Residual)]
        assert [len(block.branch[0].weight) for block in blocks] == list(PAPER)
    blocks = VisionTransformer(SHAPE, (3, 5), 10).blocks
    assert [len(block.mlp[0].weight) for block in blocks] == [3, 5]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 32, 32), (2, 9, 15)])
def test_the_plain_network_takes_images_of_any_size(shape):
    assert convnet(shape, (1, 2, 3, 4, 5), 7)(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_thin_resnet_has_the_parameters_of_the_papers_table():
    assert parameters(thin_resnet(PAPER)) == 117_410


def test_the_second_block_of_a_stage_halves_the_map():
    network, seen = thin_resnet((1,) * 8).eval(), []
    for module in network.modules():
        if isinstance(module, Residual):
            module.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    network(images(1))
    assert seen == [
        (8, 32, 32), (8, 16, 16), (16, 16, 16), (16, 8, 8),
        (32, 8, 8), (32, 4, 4), (64, 4, 4), (64, 2, 2),
    ]  # fmt: skip


def test_a_halving_skip_keeps_the_first_of_two_pixels():
    assert EverySecondPixel()(torch.arange(15.0).view(1, 1, 3, 5)).flatten().tolist() == [
        0, 2, 4, 10, 12, 14,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_no_middle_of_one_channel_starts_dead(seed):
    torch.manual_seed(seed)
    network, alive = thin_resnet((1,) * 8), []
    for module in network.modules():
        if isinstance(module, Residual):
            module.branch[1].register_forward_hook(
                lambda _, __, out: alive.append(bool(out.any()))
            )
    network(images(100))
    assert alive == [True] * 8


def test_the_standard_resnet_is_that_of_torchvision_with_a_small_stem():
    from torchvision.models import resnet18 as torchvisions

    standard = torchvisions(num_classes=100)
    standard.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    standard.maxpool = nn.Identity()
    ours = resnet18((64, 64, 128, 128, 256, 256, 512, 512), 100)
    assert sorted(p.shape for p in ours.parameters()) == sorted(
        p.shape for p in standard.parameters()
    )
    values = dict(zip(ours.state_dict(), _in_order(ours, standard), strict=True))
    ours.load_state_dict(values)
    with torch.no_grad():
        found, expected = ours.eval()(images(2)), standard.eval()(images(2))
    assert torch.allclose(found, expected, atol=1e-4)


def _in_order(ours, standard):
    """The standard network's values in our order: shortcuts are first there, last here."""
    order = {"branch.0": "conv1", "branch.1": "bn1", "branch.3": "conv2", "branch.4": "bn2"}
    blocks = [m for m in ours if isinstance(m, Residual)]
    theirs = [block for n in range(1, 5) for block in getattr(standard, f"layer{n}")]
    sources = {id(ours[0]): standard.conv1, id(ours[1]): standard.bn1, id(ours[-1]): standard.fc}
    for block, their in zip(blocks, theirs, strict=True):
        sources |= {id(block.get_submodule(a)): getattr(their, b) for a, b in order.items()}
        if their.downsample is not None:
            sources |= {id(block.skip[i]): their.downsample[i] for i in (0, 1)}
    for module in ours.modules():
        if id(module) in sources:
            yield from sources[id(module)].state_dict().values()


def test_attention_is_counted():
    flops = inference_flops(VisionTransformer(SHAPE, (256,), 10), images())
    tokens, d = 64, 128
    patches, linear = tokens * 48 * d, tokens * (4 * d * d + 2 * d * 256)
    attention, norms, head = 2 * tokens * tokens * d, 3 * 5 * tokens * d, d * 10
    assert flops == pytest.approx(patches + linear + attention + norms + head, rel=1e-6)


def test_permuting_patches_changes_the_outputs_only_through_the_positions():
    network = VisionTransformer(SHAPE, (8,), 10).eval()
    mirrored = images().view(4, 3, 8, 4, 32).flip(2).reshape(4, *SHAPE)
    with torch.no_grad():
        assert not torch.allclose(network(images()), network(mirrored), atol=1e-6)
        network.positions.zero_()
        assert torch.allclose(network(images()), network(mirrored), atol=1e-5)
