"""Growth is measured in full precision, whatever the training around uses."""

from dataclasses import fields, replace

import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import EVERYTHING, site_of
from growth.test_field_laws import GRADMAX, NORTH, RANDOM, TINY
from torch import Tensor, nn

from nas_bench import plugins
from nas_bench.growth import find_sites, grow
from nas_bench.growth.measure import measure
from nas_bench.growth.statistics import FLOAT32_CUT
from nas_bench.growth.sums import Sums

AUTOCAST = {"device_type": "cpu", "dtype": torch.bfloat16}
METHODS = {"tiny": TINY, "gradmax": GRADMAX, "north": NORTH, "random": RANDOM,
           "exact": plugins.method("tiny[significance=false,exact=true]"),
           "significant": plugins.method("tiny")}  # fmt: skip
STAGES = ["conv", "batch norm", "flatten", "depthwise", "tokens"]


def measured(stage, needs=EVERYTHING):
    site = site_of(stage)
    return measure(stage.model, [site], stage.batches(9), stage.loss, {site.name: needs})[
        site.name
    ]


def sums(statistics):
    values = {f.name: getattr(statistics.sums, f.name) for f in fields(Sums)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def timeless(events):
    return [replace(event, seconds={}) for event in events]


@pytest.mark.parametrize("name", STAGES)
def test_statistics_inside_autocast_are_those_outside(name):
    stage = problems.ALL[name].cast(torch.float32)
    outside = measured(stage)
    with torch.autocast(**AUTOCAST):
        inside = measured(stage)
    for key, value in sums(outside).items():
        assert torch.equal(sums(inside)[key], value)
    for statistics in (inside, outside):
        assert (statistics.maps is None) == (name == "tokens")
    if outside.maps is not None:
        for key in ("inputs", "hidden", "goals"):
            assert torch.equal(getattr(inside.maps, key), getattr(outside.maps, key))
            assert getattr(inside.maps, key).dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("method", METHODS)
def test_proposals_from_what_autocast_measured_are_those_without(name, method):
    stage = problems.ALL[name].cast(torch.float32)
    statistics = measured(stage, METHODS[method].needs(site_of(stage)))
    outside = METHODS[method].propose(statistics, 3, torch.Generator().manual_seed(0))
    with torch.autocast(**AUTOCAST):
        statistics = measured(stage, METHODS[method].needs(site_of(stage)))
    inside = METHODS[method].propose(statistics, 3, torch.Generator().manual_seed(0))
    assert (inside.rescaled, inside.threshold) == (outside.rescaled, outside.threshold)
    for key in ("fan_in", "fan_out", "gains", "weight_update"):
        value = getattr(outside, key)
        assert value is getattr(inside, key) is None or torch.equal(getattr(inside, key), value)


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("method", METHODS)
def test_growth_inside_autocast_is_that_outside(name, method):
    where = "best" if name in ("conv", "tokens") else "each"
    outside, inside = (problems.ALL[name].cast(torch.float32) for _ in range(2))
    options = {"neurons": 2, "where": where, "seed": 0}
    events = grow(outside.model, outside.batches(9), outside.loss, METHODS[method], **options)
    with torch.autocast(**AUTOCAST):
        found = grow(inside.model, inside.batches(9), inside.loss, METHODS[method], **options)
    assert timeless(found) == timeless(events)
    state, expected = inside.model.state_dict(), outside.model.state_dict()
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(state[key], value)


@pytest.mark.parametrize("name", ["conv", "batch norm", "tokens"])
@pytest.mark.parametrize("method", ["tiny", "gradmax", "random"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_networks_of_half_precision_are_refused_and_left_alone(name, method, dtype):
    stage = problems.ALL[name].cast(dtype)
    stage.model.train()
    before = {key: value.clone() for key, value in stage.model.state_dict().items()}
    modules = dict(stage.model.named_modules())
    with pytest.raises(ValueError, match="too coarse to grow: keep them in float32") as error:
        grow(stage.model, stage.batches(9), stage.loss, METHODS[method], neurons=2)
    assert str(dtype).removeprefix("torch.") in str(error.value)
    assert str(error.value).count("\n") == 0
    assert dict(stage.model.named_modules()) == modules
    assert all(module.training for module in stage.model.modules())
    for key, value in stage.model.state_dict().items():
        assert torch.equal(value, before[key])


def precise(x):
    """A stage in single precision and the same numbers in double precision."""
    torch.manual_seed(5)
    channels = x.shape[1]
    layers = [nn.Conv2d(channels, 3, 2), nn.Tanh(), nn.Conv2d(3, 4, 2)]
    stage = problems.built(5, tuple(x.shape[1:]), layers, samples=len(x))
    low = replace(stage, x=x).cast(torch.float32)
    return low, low.cast(torch.float64)


def images(*shape, seed=3):
    """Multiples of 1/16, whose small sums and differences are exact in both precisions."""
    generator = torch.Generator().manual_seed(seed)
    return (16 * torch.randn(60, *shape, 6, 6, generator=generator).double()).round() / 16


def correlated(condition, channels=4):
    """Channels of about this condition: a common image and little else."""
    common, own = images(1), images(channels, seed=4)
    return common + own * (channels / condition) ** 0.5


def gains(stage, method, cut=None):
    found = measured(stage, method.needs(site_of(stage)))
    found = found if cut is None else replace(found, cut=cut)
    return method.propose(found, 100, torch.Generator().manual_seed(0)).gains, found


UNPROJECTED = plugins.method("tiny[projection=false,significance=false,ridge=0]")
GAINED = pytest.mark.parametrize("method", [TINY, UNPROJECTED, GRADMAX],
                                 ids=["tiny", "no projection", "gradmax"])  # fmt: skip


def spectrum(statistics):
    """Eigenvalues of the equilibrated covariance, as fractions of the largest."""
    S = statistics.covariance
    scale = S.diagonal().sqrt()
    e = torch.linalg.eigvalsh(S / scale.outer(scale))
    return e / e[-1]


@GAINED
@pytest.mark.parametrize(
    ("condition", "tolerance"), [(1e2, 1e-4), (1e4, 1e-3), (1e5, 3e-3), (1e8, 1e-3)]
)
def test_single_precision_agrees_on_strongly_correlated_channels(condition, tolerance, method):
    """Up to the cut of 1e-6, and beyond it, where the differences of channels are left out."""
    low, high = precise(correlated(condition))
    (found, single), (expected, double) = gains(low, method), gains(high, method, FLOAT32_CUT)
    if method is GRADMAX:  # at 1e8 some are as small as its rounding
        found, expected = (g[: 16 if condition < 1e6 else 4] for g in (found, expected))
    assert len(found) == len(expected) > 0
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)
    if method is not GRADMAX:
        kept = int((spectrum(double) > FLOAT32_CUT).sum())
        assert single.whitening.shape == double.whitening.shape == (17, kept)
        assert kept == (17 if condition < 1e6 else 5)


@pytest.mark.parametrize("method", [TINY, UNPROJECTED], ids=["tiny", "no projection"])
def test_eigenvalues_at_the_cut_itself_may_fall_on_either_side(method):
    """Whatever is kept, less of the inputs never gains more."""
    low, high = precise(correlated(1e6))
    (found, single), (expected, double) = gains(low, method), gains(high, method)
    few, many = (int((spectrum(double) > f * FLOAT32_CUT).sum()) for f in (1.2, 0.8))
    assert few < many
    assert few <= single.whitening.shape[1] <= many
    assert bool((found <= expected[: len(found)] * 1.01).all())


@GAINED
@pytest.mark.parametrize("span", [1e2, 1e4, 1e6])
def test_single_precision_agrees_on_badly_scaled_channels(span, method):
    """GradMax's gains have the units of the inputs, and so has what counts as their rounding."""
    units = span ** torch.tensor([0.5, 0.0, -0.5], dtype=torch.float64)
    low, high = precise((images(3) * units[:, None, None]).float().double())
    (found, _), (expected, _) = gains(low, method), gains(high, method)
    assert len(found) == len(expected) or (method is GRADMAX and len(found) >= 8)
    torch.testing.assert_close(found, expected[: len(found)], rtol=1e-5, atol=0)


@GAINED
@pytest.mark.parametrize("offset", [0.0, 4.0])
def test_dependent_channels_give_single_precision_no_false_directions(offset, method):
    x = images(3) + offset
    sums = (x[:, :1] + x[:, 1:2], x[:, 2:] - 2 * x[:, :1], x[:, 1:2])
    low, high = precise(torch.cat([x, *sums], 1))
    (found, single), (expected, double) = gains(low, method), gains(high, method)
    assert len(found) == len(expected) > 0
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
    if method is not GRADMAX:
        assert single.whitening.shape == double.whitening.shape == (25, 13)


@pytest.mark.parametrize("method", ["tiny[significance=false]", "random_growth[update=true]"])
@pytest.mark.parametrize("site", ["0", "2"])
def test_a_unit_that_is_dead_but_for_rounding_is_dead(method, site):
    """Its activity, 1e-17, is no feature that weights of 1e16 could make use of."""

    def grown(bias: float):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)
        )
        with torch.no_grad():
            first = model.get_submodule("0")
            first.get_parameter("weight")[1] = 0.0
            first.get_parameter("bias")[1] = bias
        x, y = torch.randn(200, 6), torch.randint(3, (200,))
        plugin = plugins.method(method)
        (event,) = grow(
            model, [(x, y)], nn.CrossEntropyLoss(), plugin, neurons=2, fill=True,
            sites=[s for s in find_sites(model, x[:2]) if s.name == site],
        )  # fmt: skip
        return model, event

    (dead, expected), (rounding, found) = grown(0.0), grown(1e-17)
    assert timeless([found]) == timeless([expected])
    for weight, other in zip(dead.parameters(), rounding.parameters(), strict=True):
        assert float(other.detach().abs().max()) < 100
        torch.testing.assert_close(other, weight)
