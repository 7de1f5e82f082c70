"""Repeated passes without what comes before a layer are plain passes."""

from contextlib import suppress

import oracles
import pytest
import torch
from growth import field_problems as problems
from torch import nn
from torch.nn import functional

from nas_bench.growth.amplitude import Search, with_amplitude
from nas_bench.growth.capture import mean_loss
from nas_bench.growth.rerun import Rerun


class Counted(nn.Conv2d):
    """A 3 × 3 convolution that counts how often it computes."""

    computed = 0

    def __init__(self, inputs=4, outputs=4):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x):
        self.computed += 1
        return super().forward(x)


class Residual(nn.Module):
    """A block with an in-place activation and a functional sum in place."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Counted(), Counted()
        self.norm, self.activation = nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, x):
        identity = x
        out = self.activation(self.norm(self.first(x)))
        out = self.second(out)
        out += identity
        return self.activation(out)


class Repeating(nn.Module):
    """A convolution and an activation used before and after two others."""

    def __init__(self):
        super().__init__()
        self.stem, self.shared = Counted(2), Counted()
        self.first, self.second = Counted(), Counted()
        self.activation, self.head = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        x = self.activation(self.stem(x))
        x = self.activation(self.shared(self.shared(x)))
        x = self.activation(self.first(x))
        x = self.activation(self.shared(x)) + x
        x = self.activation(self.second(x))
        return self.head(self.activation(self.shared(x)).mean((2, 3)))


class Halves(nn.Module):
    """A module that returns a tuple with a dictionary in it."""

    def __init__(self):
        super().__init__()
        self.left, self.right = Counted(), Counted()

    def forward(self, x):
        return self.left(x), {"right": self.right(x), "scale": 0.5}


class Joining(nn.Module):
    """Tuples between modules, changed in place."""

    def __init__(self):
        super().__init__()
        self.stem, self.halves = Counted(2), Halves()
        self.middle, self.again, self.head = Counted(), Halves(), nn.Linear(4, 3)

    def forward(self, x):
        left, other = self.halves(self.stem(x))
        left += other["right"].mul_(other["scale"])
        left, other = self.again(self.middle(left.relu_()))
        return self.head((left + other["right"]).mean((2, 3)))


class Lists(nn.Module):
    """Containers that are never called, within one another."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.ModuleList([Counted(2), nn.Tanh()]),
                                     nn.ModuleList([Counted(), nn.ReLU(True)])])  # fmt: skip
        self.head = nn.Sequential(nn.Sequential(nn.Sequential(Counted(), nn.GELU()), Counted()),
                                  nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                  nn.Linear(4, 3))  # fmt: skip

    def forward(self, x):
        for stage in self.stages:
            for module in stage:
                x = module(x)
        return self.head(x)


def plain():
    return nn.Sequential(Counted(2), nn.ReLU(True), Counted(), nn.Dropout(), nn.ReLU(True),
                         nn.MaxPool2d(2), Counted(), nn.Flatten(), nn.Linear(16, 3))  # fmt: skip


def residual():
    return nn.Sequential(Counted(2), nn.ReLU(True), Residual(), nn.Sequential(Residual()),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))  # fmt: skip


NETWORKS = {
    "sequential": (plain, ["0", "2", "6", "8"]),
    "residual": (residual, ["0", "2.first", "2.second", "3.0.first", "3.0.second", "6"]),
    "repeating": (Repeating, ["stem", "shared", "first", "second", "head"]),
    "tuples": (Joining, ["stem", "halves.right", "middle", "again.left", "again.right", "head"]),
    "lists": (Lists, ["stages.0.0", "stages.1.0", "head.0.0.0", "head.0.1", "head.3"]),
}
CASES = [(name, layer) for name, (_, layers) in NETWORKS.items() for layer in layers]
EVERYWHERE = pytest.mark.parametrize(("name", "layer"), CASES)


def network(name):
    """In single precision, with batch norms that have a life behind them."""
    torch.manual_seed(0)
    model = NETWORKS[name][0]()
    problems._live(model)
    return model


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 2, 4, 4, generator=generator)
    return x, torch.arange(6) % 3


def changes(model, layer, count=4):
    """What is added to the output of a layer, pass by pass; nothing in the second."""
    shapes = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda _, __, output: shapes.append(output.shape)
    )
    with torch.no_grad():
        model.eval()(data()[0])
    handle.remove()
    generator = torch.Generator().manual_seed(2)
    scales = [1.0, 0.0, 0.1, 5.0][:count]
    return [scale * torch.randn(shapes[0], generator=generator) for scale in scales]


def losses(model, layer, added, rerun=None):
    with torch.no_grad():
        return [
            mean_loss(model, data(), functional.cross_entropy, layer, change, rerun)
            for change in added
        ]


def left_behind(model):
    """Every hook and every `forward` that a module does not have from its class."""
    return {
        name: (
            module.__dict__.get("forward"),
            list(module._forward_hooks.values()),
            list(module._forward_pre_hooks.values()),
        )
        for name, module in model.named_modules()
    }


@EVERYWHERE
def test_losses_are_those_of_plain_passes_bit_for_bit(name, layer):
    model = network(name)
    added = changes(model, layer)
    expected = losses(model, layer, added)
    assert len({float(value) for value in expected}) == len(expected)
    for actual, value in zip(losses(model, layer, added, Rerun(model, layer)), expected,
                             strict=True):  # fmt: skip
        assert torch.equal(actual, value)


@EVERYWHERE
def test_nothing_before_the_layer_is_computed_again(name, layer):
    """Which calls come before it, one plain pass shows."""
    model, order = network(name), []
    target, first = model.get_submodule(layer), {}
    for module in model.modules():
        module.register_forward_pre_hook(lambda module, _: order.append(module))
    added = changes(model, layer)
    for module in model.modules():
        module._forward_pre_hooks.clear()
    counted = [module for module in model.modules() if isinstance(module, Counted)]
    for module in counted:
        module.computed = 0
        first[module] = order[: order.index(target)].count(module)
    rerun = Rerun(model, layer)
    losses(model, layer, added, rerun)
    for module in counted:
        again = order.count(module) - first[module]
        assert module.computed == first[module] + again * len(added)
    assert layer == NETWORKS[name][1][0] or any(first.values())


@EVERYWHERE
def test_hooks_and_forwards_are_restored(name, layer):
    model = network(name)
    added, before = changes(model, layer), left_behind(model)
    rerun = Rerun(model, layer)
    for change in added:
        losses(model, layer, [change], rerun)
        assert left_behind(model) == before


class InterruptedPassError(RuntimeError):
    """Raised in the middle of a pass."""


@pytest.mark.parametrize("where", ["0", "2", "6", "8"])
@pytest.mark.parametrize("when", ["recorded", "replayed"])
def test_a_pass_that_raises_restores_everything_and_the_next_one_is_right(where, when):
    """Before, at and behind the layer."""
    model, layer = network("sequential"), "6"
    added = changes(model, layer)
    expected, before, rerun = losses(model, layer, added), left_behind(model), Rerun(model, layer)
    if when == "replayed":
        losses(model, layer, added[:1], rerun)
    broken = model.get_submodule(where)

    def interrupt(*_):
        raise InterruptedPassError

    handle = broken.register_forward_pre_hook(interrupt)
    with pytest.raises(InterruptedPassError):
        losses(model, layer, added[:1], rerun)
    handle.remove()
    assert left_behind(model) == before
    for actual, value in zip(losses(model, layer, added, rerun), expected, strict=True):
        assert torch.equal(actual, value)
    assert left_behind(model) == before


@pytest.mark.parametrize("raising", [False, True])
def test_a_forward_of_the_users_own_is_used_and_put_back(raising):
    model, layer = network("sequential"), "6"
    changed = [model.get_submodule(name) for name in ("2", "5", "6")]
    for module in changed:
        module.forward = lambda x, module=module: 2 * type(module).forward(module, x)
    own = [module.forward for module in changed]
    added = changes(model, layer)
    expected, rerun = losses(model, layer, added), Rerun(model, layer)
    if raising:
        losses(model, layer, added[:1], rerun)
        with suppress(InterruptedPassError), rerun:
            raise InterruptedPassError
    for actual, value in zip(losses(model, layer, added, rerun), expected, strict=True):
        assert torch.equal(actual, value)
    assert [module.forward for module in changed] == own


FIELDS = ["conv", "max pool", "batch norm", "depthwise", "flatten", "inner"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", FIELDS)
def test_line_searches_are_those_of_one_loss_after_the_other(name, dtype):
    stage = problems.ALL[name]
    new, site, stage = problems.random_neurons(stage), problems.site_of(stage), stage.cast(dtype)
    before = left_behind(stage.model)

    def searching():
        return Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)[site.name]

    search = searching()
    part = search.part(new)

    def change(amplitude):
        return search.change(part.scaled(amplitude))

    found = search.losses(change, 0.0, largest=16.0, grid=True)
    assert found.pop(0.0) == search.seen.loss
    assert list(found) == oracles.AMPLITUDES[1:]
    assert left_behind(stage.model) == before
    assert found == {e: searching().loss_with(change(e)) for e in found}
    exact = search.loss_with(search.change(search.part(with_amplitude(new, 0.5))))
    assert found[0.5] == pytest.approx(exact, rel=1e-5 if dtype == torch.float32 else 1e-12)


def test_a_hook_that_changes_an_output_is_applied_once():
    """The hook of a user, on what the layer reads."""
    model, layer = network("sequential"), "6"
    model.get_submodule("5").register_forward_hook(lambda _, __, output: 2 * output)
    added = changes(model, layer)
    expected = losses(model, layer, added)
    for actual, value in zip(losses(model, layer, added, Rerun(model, layer)), expected,
                             strict=True):  # fmt: skip
        assert torch.equal(actual, value)


class Overwriting(nn.Module):
    """An in-place activation whose input is read again."""

    def __init__(self):
        super().__init__()
        self.stem, self.middle = Counted(2), Counted()
        self.activation, self.head = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.middle(self.activation(x))
        return self.head((x + y).mean((2, 3)))


def test_what_a_module_writes_into_its_input_is_written_in_every_pass(monkeypatch):
    """A block that starts with an in-place activation also changes its skip connection."""
    monkeypatch.setitem(NETWORKS, "overwriting", (Overwriting, ["middle"]))
    model = network("overwriting")
    added = changes(model, "middle")
    expected = losses(model, "middle", added)
    for actual, value in zip(losses(model, "middle", added, Rerun(model, "middle")), expected,
                             strict=True):  # fmt: skip
        assert torch.equal(actual, value)
