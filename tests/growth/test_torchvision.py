"""Networks of torchvision, as they are: which layers grow, and that grown networks are sound."""

import copy
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from growth.growing import EAGER, NORTH, SILENT
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from nas_bench.growth import Survey, grow, survey
from nas_bench.growth.operations import depthwise
from nas_bench.growth.sites import Site
from nas_bench.growth.tracing import LAYERS
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.tiny import Tiny

UNPROJECTED = Tiny(projection=False, significance=False)
GROWS = ""
pytestmark = pytest.mark.slow
RESIDUAL, BRANCH, OUTPUT = "(residual)", "read in 2 places", "the model's output"
DEPTHWISE, GATE = "it is a depthwise convolution", "Hardsigmoid"
LATER = r"features\.([4-9]|1[01])\.block"

RULES: dict[str, dict[str, str]] = {
    "resnet18": {
        r"layer\d\.\d\.conv1": GROWS,
        r"layer.*(conv2|downsample\.0)": RESIDUAL,
        "conv1": BRANCH,
        "fc": OUTPUT,
    },
    "resnet50": {
        r"layer\d\.\d\.conv[12]": GROWS,
        r"layer.*(conv3|downsample\.0)": RESIDUAL,
        "conv1": BRANCH,
        "fc": OUTPUT,
    },
    "vgg11": {r"features\.\d+|classifier\.[03]": GROWS, r"classifier\.6": OUTPUT},
    "vgg11_bn": {r"features\.\d+|classifier\.[03]": GROWS, r"classifier\.6": OUTPUT},
    "mobilenet_v2": {
        r"features\.(0|18)\.0": GROWS,
        r"features\.(1\.conv\.0|\d+\.conv\.1)\.0": DEPTHWISE,
        r"features\.\d+\.conv\.0\.0": GROWS,
        r"features\.(1\.conv\.1|17\.conv\.2)": GROWS,
        r"features\.(2|4|7|11|14)\.conv\.2": BRANCH,
        r"features\.\d+\.conv\.2": RESIDUAL,
        r"classifier\.1": OUTPUT,
    },
    "mobilenet_v3_small": {
        r"features\.\d+\.block\.\d\.fc1": GROWS,
        r"features\.\d+\.block\.\d\.fc2": GATE,
        r"features\.1\.block\.0\.0|features\.[23]\.block\.1\.0": DEPTHWISE,
        r"features\.[23]\.block\.0\.0|features\.1\.block\.2\.0": GROWS,
        rf"{LATER}\.1\.0": DEPTHWISE,
        rf"{LATER}\.0\.0|features\.0\.0": BRANCH,
        r"features\.(2\.block\.2|[479]\.block\.3)\.0": BRANCH,
        r"features\.(3\.block\.2|([568]|1[01])\.block\.3)\.0": RESIDUAL,
        r"features\.12\.0|classifier\.0": GROWS,
        r"classifier\.3": OUTPUT,
    },
    "vit_b_16": {
        r"encoder.*\.mlp\.0": GROWS,
        r"encoder.*\.mlp\.3": RESIDUAL,
        r"encoder.*\.out_proj": "does not call it",
        "conv_proj": "reshape in the path",
        r"heads\.head": OUTPUT,
    },
}
"""For the names of layers, in this order, part of the reason why they do not grow."""


def vit_b_16(num_classes: int) -> nn.Module:
    """torchvision's, for smaller images."""
    from torchvision import models

    return models.VisionTransformer(32, 16, 12, 12, 768, 3072, num_classes=num_classes)


@functools.cache
def surveyed(name: str) -> tuple[nn.Module, Survey]:
    from torchvision import models

    with torch.device("meta"):
        model = (vit_b_16 if name == "vit_b_16" else getattr(models, name))(num_classes=10)
    model = model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model, survey(model, torch.zeros(2, 3, 32, 32))


def expected(name: str, layer: str) -> str:
    return next(word for rule, word in RULES[name].items() if re.fullmatch(rule, layer))


@pytest.mark.parametrize("name", RULES)
def test_exactly_the_layers_of_the_rule_grow(name):
    model, found = surveyed(name)
    layers = {layer for layer, module in model.named_modules() if isinstance(module, LAYERS)}
    assert {s.grown for s in found.sites} == {x for x in layers if expected(name, x) == GROWS}


@pytest.mark.parametrize("name", RULES)
def test_every_other_layer_has_its_reason(name):
    model, found = surveyed(name)
    layers = {layer for layer, module in model.named_modules() if isinstance(module, LAYERS)}
    reasons = {r.layer: r.reason for r in found.refusals}
    assert reasons.keys() == layers - {s.grown for s in found.sites}
    assert {x: r for x, r in reasons.items() if expected(name, x) not in r} == {}


@pytest.mark.parametrize(
    ("name", "grown", "following", "kinds", "positions", "taps"),
    [
        ("resnet18", "layer2.0.conv1", "layer2.0.conv2", ["batch norm", "activation"], 16, 9),
        ("resnet50", "layer1.0.conv2", "layer1.0.conv3", ["batch norm", "activation"], 64, 1),
        ("vgg11", "features.0", "features.3", ["activation", "pooling"], 256, 9),
        ("vgg11_bn", "features.25", "classifier.0",
         ["batch norm", "activation", "pooling", "pooling", "flatten"], 49, 49),
        ("vgg11", "classifier.0", "classifier.3", ["activation", "identity"], 1, 1),
        ("mobilenet_v2", "features.2.conv.0.0", "features.2.conv.2",
         ["batch norm", "activation", "depthwise", "batch norm", "activation"], 64, 1),
        ("mobilenet_v2", "features.18.0", "classifier.1",
         ["batch norm", "activation", "pooling", "flatten", "identity"], 1, 1),
        ("mobilenet_v3_small", "features.1.block.1.fc1", "features.1.block.1.fc2",
         ["activation"], 1, 1),
        ("vit_b_16", "encoder.layers.encoder_layer_3.mlp.0",
         "encoder.layers.encoder_layer_3.mlp.3", ["activation", "identity"], 5, 1),
    ],
)  # fmt: skip
def test_a_site_knows_its_path_positions_and_taps(name, grown, following, kinds, positions, taps):
    site = next(s for s in surveyed(name)[1].sites if s.grown == grown)
    assert site.next == following
    assert [step.kind for step in site.path] == kinds
    assert (site.positions, site.taps) == (positions, taps)


@dataclass(frozen=True)
class Subject:
    """A network of torchvision, with the sites where it grows, early to late."""

    make: Callable[..., nn.Module]
    sites: tuple[str, ...]
    rate: float = 0.01


def thin_vgg11_bn(num_classes: int) -> nn.Module:
    """A quarter of torchvision's channels and a head of one layer, not of 120 million weights."""
    from torchvision import models
    from torchvision.models.vgg import make_layers

    plan: list[str | int] = [16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128, "M"]
    with torch.device("meta"):
        model = models.VGG(make_layers(plan, batch_norm=True), init_weights=False)
    model.classifier = nn.Sequential(nn.Linear(128 * 49, num_classes, device="meta"))
    model = model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (_BatchNorm, nn.Linear)):
            module.reset_parameters()
    return model


def short_resnet(num_classes: int) -> nn.Module:
    """torchvision's ResNet-18 with one block a stage, not two."""
    from torchvision import models

    return models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=num_classes)


def thin_mobilenet_v2(num_classes: int) -> nn.Module:
    """Half of torchvision's channels, without dropout."""
    from torchvision import models

    return models.mobilenet_v2(width_mult=0.5, dropout=0.0, num_classes=num_classes)


SUBJECTS = {
    "resnet10": Subject(short_resnet, ("layer1.0.conv1", "layer2.0.conv1")),
    "vgg11_bn": Subject(thin_vgg11_bn, ("features.0", "features.4"), rate=1e-4),
    "mobilenet_v2": Subject(
        thin_mobilenet_v2,
        ("features.1.conv.1", "features.9.conv.0.0", "features.18.0"),
    ),
}  # fmt: skip


@functools.cache
def prepared(name):
    """The network with running statistics of the data, the data and the sites."""
    subject = SUBJECTS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = subject.make(num_classes=10).double()
        x, y = torch.randn(16, 3, 32, 32, dtype=torch.float64), torch.arange(16) % 10
    model.train()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model(x)
    for norm in norms:
        norm.momentum = 0.1
        norm.num_batches_tracked.fill_(100)
    return model.eval(), x, y


@functools.cache
def found_sites(name) -> tuple[Site, ...]:
    model, x, _ = prepared(name)
    return survey(model, x[:2]).sites


def grown(name, method, *sites, neurons=2, where="each", optimizer=None, model=None):
    """A copy of the network, grown at these sites, and the events."""
    original, x, y = prepared(name)
    model = copy.deepcopy(original) if model is None else model
    batches = list(zip(x.split(8), y.split(8), strict=True))
    asked = dict.fromkeys(sites or SUBJECTS[name].sites, neurons)
    events = grow(
        model, batches, nn.CrossEntropyLoss(), method, neurons=asked, where=where, seed=0,
        sites=found_sites(name), optimizer=optimizer,
    )  # fmt: skip
    return model, events


def outputs(model, x):
    with torch.no_grad():
        return model.eval()(x)


def loss(name, model):
    _, x, y = prepared(name)
    return float(functional.cross_entropy(outputs(model, x), y))


def widths(name, model):
    return [len(model.get_submodule(site).weight) for site in SUBJECTS[name].sites]


def sound(model):
    """Whether every layer says of itself what its parameters say."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            own = (module.out_channels, module.in_channels // module.groups)
            assert module.weight.shape[:2] == own
            assert module.bias is None or len(module.bias) == module.out_channels
        if isinstance(module, nn.Linear):
            assert module.weight.shape == (module.out_features, module.in_features)
        if isinstance(module, _BatchNorm):
            tensors = (module.weight, module.bias, module.running_mean, module.running_var)
            assert {len(tensor) for tensor in tensors} == {module.num_features}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("method", [GradMax(), NORTH, SILENT, Net2Net()], ids=lambda m: m.name)
def test_outputs_are_kept_by_the_methods_that_say_so(name, method):
    original, x, _ = prepared(name)
    model, events = grown(name, method)
    before, after = outputs(original, x), outputs(model, x)
    assert float((after - before).abs().max() / before.abs().max()) < 1e-10
    added = [event.added for event in events]
    assert added[0] > 0 if method is NORTH else set(added) == {2}
    gained = zip(widths(name, model), widths(name, original), strict=True)
    assert [now - then for now, then in gained] == added
    sound(model)


@pytest.mark.parametrize("name", SUBJECTS)
def test_neurons_of_tiny_lower_the_loss(name):
    original, _, _ = prepared(name)
    sites = SUBJECTS[name].sites
    before = loss(name, original)
    model, events = grown(name, UNPROJECTED, sites[0], sites[-1])
    assert [event.added for event in events] == [2, 2]
    assert all(event.measured > 0 for event in events)
    assert loss(name, model) == pytest.approx(before - sum(e.measured for e in events), rel=1e-6)
    sound(model)


def test_tiny_with_its_update_of_existing_weights_lowers_the_loss():
    model, (event,) = grown("resnet10", EAGER, "layer1.0.conv1")
    assert event.update_amplitude > 0
    assert event.measured > 0
    drop = loss("resnet10", prepared("resnet10")[0]) - loss("resnet10", model)
    assert drop == pytest.approx(event.measured, rel=1e-6)


def test_adjacent_sites_grow_from_one_pass():
    """Later neurons get fan-in 0 on the channels that did not exist when they were measured."""
    original, x, _ = prepared("vgg11_bn")
    model, events = grown("vgg11_bn", GradMax(), where="all")
    assert [event.added for event in events] == [2, 2]
    assert torch.allclose(outputs(model, x), outputs(original, x), rtol=1e-9)
    sound(model)
    model, events = grown("vgg11_bn", UNPROJECTED, where="all")
    assert [event.added for event in events] == [2, 2]
    assert loss("vgg11_bn", model) < loss("vgg11_bn", original)
    new = model.get_submodule("features.4").weight[-2:]
    assert new[:, :16].any()
    assert not new[:, 16:].any()
    sound(model)


@pytest.mark.parametrize("method", [GradMax(), SILENT, Net2Net()], ids=lambda m: m.name)
def test_a_convolution_before_a_flatten_grows(method):
    original, x, _ = prepared("vgg11_bn")
    model, (event,) = grown("vgg11_bn", method, "features.25")
    assert event.added == 2
    assert torch.allclose(outputs(model, x), outputs(original, x), rtol=1e-9)
    sound(model)


def test_depthwise_convolutions_and_norms_of_the_path_are_widened_along():
    model, _ = grown("mobilenet_v2", SILENT, "features.9.conv.0.0")
    _, norm, convolution, second = (
        model.get_submodule(f"features.9.conv.{part}") for part in ("0.0", "0.1", "1.0", "1.1")
    )
    assert depthwise(convolution)
    assert convolution.groups == norm.num_features == second.num_features == 192 + 2
    kernels = convolution.weight[-2:, 0]
    assert torch.equal(kernels.sum((1, 2)), torch.ones(2, dtype=kernels.dtype))
    assert torch.equal(kernels[:, 1, 1], torch.ones(2, dtype=kernels.dtype))
    for one in (norm, second):
        spread = (one.running_var[-2:] + one.eps).sqrt()
        assert torch.allclose(one.weight[-2:], spread)
        assert torch.allclose(one.bias[-2:], one.running_mean[-2:])


OPTIMIZERS = {
    "sgd": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": functools.partial(torch.optim.Adam, betas=(0.9, 0.99)),
}


def step(model, x, y, optimizer):
    optimizer.zero_grad()
    value = functional.cross_entropy(model.train()(x), y)
    value.backward()
    optimizer.step()
    return float(value.detach())


@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [
        ("resnet10", "sgd", GradMax()),
        ("resnet10", "adam", SILENT),
        ("mobilenet_v2", "sgd", SILENT),
        ("mobilenet_v2", "adam", GradMax()),
        ("vgg11_bn", "sgd", GradMax()),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_grown_network_trains_on(name, kind, method):
    original, x, y = prepared(name)
    model = copy.deepcopy(original)
    optimizer = OPTIMIZERS[kind](
        model.parameters(), lr=SUBJECTS[name].rate * (0.1 if kind == "adam" else 1)
    )
    step(model, x, y, optimizer)
    _, events = grown(name, method, model=model, optimizer=optimizer)
    assert {event.added for event in events} == {2}
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in trained} == {id(p) for p in model.parameters()}
    for parameter, state in optimizer.state.items():
        assert {t.shape for t in state.values() if torch.is_tensor(t) and t.dim()} == {
            parameter.shape
        }
    assert len(optimizer.state) == len(trained)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    losses = [step(model, x, y, optimizer) for _ in range(4)]
    assert losses[-1] < 0.99 * losses[0]
    late = SUBJECTS[name].sites[-1]
    following = next(s.next for s in found_sites(name) if s.grown == late)
    for layer, part in ((late, slice(-2, None)), (following, (slice(None), slice(-2, None)))):
        weight = f"{layer}.weight"
        assert not torch.equal(model.get_parameter(weight)[part], before[weight][part])
    sound(model)
