"""`grow`, the one call: what it adds, what it says about it, and what it leaves alone."""

import copy
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import oracles
from growth import problems
from growth.test_statistics import NoBackward, same, snapshot
from growth.test_widen import outputs
from nas_bench.growth import GrowthMethod, Need, NewNeurons, Site, SiteError, grow
from nas_bench.methods.fixed import Fixed
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.north_preactivation import NorthPreactivation
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny

NORTH = NorthPreactivation(candidates=50)
SILENT = RandomGrowth(zero_fan_out=True)
EAGER = Tiny(significance=False)
SEARCHED = [EAGER, Tiny(projection=False, significance=False), RandomGrowth(),
            RandomGrowth(update=True), Tiny(update=False, significance=False)]  # fmt: skip
PRESERVING = [GradMax(), NORTH, SILENT, Net2Net()]
STAGES = ["tanh", "no bias", "batch norm", "batch norm, tanh", "tokens", "flatten", "selu",
          "pooled tokens"]  # fmt: skip


def own(stage):
    """The stage with a copy of its network that may be grown."""
    return replace(stage, model=copy.deepcopy(stage.model))


def grown(stage, method, **options):
    """A copy of the stage, grown, and the events."""
    stage = own(stage)
    options = {"neurons": 2, "where": "each"} | options
    return stage, grow(stage.model, stage.batches(25), stage.loss, method, **options)


def mean_loss(stage):
    return oracles.loss_value(copy.deepcopy(stage.model).eval(), stage.x, stage.y, stage.loss)


def width(stage, site=None):
    return len(stage.model.get_submodule((site or stage.site)[0]).weight)


def unchanged(stage, after):
    """Bit by bit."""
    before, now = stage.model.state_dict(), after.model.state_dict()
    return all(torch.equal(before[key], now[key]) for key in before)


@pytest.mark.parametrize("method", SEARCHED, ids=repr)
@pytest.mark.parametrize("name", STAGES)
def test_the_drop_reported_is_the_drop_that_happened(name, method):
    """In eval mode exactly, batch norm in the path included; ε = 0 adds nothing."""
    stage = problems.ALL[name]
    after, (event,) = grown(stage, method)
    dropped = mean_loss(stage) - mean_loss(after)
    assert event.measured == pytest.approx(dropped, rel=1e-7, abs=1e-12)
    if event.status == "added":
        assert event.added == event.proposed == width(after) - width(stage)
        assert event.amplitude > 0
        assert event.measured > 0
    else:
        assert event.status == "rejected"
        assert event.amplitude == 0
        assert unchanged(stage, after)


@pytest.mark.parametrize("method", PRESERVING, ids=repr)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", problems.ALL)
def test_preserving_methods_keep_the_function_of_the_whole_network(name, training, method):
    stage = problems.ALL[name]
    if name == "deep":
        method = replace(method)
    after, events = grown(stage, method, where="all")
    assert sum(event.added for event in events) > 0
    for event in events:
        assert event.measured == 0
    torch.testing.assert_close(
        outputs(after.model, stage.x, training), outputs(stage.model, stage.x, training)
    )


@pytest.mark.parametrize("method", [*SEARCHED, *PRESERVING], ids=repr)
def test_growing_leaves_modes_randomness_and_hooks_alone(method):
    stage = own(problems.ALL["batch norm"])
    stage.model.train()
    stage.model[2].eval()
    stage.model[4].weight.requires_grad_(False)
    before = snapshot(stage.model)
    grow(stage.model, stage.batches(25), stage.loss, method, neurons=2)
    after = snapshot(stage.model)
    assert torch.equal(before["rng"], after["rng"])
    assert before["hooks"] == after["hooks"]
    assert before["flags"] == after["flags"]
    assert before["training"] == after["training"]
    assert all(p.grad is None for p in stage.model.parameters())


@pytest.mark.parametrize("method", [*SEARCHED, *PRESERVING], ids=repr)
def test_the_same_seed_grows_the_same_network(method):
    stage = problems.ALL["tanh"]
    first, again = grown(stage, method, seed=3)[0], grown(stage, method, seed=3)[0]
    assert unchanged(first, again)


def test_another_seed_grows_another_random_network():
    stage = problems.ALL["tanh"]
    first, other = grown(stage, SILENT, seed=3)[0], grown(stage, SILENT, seed=4)[0]
    assert not unchanged(first, other)


# Nothing to add, and fixed targets


def insignificant():
    """The goal is noise: nothing can be significant but by chance (not with this seed)."""
    stage = problems.problem(11, samples=150)
    generator = torch.Generator().manual_seed(5)
    return replace(stage, y=torch.randn(150, 3, generator=generator, dtype=torch.float64))


def test_nothing_significant_changes_nothing_and_is_recorded():
    stage = insignificant()
    after, (event,) = grown(stage, Tiny())
    assert event.status == "not significant"
    assert event.added == event.filled == 0
    assert event.dropped > 0
    assert event.threshold > max(event.gains, default=0)
    assert unchanged(stage, after)


@pytest.mark.parametrize("where", ["each", "all", "best"])
def test_a_fixed_target_is_reached_though_nothing_is_significant(where):
    """By random neurons with zero fan-out, so that the function stays."""
    stage = insignificant()
    after, (event,) = grown(stage, Tiny(), fill=True, where=where)
    assert width(after) == width(stage) + 2
    assert event.filled == 2
    assert event.added == 0
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(stage.model, stage.x))


def test_a_fixed_target_is_filled_up_beyond_the_rank():
    stage = problems.problem(1, samples=200)
    after, (event,) = grown(stage, EAGER, neurons=9, fill=True)
    assert width(after) == width(stage) + 9
    assert event.added == 3
    assert event.filled == 6
    following = after.model[2].weight
    assert torch.equal(following[:, -6:], torch.zeros_like(following[:, -6:]))
    norms = after.model[0].weight.detach()[-6:].norm(dim=1)
    mean = stage.model[0].weight.detach().norm(dim=1).mean()
    torch.testing.assert_close(norms, mean.expand(6))


@pytest.mark.parametrize("name", ["batch norm", "tokens", "no bias"])
@pytest.mark.parametrize("method", [EAGER, GradMax(), NORTH], ids=repr)
def test_filling_works_at_every_kind_of_site(name, method):
    stage = problems.ALL[name]
    after, (event,) = grown(stage, method, neurons=9, fill=True)
    assert width(after) == width(stage) + 9
    assert event.added + event.filled == 9
    assert event.filled > 0


def test_with_a_fixed_target_zero_is_no_candidate():
    """Random neurons that only harm are added at the smallest amplitude tried."""
    stage = problems.problem(3)
    perfect = replace(stage, y=stage.model(stage.x).detach())
    after, (event,) = grown(perfect, RandomGrowth(), fill=True)
    assert width(after) == width(stage) + 2
    assert event.status == "added"
    assert event.amplitude == 2.0**-20
    assert event.measured <= 0
    free, (declined,) = grown(perfect, RandomGrowth())
    assert declined.status == "rejected"
    assert unchanged(perfect, free)


def test_a_fixed_target_at_the_best_site_is_reached_even_where_the_loss_only_rises():
    """fill: always add the number asked for."""
    stage = problems.problem(3)
    perfect = replace(stage, y=stage.model(stage.x).detach())
    after, _ = grown(perfect, RandomGrowth(), fill=True, where="best")
    assert width(after) == width(stage) + 2


# Where


def test_each_site_in_turn_has_its_statistics_anew():
    stage = problems.deep(samples=150)
    after, events = grown(stage, EAGER, where="each")
    assert [event.site for event in events] == ["0", "2"]
    halfway = own(stage)
    grow(halfway.model, halfway.batches(25), stage.loss, EAGER, neurons={"0": 2}, where="each")
    expected = oracles.gains(halfway.rows(("2", "4")))[:2]
    torch.testing.assert_close(
        torch.tensor(events[1].gains, dtype=torch.float64), expected, rtol=1e-5, atol=1e-9
    )
    assert sum(event.measured for event in events) == pytest.approx(
        mean_loss(stage) - mean_loss(after), rel=1e-6
    )


def test_adjacent_sites_from_one_pass_do_not_read_inputs_that_did_not_exist():
    """Law 17 applied: proposals as measured alone, zeros on the new inputs, own line searches."""
    stage = problems.deep(samples=150)
    after, events = grown(stage, EAGER, where="all")
    assert [event.status for event in events] == ["added", "added"]
    for event, site in zip(events, (("0", "2"), ("2", "4")), strict=True):
        expected = oracles.gains(stage.rows(site))[:2]
        torch.testing.assert_close(
            torch.tensor(event.gains, dtype=torch.float64), expected, rtol=1e-5, atol=1e-9
        )
    middle = after.model[2].weight
    assert middle.shape == (8, 6)
    assert torch.equal(middle[-2:, -2:], torch.zeros_like(middle[-2:, -2:]))
    assert sum(event.measured for event in events) == pytest.approx(
        mean_loss(stage) - mean_loss(after), rel=1e-6
    )


def test_only_the_best_site_grows():
    stage = problems.deep(samples=150)
    measured = {}
    for name in ("0", "2"):
        after, _ = grown(stage, EAGER, neurons={name: 2}, where="each")
        measured[name] = mean_loss(stage) - mean_loss(after)
    after, events = grown(stage, EAGER, where="best")
    best = max(measured, key=lambda name: measured[name])
    assert {event.site: event.status for event in events} == {
        name: "added" if name == best else "not chosen" for name in measured
    }
    assert mean_loss(stage) - mean_loss(after) == pytest.approx(measured[best], rel=1e-6)
    for event in events:
        assert event.score == pytest.approx(measured[event.site], rel=1e-6)


@pytest.mark.parametrize("where", ["best", "predicted"])
@pytest.mark.parametrize("method", [*PRESERVING, *SEARCHED], ids=repr)
def test_one_site_is_chosen_by_every_method(method, where):
    stage = problems.deep(samples=150)
    after, events = grown(stage, method, where=where)
    added = [event for event in events if event.status == "added"]
    assert len(added) == 1
    assert all(event.score is not None for event in events)
    assert added[0].score == max(event.score for event in events)
    widths = [width(after, (name, "")) - width(stage, (name, "")) for name in ("0", "2")]
    assert sum(widths) == added[0].added


def test_probes_are_undone():
    stage = problems.deep(samples=150)
    after, events = grown(stage, GradMax(), where="best")
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(stage.model, stage.x))
    assert all(event.score > 0 for event in events)
    chosen = next(event.site for event in events if event.status == "added")
    rows = after.model.get_submodule(chosen).weight
    assert torch.equal(rows[-2:], torch.zeros_like(rows[-2:]))


def test_sites_and_numbers_can_be_given():
    stage = own(problems.deep(samples=150))
    events = grow(
        stage.model, stage.batches(), stage.loss, SILENT, neurons={"2": 4}, where="each"
    )
    assert [event.site for event in events] == ["2"]
    assert [width(stage, (name, "")) for name in ("0", "2")] == [4, 10]
    site = Site("0", "2")
    events = grow(stage.model, stage.batches(), stage.loss, SILENT, sites=[site], where="all")
    assert [event.site for event in events] == ["0"]


def test_a_site_name_that_does_not_exist_is_an_error():
    stage = own(problems.deep())
    with pytest.raises(ValueError, match="typo"):
        grow(stage.model, stage.batches(), stage.loss, SILENT, neurons={"typo": 4})


# Slopes at 0


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()], ids=str)
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "batch norm"])
def test_gradmax_arranges_a_slope_where_modules_allow_it(activation, normed):
    head = problems.with_batch_norm if normed else None
    stage = problems.problem(1, activation=activation, head=head)
    after, (event,) = grown(stage, GradMax())
    assert event.added == 2
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(stage.model, stage.x))
    model = after.model.eval()
    stage.loss(model(stage.x), stage.y).backward()
    gradient = model[0].weight.grad
    assert float(gradient[-2:].norm(dim=1).min()) > 1e-6
    values = torch.linspace(-9, 9, 37, dtype=torch.float64)
    index = 2 if normed else 1
    assert torch.equal(model[index](values), activation(values.clone()))


@pytest.mark.parametrize("call", [F.relu, torch.relu, lambda x: x.relu()], ids=str)
def test_gradmax_refuses_functional_relu_and_changes_nothing(call):
    model = problems.Functional(call, (5, 4, 3))
    stage = replace(problems.problem(0), model=model, site=("reading", "middle"))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(SiteError, match="clamp_min"):
        grow(model, stage.batches(), stage.loss, GradMax())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_a_refusal_at_one_site_changes_no_other():
    class Half(problems.Functional):
        def __init__(self):
            super().__init__(torch.relu, (5, 4, 3))
            self.act = nn.ReLU()

        def forward(self, x):
            return self.writing(torch.relu(self.middle(self.act(self.reading(x)))))

    model, stage = Half(), problems.problem(0)
    with pytest.raises(SiteError):
        grow(model, stage.batches(), stage.loss, GradMax())
    assert type(model.act) is nn.ReLU


@pytest.mark.parametrize(
    "call", [lambda x: x.clamp_min(0), torch.tanh, F.gelu, F.selu, F.leaky_relu],
    ids=["clamp_min", "tanh", "gelu", "selu", "leaky"],
)  # fmt: skip
def test_gradmax_grows_where_the_slope_is_not_zero(call):
    model = problems.Functional(call, (5, 4, 3))
    stage = replace(problems.problem(0), model=model, site=("reading", "middle"))
    events = grow(model, stage.batches(), stage.loss, GradMax(), neurons=2, where="all")
    assert [event.added for event in events] == [2, 2]
    stage.loss(model(stage.x), stage.y).backward()
    assert float(model.reading.weight.grad[-2:].norm(dim=1).min()) > 0


# Data


class Fickle:
    """Batches that change from pass to pass."""

    def __init__(self, stage, change):
        self.stage, self.change, self.passes = stage, change, 0

    def __iter__(self):
        self.passes += 1
        x, y = self.stage.x, self.stage.y
        if self.passes > 2:
            x, y = self.change(x, y)
        yield from zip(x.split(20), y.split(20), strict=True)


CHANGES = {
    "inputs": lambda x, y: (x + 0.01, y),
    "order within a batch": lambda x, y: (x[IN_BATCH], y[IN_BATCH]),
    "order of batches": lambda x, y: (x.flip(0), y.flip(0)),
    "targets": lambda x, y: (x, y.flip(0)),
    "fewer": lambda x, y: (x[:40], y[:40]),
}
IN_BATCH = [1, 0, *range(2, 60)]


@pytest.mark.parametrize("what", CHANGES)
def test_data_that_changes_between_passes_is_refused(what):
    """"Each" with two sites makes two passes of statistics (after one for the search batch)."""
    stage = own(problems.deep(samples=60))
    batches = Fickle(stage, CHANGES[what])
    with pytest.raises(ValueError, match="changed between two passes"):
        grow(stage.model, batches, stage.loss, EAGER, neurons=2, where="each")


def test_data_that_can_be_read_once_is_refused():
    stage = own(problems.ALL["tanh"])
    with pytest.raises(ValueError, match="only once"):
        grow(stage.model, iter(stage.batches()), stage.loss, EAGER)


def test_no_data_is_refused():
    stage = own(problems.ALL["tanh"])
    with pytest.raises(ValueError, match="empty"):
        grow(stage.model, [], stage.loss, EAGER)


def test_a_data_loader_and_a_search_batch_of_ones_own_will_do():
    stage = own(problems.ALL["tanh"])
    loader = DataLoader(TensorDataset(stage.x, stage.y), batch_size=32)
    (event,) = grow(
        stage.model, loader, stage.loss, EAGER, neurons=1, search_batch=(stage.x, stage.y)
    )
    assert event.status == "added"


# Gradients, costs and contracts


class Guarded(nn.Module):
    """A network whose output refuses a backward pass, beyond what tracing sees."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("method", [NORTH, SILENT, Net2Net()], ids=repr)
@pytest.mark.parametrize("where", ["each", "all"])
def test_methods_without_gradients_make_no_backward_pass(method, where):
    stage = own(problems.ALL["tanh"])

    def guarded(outputs_, targets):
        return stage.loss(NoBackward.apply(outputs_), targets)

    (event,) = grow(stage.model, stage.batches(), guarded, method, neurons=1, where=where)
    assert event.added == 1
    with pytest.raises(AssertionError, match="backward"):
        grow(stage.model, stage.batches(), guarded, GradMax(), neurons=1, where=where)


@pytest.mark.parametrize("method", [*SEARCHED, *PRESERVING], ids=repr)
@pytest.mark.parametrize("where", ["each", "best"])
def test_growing_is_never_free(method, where):
    stage = problems.deep(samples=100)
    _, events = grown(stage, method, where=where)
    assert sum(sum(event.flops.values()) for event in events) > 100 * 3 * 30 * 0.5
    assert all(value >= 0 for event in events for value in event.seconds.values())


def test_the_optimiser_trains_what_was_added():
    stage = own(problems.deep(samples=100))
    optimizer = torch.optim.Adam(stage.model.parameters(), lr=1e-2)
    for _ in range(5):
        for policy in ("transplant", "zeros", "reset"):
            grow(stage.model, stage.batches(), stage.loss, SILENT, neurons=1, where="all",
                 optimizer=optimizer, policy=policy)  # fmt: skip
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            assert held == {id(p) for p in stage.model.parameters()}
            optimizer.zero_grad()
            stage.loss(stage.model(stage.x), stage.y).backward()
            optimizer.step()
    assert [width(stage, (name, "")) for name in ("0", "2")] == [19, 21]


def test_an_optimiser_that_cannot_follow_is_refused_before_the_network_changes():
    stage = own(problems.ALL["tanh"])
    before = copy.deepcopy(stage)
    optimizer = torch.optim.RMSprop(stage.model.parameters())
    with pytest.raises(ValueError, match="RMSprop"):
        grow(stage.model, stage.batches(), stage.loss, SILENT, optimizer=optimizer)
    assert width(stage) == width(before)


@dataclass(frozen=True)
class Malformed(GrowthMethod):
    name = "malformed"
    summary = "proposes what does not fit"

    what: str = "nan"

    def needs(self, site):
        return Need.NOTHING

    def propose(self, statistics, k, generator):
        p, d = statistics.grown_weight.shape[1], statistics.outputs
        k = k + 1 if self.what == "more" else k
        fan_in = torch.ones(k, p - (self.what == "narrow"), dtype=torch.float64)
        fan_out = torch.ones(k, 1, d, dtype=torch.float64)
        if self.what == "nan":
            fan_out[0, 0, 0] = float("nan")
        if self.what == "flat":
            fan_out = fan_out[:, 0]
        return NewNeurons(fan_in, fan_out, fan_in.new_zeros(k))


@pytest.mark.parametrize("what", ["nan", "more", "narrow", "flat"])
def test_malformed_proposals_are_refused_by_name(what):
    stage = own(problems.ALL["tanh"])
    before = copy.deepcopy(stage)
    with pytest.raises(ValueError, match="malformed"):
        grow(stage.model, stage.batches(), stage.loss, Malformed(what))
    assert unchanged(before, stage)


@pytest.mark.parametrize("name", ["tanh", "batch norm", "tokens"])
@pytest.mark.parametrize("method", [*SEARCHED, *PRESERVING], ids=repr)
def test_single_precision_networks_grow_as_double_ones(name, method):
    stage = problems.ALL[name]
    exact, (expected,) = grown(stage, method)
    single, (event,) = grown(stage.cast(torch.float32), method)
    assert {p.dtype for p in single.model.parameters()} == {torch.float32}
    assert event.status == expected.status
    assert event.added == expected.added
    assert event.amplitude == expected.amplitude
    torch.testing.assert_close(
        outputs(single.model, stage.x.float()).double(), outputs(exact.model, stage.x),
        rtol=1e-2, atol=1e-2,
    )  # fmt: skip


def test_fresh_batch_norms_are_calibrated_first():
    """Running 0/1 of a batch norm that has seen nothing is not what the data does."""
    stage = problems.problem(4, activation=nn.ReLU(), head=problems.with_batch_norm)
    stage = replace(stage, x=5 * stage.x + 3)
    stage.model[1].reset_running_stats()
    after, (event,) = grown(stage, SILENT)
    assert event.added == 2
    z = F.linear(stage.x, stage.model[0].weight, stage.model[0].bias).detach()
    norm = after.model[1]
    torch.testing.assert_close(norm.running_mean[:4], z.mean(0), rtol=0.05, atol=0.3)
    torch.testing.assert_close(norm.running_var[:4], z.var(0), rtol=0.3, atol=0.1)
    assert int(norm.num_batches_tracked) == 0


def test_the_fixed_network_stays_as_it_is():
    stage = problems.ALL["tanh"]
    after, events = grown(stage, Fixed())
    assert unchanged(stage, after)
    assert all(event.added == 0 for event in events)


def test_growth_repeated_with_training_between_lowers_the_loss():
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 400, dtype=torch.float64)[:, None]
    y = 2 * torch.sin(x) + x
    model = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(4):
        for _ in range(100):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
        losses.append(float(F.mse_loss(model(x), y).detach()))
        grow(model, [(x, y)], F.mse_loss, Tiny(), neurons=1, optimizer=optimizer)
    assert losses[-1] < 0.3 * losses[0]
