"""Sites named by hand, where torch.fx cannot trace a model, are those that tracing finds."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_bench.growth import SiteError, find_sites, grow, named_site
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.random_growth import RandomGrowth


class Network(nn.Module):
    """Two convolutions and two linear layers; undecided, its path depends on the data."""

    def __init__(self, *, undecided):
        super().__init__()
        self.undecided = undecided
        self.one, self.norm, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.pool, self.two = nn.MaxPool2d(2), nn.Conv2d(4, 5, 3)
        self.three, self.four = nn.Linear(20, 7), nn.Linear(7, 3)
        self.idle, self.coupling = nn.Linear(3, 3), nn.GroupNorm(2, 4)
        self.grouped = nn.Conv2d(4, 4, 3, groups=2)

    def forward(self, x):
        if self.undecided and x.sum() > 1e9:
            return x
        x = functional.relu(self.two(self.pool(self.act(self.norm(self.one(x))))))
        return self.four(torch.tanh(self.three(x.flatten(1))))


X = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
NAMED = {
    "one": ("two", ["norm", "act", "pool"]),
    "two": ("three", [functional.relu, torch.flatten]),
    "three": ("four", [torch.tanh]),
}


def pair():
    """An untraceable network and its traceable twin, with equal weights and running moments."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        traceable, free = Network(undecided=False), Network(undecided=True)
    for _ in range(20):
        traceable.train()(X)
    free.load_state_dict(traceable.state_dict())
    return free.eval(), traceable.eval()


def site_of(model, grown):
    following, path = NAMED[grown]
    return named_site(model, X[:2], grown, following, path)


def described(site):
    steps = [(step.kind, step.label, step.module) for step in site.path]
    return site.grown, site.next, steps, site.positions, site.map, site.taps


@pytest.mark.parametrize("grown", NAMED)
def test_a_named_site_is_the_one_that_tracing_finds(grown):
    free, traceable = pair()
    with pytest.raises(SiteError, match="named by hand"):
        find_sites(free, X[:2])
    traced = next(s for s in find_sites(traceable, X[:2]) if s.grown == grown)
    assert described(site_of(free, grown)) == described(traced)


@pytest.mark.parametrize("grown", NAMED)
@pytest.mark.parametrize("method", [RandomGrowth(), Net2Net()], ids=lambda m: m.name)
def test_growth_at_a_named_site_is_that_at_the_traced_one(grown, method):
    free, traceable = pair()
    batches = [(X, torch.arange(len(X)) % 3)]
    for model in (free, traceable):
        sites = [site_of(model, grown)] if model is free else None
        options = {"sites": sites, "neurons": {grown: 2}, "where": "each", "fill": True,
                   "seed": 0}  # fmt: skip
        grow(model, batches, nn.CrossEntropyLoss(), method, **options)
    assert len(free.get_submodule(grown).weight) > len(pair()[0].get_submodule(grown).weight)
    for name, tensor in traceable.state_dict().items():
        assert torch.allclose(free.state_dict()[name], tensor, atol=1e-6), name


def test_naming_changes_nothing_of_the_model():
    free, _ = pair()
    free.train()
    before = copy.deepcopy(free.state_dict())
    site_of(free, "one")
    assert all(module.training for module in free.modules())
    assert all(torch.equal(before[key], value) for key, value in free.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in free.modules())


@pytest.mark.parametrize(
    ("grown", "following", "path", "words"),
    [
        ("nowhere", "four", [], "no module 'nowhere'"),
        ("three", "nowhere", [], "no module 'nowhere'"),
        ("three", "four", ["nowhere"], "no module 'nowhere'"),
        ("idle", "four", [], "idle"),
        ("norm", "four", [], "only nn.Linear and nn.Conv2d grow"),
        ("grouped", "two", [], "in 2 groups"),
        ("two", "three", [functional.relu], "flatten"),
        ("four", "one", [], "linear"),
        ("one", "two", ["norm", "act", "pool", "coupling"], "couples"),
        ("three", "four", [torch.sigmoid], "at 0"),
        ("three", "four", [torch.softmax], "softmax in the path is not known"),
        ("one", "two", ["norm", "act", functional.max_pool2d], "max_pool2d"),
        ("three", "four", ["two"], "two"),
    ],
)
def test_what_cannot_grow_is_one_clear_sentence(grown, following, path, words):
    free, _ = pair()
    with pytest.raises(SiteError) as caught:
        named_site(free, X[:2], grown, following, path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("grown", "following", "path"),
    [
        ("one", "two", []),
        ("one", "two", ["norm", "act"]),
        ("one", "four", ["norm", "act", "pool", torch.flatten]),
        ("two", "three", [torch.flatten]),
        ("three", "four", []),
        ("four", "three", []),
        ("three", "idle", [torch.tanh]),
    ],
)
def test_a_path_that_is_not_what_happens_is_refused(grown, following, path):
    free, _ = pair()
    with pytest.raises(SiteError):
        named_site(free, X[:2], grown, following, path)
