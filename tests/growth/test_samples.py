"""Each site's statistics are those of the samples it was given, and of no others."""

from dataclasses import fields, replace

import pytest
import torch
from growth import field_problems, problems
from growth.field_problems import EVERYTHING
from growth.problems import site_of
from growth.test_field_laws import GRADMAX, NET2NET, NORTH, RANDOM, RANDOM_UPDATED, TINY
from torch import Tensor, nn

from nas_bench import plugins
from nas_bench.growth import Need, grow
from nas_bench.growth.measure import measure
from nas_bench.growth.sums import Sums
from nas_bench.growth.tracing import find_sites

FIRST, SECOND = "0", "2"
METHODS = {"tiny": TINY, "gradmax": GRADMAX, "north": NORTH, "random": RANDOM,
           "random, updated": RANDOM_UPDATED, "net2net": NET2NET,
           "significant": plugins.method("tiny"),
           "update": plugins.method("update_only")}  # fmt: skip


class Read:
    """Batches that know how many of them were read in the last pass."""

    def __init__(self, batches):
        self.batches, self.count = batches, 0

    def __iter__(self):
        self.count = 0
        for batch in self.batches:
            self.count += 1
            yield batch


def maps():
    """Two adjacent sites of maps and 40 samples: FIRST and SECOND."""
    return field_problems.deep()


def rows():
    """Two adjacent sites of rows and 60 samples."""
    return problems.deep(samples=60)


def tokens():
    """Two adjacent sites of tokens."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 2))
    x, y = torch.randn(40, 3, 4).double(), torch.randn(40, 3, 2).double()
    return replace(rows(), model=model.double(), x=x, y=y, loss=nn.functional.mse_loss)


STAGES = {"maps": maps, "rows": rows, "tokens": tokens}
EVERYWHERE = pytest.mark.parametrize("kind", STAGES)
SIZES = pytest.mark.parametrize("size", [1, 7, 13, 60])


def needs_of(kind):
    return EVERYTHING | Need.PATCHES if kind == "maps" else problems.EVERYTHING | Need.SAMPLES


def measured(kind, stage, batches, samples=None, names=(FIRST, SECOND)):
    sites = [s for s in find_sites(stage.model, stage.x[:2]) if s.name in names]
    needs = {site.name: needs_of(kind) for site in sites}
    return measure(stage.model, sites, batches, stage.loss, needs, samples=samples)


def first(stage, count):
    return replace(stage, x=stage.x[:count], y=stage.y[:count])


def check_same(statistics, expected):
    assert statistics.count == expected.count
    for name in (f.name for f in fields(Sums)):
        value, other = (getattr(s.sums, name) for s in (statistics, expected))
        if isinstance(other, Tensor):
            torch.testing.assert_close(value, other, rtol=1e-10, atol=1e-12)
        else:
            assert value == other
    if expected.maps is not None:
        for name in ("inputs", "hidden", "goals"):
            torch.testing.assert_close(
                getattr(statistics.maps, name), getattr(expected.maps, name)
            )
    if expected.samples is not None and expected.samples.goals is not None:
        assert len(statistics.samples.keys) == len(expected.samples.keys)


@pytest.mark.slow
@SIZES
@EVERYWHERE
@pytest.mark.parametrize("counts", [(5, 26), (26, 5), (14, 14), (13, None), (None, 1)])
def test_statistics_are_those_of_exactly_the_first_samples(kind, size, counts):
    """Whatever the batches; a site that is not named takes all."""
    stage = STAGES[kind]()
    given = {n: c for n, c in zip((FIRST, SECOND), counts, strict=True) if c is not None}
    found = measured(kind, stage, stage.batches(size), given)
    for name in (FIRST, SECOND):
        part = first(stage, given.get(name, len(stage.x)))
        check_same(found[name], measured(kind, part, part.batches(), names=[name])[name])


@EVERYWHERE
def test_more_samples_than_there_are_is_all_of_them(kind):
    stage = STAGES[kind]()
    found = measured(kind, stage, stage.batches(9), {FIRST: 10**6, SECOND: len(stage.x)})
    for name, expected in measured(kind, stage, stage.batches()).items():
        check_same(found[name], expected)


@EVERYWHERE
@pytest.mark.parametrize(
    ("counts", "batches"), [((5, 26), 4), ((14, 7), 2), ((1, 1), 1), ((8, 21), 3)]
)
def test_batches_after_the_last_wanted_one_are_not_read(kind, counts, batches):
    stage, passes = STAGES[kind](), 0

    def count(*_):
        nonlocal passes
        passes += 1

    read = Read(stage.batches(7))
    stage.model.register_forward_pre_hook(count)
    sites = [s for s in find_sites(stage.model, stage.x[:2]) if s.name in (FIRST, SECOND)]
    passes = 0
    needs = {site.name: needs_of(kind) for site in sites}
    given = dict(zip((FIRST, SECOND), counts, strict=True))
    measure(stage.model, sites, read, stage.loss, needs, samples=given)
    assert passes == batches
    assert read.count == batches


@EVERYWHERE
def test_scales_are_those_of_the_search_batch_whatever_the_statistics(kind):
    """Of the same neurons: random ones read no statistics, and no batch for them."""
    scales = set()
    for counts in ({FIRST: 5}, {FIRST: 31}):
        stage = STAGES[kind]()
        sites = [s for s in find_sites(stage.model, stage.x[:2]) if s.name == FIRST]
        read = Read(stage.batches(7))
        (event,) = grow(stage.model, read, stage.loss, RANDOM, sites=sites, where="each",
                        search_batch=(stage.x, stage.y), samples=counts)  # fmt: skip
        assert read.count == 0
        scales.add(event.scale)
    assert len(scales) == 1


@pytest.mark.parametrize("samples", [None, {FIRST: 14, SECOND: 14}], ids=["all", "first"])
def test_data_that_can_be_read_once_serves_one_pass_only(samples):
    """Else the second site would be measured on what the first has left over."""
    stage = rows()
    with pytest.raises(ValueError, match="only once"):
        grow(stage.model, iter(stage.batches(7)), stage.loss, TINY, neurons=2, where="each",
             search_batch=(stage.x, stage.y), samples=samples)  # fmt: skip


@pytest.mark.parametrize("samples", [None, {FIRST: 14, SECOND: 14}], ids=["all", "first"])
def test_data_that_changes_between_passes_is_refused(samples):
    """Of what is read, all that the shorter pass saw."""
    stage, generator = rows(), torch.Generator().manual_seed(0)

    class Shuffled:
        def __iter__(self):
            order = torch.randperm(len(stage.x), generator=generator)
            return iter(first(replace(stage, x=stage.x[order], y=stage.y[order]), 60).batches(7))

    with pytest.raises(ValueError, match="changed between two passes"):
        grow(stage.model, Shuffled(), stage.loss, TINY, neurons=2, where="each",
             search_batch=(stage.x, stage.y), samples=samples)  # fmt: skip


@pytest.mark.slow
@EVERYWHERE
@pytest.mark.parametrize("method", METHODS)
def test_growth_from_some_samples_is_growth_from_these_alone(kind, method):
    """The first site takes 23 samples and the second 14; lines are searched on all."""
    for name, count in ((FIRST, 23), (SECOND, 14)):
        whole, part = STAGES[kind](), first(STAGES[kind](), count)
        sites = [s for s in find_sites(whole.model, whole.x[:2]) if s.name == name]
        options = {"neurons": 2, "where": "each", "sites": sites, "seed": 0,
                   "search_batch": (whole.x, whole.y)}  # fmt: skip
        (found,) = grow(whole.model, whole.batches(9), whole.loss, METHODS[method],
                        samples={name: count}, **options)  # fmt: skip
        (expected,) = grow(part.model, part.batches(9), part.loss, METHODS[method], **options)
        for key in ("status", "added", "amplitude", "update_amplitude", "dropped"):
            assert getattr(found, key) == getattr(expected, key)
        for key in ("scale", "update_scale", "update_norm", "threshold"):
            value, other = getattr(found, key), getattr(expected, key)
            assert value is other is None or value == pytest.approx(other, rel=1e-7)
        assert found.gains == pytest.approx(expected.gains, rel=1e-7)
        state = whole.model.state_dict()
        for key, value in part.model.state_dict().items():
            torch.testing.assert_close(state[key], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["tiny", "random"])
def test_sites_grown_together_take_different_numbers_of_samples(method):
    stage, given = maps(), {FIRST: 23, SECOND: 36}
    events = grow(stage.model, stage.batches(9), stage.loss, METHODS[method], neurons=2,
                  where="all", samples=given)  # fmt: skip
    assert [event.site for event in events] == [FIRST, SECOND]
    for event in events:
        alone = first(maps(), given[event.site])
        sites = [s for s in find_sites(alone.model, alone.x[:2]) if s.name == event.site]
        (expected,) = grow(alone.model, alone.batches(), alone.loss, METHODS[method], neurons=2,
                           where="all", sites=sites, search_batch=(stage.x, stage.y))  # fmt: skip
        assert event.gains == pytest.approx(expected.gains, rel=1e-7)
        if event.site == FIRST:  # the second is searched in the network that the first has grown
            assert event.scale == pytest.approx(expected.scale, rel=1e-7)
            if method == "tiny":
                assert event.update_scale == pytest.approx(expected.update_scale, rel=1e-7)


def test_a_random_sample_has_the_same_keys_whatever_the_batches():
    """So that the signs of tests of significance do not depend on them either."""
    stage = tokens()
    found = [measured("tokens", stage, stage.batches(size), {FIRST: 20}) for size in (5, 40)]
    for name in (FIRST, SECOND):
        torch.testing.assert_close(found[0][name].samples.keys, found[1][name].samples.keys)


def test_none_wanted_of_one_site_leaves_the_others_alone():
    stage = field_problems.ALL["conv"]
    site = site_of(stage)
    batches = stage.batches(9)
    found = measure(stage.model, [site], batches, stage.loss, {site.name: EVERYTHING},
                    samples={"elsewhere": 3})[site.name]  # fmt: skip
    assert found.count == len(stage.x)
