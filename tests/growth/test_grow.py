"""`grow`, the one call: what it adds, what it says about it, and what it leaves alone."""

import copy
from dataclasses import dataclass, replace

import pytest
import torch
from growth import problems
from growth.growing import (
    EAGER,
    NORTH,
    PRESERVING,
    SEARCHED,
    SILENT,
    assert_same_function,
    grown,
    mean_loss,
    outputs,
    own,
    unchanged,
    width,
)
from growth.test_statistics import NoBackward, snapshot
from torch import nn
from torch.nn import functional

from nas_bench.growth import GrowthMethod, Need, NewNeurons, SiteError, grow
from nas_bench.methods.fixed import Fixed
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.tiny import Tiny

STAGES = ["tanh", "no bias", "batch norm", "batch norm, tanh", "tokens", "flatten", "selu",
          "pooled tokens"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", SEARCHED, ids=repr)
@pytest.mark.parametrize("name", STAGES)
def test_the_drop_reported_is_the_drop_that_happened(name, method):
    """In eval mode exactly, batch norm in the path included; ε = 0 adds nothing."""
    stage = problems.ALL[name]
    after, (event,) = grown(stage, method)
    dropped = mean_loss(stage) - mean_loss(after)
    assert event.measured == pytest.approx(dropped, rel=1e-7, abs=1e-12)
    assert event.measured >= 0
    if event.status == "added":
        assert event.added == event.proposed == width(after) - width(stage)
        assert event.amplitude > 0
        assert event.measured > 0
    else:
        nothing = "rejected" if event.proposed else "not possible"
        assert event.status == ("updated" if event.update_amplitude else nothing)
        assert not event.amplitude
        assert unchanged(stage, after) == (not event.update_amplitude)


@pytest.mark.parametrize(
    "call",
    [functional.leaky_relu_, torch.selu_, lambda x: torch.clamp_min_(x, 0.0), torch.relu_,
     lambda x: x.relu_()],
    ids=["F.leaky_relu_", "torch.selu_", "torch.clamp_min_", "torch.relu_", "x.relu_"],
)  # fmt: skip
def test_tiny_grows_behind_functions_that_work_in_place_as_it_says(call):
    model = problems.Functional(call, (5, 4, 3))
    stage = replace(problems.problem(1), model=model, site=("reading", "middle"))
    after, events = grown(stage, EAGER)
    assert [event.status for event in events] == ["added", "added"]
    dropped = mean_loss(stage) - mean_loss(after)
    assert sum(event.measured for event in events) == pytest.approx(dropped, rel=1e-7)


@pytest.mark.parametrize("method", PRESERVING, ids=repr)
@pytest.mark.parametrize("name", problems.ALL)
def test_preserving_methods_keep_the_function_of_the_whole_network(name, method):
    stage = problems.ALL[name]
    after, events = grown(stage, method, where="all")
    assert sum(event.added for event in events) > 0
    for event in events:
        assert event.measured == 0
    assert_same_function(after.model, stage.model, stage.x)


@pytest.mark.parametrize("method", [*SEARCHED, *PRESERVING], ids=repr)
def test_growing_leaves_modes_randomness_and_hooks_alone(method):
    stage = own(problems.ALL["batch norm"])
    stage.model.train()
    stage.model[2].eval()
    stage.model[1].bias.requires_grad_(False)
    before = snapshot(stage.model)
    grow(stage.model, stage.batches(25), stage.loss, method, neurons=2, seed=0)
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
def test_growing_is_free_only_for_those_who_read_nothing_and_need_no_search(method, where):
    stage = problems.deep(samples=100)
    _, events = grown(stage, method, where=where)
    reads = method.needs(problems.site_of(stage)) or method.searches_amplitude
    flops = sum(sum(event.flops.values()) for event in events)
    assert flops > 1000 if reads or where == "best" else flops == 0
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


@pytest.mark.slow
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
    z = functional.linear(stage.x, stage.model[0].weight, stage.model[0].bias).detach()
    norm = after.model[1]
    torch.testing.assert_close(norm.running_mean[:4], z.mean(0), rtol=0.05, atol=0.3)
    torch.testing.assert_close(norm.running_var[:4], z.var(0), rtol=0.3, atol=0.1)
    assert int(norm.num_batches_tracked) == 0


def test_calibration_does_without_a_last_batch_of_one_sample():
    stage = problems.problem(4, activation=nn.ReLU(), head=problems.with_batch_norm, samples=51)
    stage.model[1].reset_running_stats()
    after, (event,) = grown(stage, SILENT)
    assert event.added == 2
    z = functional.linear(stage.x, stage.model[0].weight, stage.model[0].bias).detach()
    batches = z[:25], z[25:50]
    mean = sum(batch.mean(0) for batch in batches) / 2
    variance = sum(batch.var(0) for batch in batches) / 2
    torch.testing.assert_close(after.model[1].running_mean[:4], mean)
    torch.testing.assert_close(after.model[1].running_var[:4], variance)


def test_a_model_without_a_width_that_can_grow_is_refused_with_the_reasons():
    model = nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=-1), nn.Linear(4, 3)).double()
    stage = problems.problem(0)
    with pytest.raises(SiteError, match=r"0: Softmax \(1\) .*; 2: .*there is no next layer"):
        grow(model, stage.batches(), stage.loss, SILENT)


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
            functional.mse_loss(model(x), y).backward()
            optimizer.step()
        losses.append(float(functional.mse_loss(model(x), y).detach()))
        grow(model, [(x, y)], functional.mse_loss, Tiny(), neurons=1, optimizer=optimizer)
    assert losses[-1] < 0.3 * losses[0]
