"""What is measured of the data itself is measured once for several growths."""

import pytest
import torch
from growth import field_problems, problems
from growth.growing import own
from torch import nn
from trials.test_trial import Bent, trial

from nas_bench.growth import Need, find_sites, grow
from nas_bench.growth.input_grams import InputGrams, sites_on_data
from nas_bench.growth.measure import measure
from nas_bench.methods.tiny import Tiny
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.messages import GrowthRecord

METHOD = Tiny()
NEEDS = Need.INPUTS | Need.HIDDEN | Need.CROSS | Need.GOAL


def data_sites(model, x):
    return sites_on_data(model, find_sites(model, x[:2]), x)


def grown(stage, grams, size=20, **options):
    """Two growths of the first site on the same batches; the events."""
    batches = list(zip(stage.x.split(size), stage.y.split(size), strict=True))
    site = problems.site_of(stage)
    events = []
    for seed in (1, 2):
        events += grow(
            stage.model, batches, stage.loss, METHOD, neurons=2, sites=[site], grams=grams,
            samples={site.name: 50}, seed=seed, **options,
        )  # fmt: skip
    return events


def test_the_second_growth_neither_makes_nor_pays_the_gram_of_the_data():
    stage, other = (own(problems.ALL["tanh"]) for _ in range(2))
    site = problems.site_of(stage)
    once, twice = grown(stage, InputGrams([site.name])), grown(other, None)
    features = stage.x.shape[1]
    saved = [
        b.flops["statistics"] - a.flops["statistics"] for a, b in zip(once, twice, strict=True)
    ]
    assert saved == [0, 50 * features**2]
    for name, value in stage.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


@pytest.mark.parametrize("kind", ["rows", "maps"])
def test_statistics_with_a_gram_taken_over_are_those_without(kind):
    stage = problems.ALL["tanh"] if kind == "rows" else field_problems.ALL["conv"]
    site = problems.site_of(stage) if kind == "rows" else field_problems.site_of(stage)
    batches = list(zip(stage.x.split(7), stage.y.split(7), strict=True))
    needs = NEEDS if kind == "rows" else NEEDS & ~Need.CROSS | Need.MAPS
    grams = InputGrams([site.name])
    found = [
        measure(
            stage.model, [site], batches, stage.loss, {site.name: needs}, grams=grams,
            samples={site.name: 17},
        )[site.name]
        for _ in range(2)
    ]  # fmt: skip
    for name in ("covariance", "input_power", "input_mean", "cross_covariance"):
        torch.testing.assert_close(*(getattr(s, name) for s in found), rtol=1e-12, atol=0)
    assert len(grams.made) == 1


def test_more_samples_are_measured_anew():
    stage = problems.ALL["tanh"]
    site, grams = problems.site_of(stage), InputGrams([problems.site_of(stage).name])
    batches = [(stage.x, stage.y)]
    for count in (10, 20, 10):
        found = measure(
            stage.model, [site], batches, stage.loss, {site.name: NEEDS}, grams=grams,
            samples={site.name: count},
        )  # fmt: skip
        few = torch.cat((stage.x[:count], stage.x.new_ones(count, 1)), 1)
        torch.testing.assert_close(found[site.name].covariance, few.T @ few / count)


def test_of_other_samples_only_what_the_network_makes_of_them_is_measured():
    """S and the means of the inputs are those of the first growth, all else is of the second."""
    stage = problems.ALL["tanh"]
    site, grams = problems.site_of(stage), InputGrams([problems.site_of(stage).name])
    first, second = ((stage.x[i : i + 20], stage.y[i : i + 20]) for i in (0, 20))
    needs, samples = {site.name: NEEDS}, {site.name: 20}

    def measured(batch, grams):
        found = measure(
            stage.model, [site], [batch], stage.loss, needs, grams=grams, samples=samples
        )
        return found[site.name]

    before, mixed = (measured(batch, grams) for batch in (first, second))
    after = measured(second, None)
    for name in ("covariance", "input_mean", "input_power"):
        assert torch.equal(getattr(mixed, name), getattr(before, name))
        assert not torch.equal(getattr(mixed, name), getattr(after, name))
    for name in ("cross_covariance", "hidden_covariance", "hidden_cross", "hidden_goal"):
        assert torch.equal(getattr(mixed, name), getattr(after, name))


def test_a_trial_measures_the_data_once_unless_a_method_wants_it_exact():
    """Two growths at a site that reads the data: the second is cheaper by n f²."""
    schedule = Schedule(where="each", neurons=1, every=10, unit="steps", growths=2)
    flops = {}
    for ridge in ("0.001", "0"):
        running = trial(
            f"tiny[ridge={ridge},significance=false]", Bent(), kind="free", schedule=schedule,
            budget=Budget(steps=25),
        )  # fmt: skip
        events = [message for message in running.run() if isinstance(message, GrowthRecord)]
        flops[ridge] = [event.flops["statistics"] for event in events]
    features, samples = 10, 500
    saved = [b - a for a, b in zip(flops["0.001"], flops["0"], strict=True)]
    assert saved == [0, samples * features**2]


def test_only_sites_that_read_the_data_as_it_is_are_found():
    x = torch.randn(6, 1, 4, 4)

    class Scaled(nn.Sequential):
        def forward(self, x):
            return super().forward(2 * x)

    layers = [
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.ReLU(),
        nn.Linear(5, 4),
        nn.ReLU(),
        nn.Linear(4, 3),
    ]
    assert data_sites(nn.Sequential(*layers), x) == ["1"]
    assert data_sites(Scaled(*layers), x) == []
    convolutions = [nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Flatten()]
    assert data_sites(nn.Sequential(*convolutions, nn.Linear(8, 3)), x) == ["0"]
