"""A forward that reads a width is found before anything grows."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_bench.growth import SiteError, find_sites, grow, named_site, survey
from nas_bench.growth.width_reads import width_reasons
from nas_bench.methods.tiny import Tiny

EAGER = Tiny(significance=False)
CROSS_ENTROPY = nn.CrossEntropyLoss()


class Reading(nn.Module):
    """Two layers whose output a function of the model scales."""

    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.n, self.b = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)
        self.scale, self.fixed = scale, self.a.out_features**-0.5

    def forward(self, x):
        h = self.n(functional.relu(self.a(x)))
        return self.b(h) * self.scale(self, h)


READS = {
    "out_features": lambda model, _: model.a.out_features**-0.5,
    "in_features": lambda model, _: model.b.in_features**-0.5,
    "num_features": lambda model, _: 1 / model.n.num_features,
    "shape of the activity": lambda _, h: h.shape[1] ** -0.5,
    "size of the activity": lambda _, h: h.size(-1) ** -0.5,
    "shape of a parameter": lambda m, _: sum(p.shape[0] for p in m.a.parameters()) ** -0.5,
}


def data(samples=80):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 6, generator=generator)
    return x, torch.randint(4, (samples,), generator=generator)


def state(model):
    values = {name: value.clone() for name, value in model.state_dict().items()}
    sizes = model.a.out_features, model.b.in_features, model.n.num_features
    return values, sizes, [id(p) for p in model.parameters()]


@pytest.mark.parametrize("name", READS)
def test_a_forward_that_reads_a_width_is_refused_when_sites_are_found(name):
    model = Reading(READS[name])
    found = survey(model, data()[0][:2])
    assert not found.sites
    assert "forward reads its width" in {r.layer: r.reason for r in found.refusals}["a"]


@pytest.mark.parametrize("name", READS)
def test_a_forward_that_reads_a_width_is_refused_by_growth_and_left_as_it_was(name):
    model = Reading(READS[name])
    site = named_site(model, data()[0][:2], "a", "b", [functional.relu, "n"])
    values, sizes, parameters = state(model)
    with pytest.raises(SiteError, match="site a cannot grow: the model's forward reads its width"):
        grow(model, [data()], CROSS_ENTROPY, EAGER, sites=[site])
    after, sizes_after, parameters_after = state(model)
    assert all(torch.equal(after[key], value) for key, value in values.items())
    assert (sizes_after, parameters_after) == (sizes, parameters)


def test_a_number_that_stays_is_no_width_that_is_read():
    model = Reading(lambda model, _: model.fixed)
    (event,) = grow(model, [data()], CROSS_ENTROPY, EAGER, neurons=2)
    assert event.added == 2


def test_a_forward_that_allows_one_width_only_is_refused_with_what_it_says():
    def check(_, h):
        if h.shape[1] != 5:
            raise RuntimeError("expected five features\nand no more")
        return 1.0

    model = Reading(check)
    site = named_site(model, data()[0][:2], "a", "b", [functional.relu, "n"])
    with pytest.raises(SiteError, match=r"cannot run once it is wider: expected five features$"):
        grow(model, [data()], CROSS_ENTROPY, EAGER, sites=[site])


def test_sites_beside_one_that_is_read_grow():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.three = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 4)

        def forward(self, x):
            h = functional.relu(self.two(functional.relu(self.one(x))))
            return self.three(h) / self.two.out_features

    torch.manual_seed(0)
    model = Deep()
    assert [site.name for site in find_sites(model, data()[0][:2])] == ["one"]
    assert [e.site for e in grow(model, [data()], CROSS_ENTROPY, EAGER, where="all")] == ["one"]


def test_networks_of_every_kind_of_path_do_not_read_their_widths():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.PReLU(6), nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 4, 3), nn.Flatten(),
        nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 2),
    )  # fmt: skip
    x = torch.randn(4, 3, 8, 8)
    sites = find_sites(model, x)
    assert [site.name for site in sites] == ["0", "5", "9"]
    before = model.state_dict()
    assert width_reasons(model, sites, x) == {}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
