"""Where `grow` grows: each site in turn, all from one pass, only the best."""

from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import (
    EAGER,
    PRESERVING,
    SEARCHED,
    SILENT,
    grown,
    mean_loss,
    outputs,
    own,
    unchanged,
    widened,
    width,
)

from nas_bench.growth import NewNeurons, Site, SiteError, find_sites, grow
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny


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
    after, events = grown(stage, EAGER, where="all", fill=True)
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


def test_a_site_that_was_not_chosen_says_its_score_and_nothing_of_a_step():
    _, events = grown(problems.deep(samples=150), EAGER, where="best")
    (event,) = [event for event in events if event.status == "not chosen"]
    assert event.score > 0
    assert event.amplitude is None
    assert event.scale is None
    assert (event.predicted, event.measured, event.added) == (0.0, 0.0, 0)


@pytest.mark.parametrize("where", ["best", "predicted", "gradient"])
@pytest.mark.parametrize("method", [*PRESERVING, *SEARCHED], ids=repr)
def test_one_site_is_chosen_by_every_method(method, where):
    stage = problems.deep(samples=150)
    after, events = grown(stage, method, where=where)
    added = [e for e in events if e.status == "added" or e.update_amplitude is not None]
    assert all(event.score is not None for event in events)
    if isinstance(method, RandomGrowth) and max(event.score for event in events) <= 0:
        assert not added
        return
    if where == "gradient" and not added:  # whoever is asked may have nothing that helps
        assert sorted(event.status for event in events) == ["not chosen", "rejected"]
        return
    assert len(added) == 1
    assert added[0].score == max(event.score for event in events)
    widths = [width(after, (name, "")) - width(stage, (name, "")) for name in ("0", "2")]
    assert sum(widths) == added[0].added


@pytest.mark.parametrize("name", ["tanh", "no bias", "tokens"])
def test_the_gradient_that_ranks_sites_is_that_of_silent_neurons_beside_the_present_ones(name):
    """Root mean square over fan-outs, by autograd in the network that has them."""
    stage = problems.ALL[name]
    _, (event,) = grown(stage, SILENT, where="gradient")
    next_weight = stage.model.get_submodule(stage.site[1]).weight
    d = len(next_weight)
    p = stage.rows().inputs.shape[-1]
    size = next_weight.detach().norm(dim=0).mean()
    fan_out = size * torch.eye(d, dtype=torch.float64)[:, None]
    none = torch.zeros(d, p, dtype=torch.float64)
    silent = widened(stage, NewNeurons(none, fan_out, none[:, 0]))
    silent.eval()
    rows = silent.get_submodule(stage.site[0]).weight
    (gradient,) = torch.autograd.grad(stage.loss(silent(stage.x), stage.y), rows)
    expected = gradient[-d:].square().sum(1).mean().sqrt() / stage.slope
    assert event.score == pytest.approx(float(expected), rel=1e-9)


def test_by_gradient_one_site_is_measured_and_asked():
    stage = problems.deep(samples=150)
    asked = []

    class Asked(Tiny):
        def propose(self, statistics, k, generator):
            asked.append(statistics.site)
            return super().propose(statistics, k, generator)

    _, events = grown(stage, Asked(significance=False), where="gradient")
    best = max(events, key=lambda event: event.score)
    assert asked == [best.site]
    assert [e.status for e in events if e is not best] == ["not chosen"]
    assert [sum(e.flops.values()) for e in events if e is not best] == [0]


@pytest.mark.parametrize("method", PRESERVING, ids=repr)
def test_by_gradient_costs_methods_that_keep_the_function_least(method):
    stage = problems.deep(samples=150)
    costs = {
        w: _flops(grown(stage, method, where=w)[1]) for w in ("best", "predicted", "gradient")
    }
    assert costs["gradient"] < min(costs["best"], costs["predicted"])


def test_by_gradient_a_network_without_any_is_left_alone_unless_it_must_grow():
    """The loss does not depend on the outputs: nothing is wanted anywhere."""
    stage = replace(problems.deep(samples=40), loss=lambda outputs, _: 0 * outputs.sum())
    after, events = grown(stage, GradMax(), where="gradient")
    assert [event.status for event in events] == ["not chosen", "not chosen"]
    assert unchanged(stage, after)
    assert _flops(events) > 0
    _, events = grown(stage, GradMax(), where="gradient", fill=True)
    assert sorted(event.status for event in events) == ["added", "not chosen"]


def _flops(events):
    return sum(sum(event.flops.values()) for event in events)


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
    events = grow(stage.model, stage.batches(), stage.loss, SILENT, neurons={"2": 4}, where="each")
    assert [event.site for event in events] == ["2"]
    assert [width(stage, (name, "")) for name in ("0", "2")] == [4, 10]
    site = Site("0", "2")
    events = grow(stage.model, stage.batches(), stage.loss, SILENT, sites=[site], where="all")
    assert [event.site for event in events] == ["0"]


def test_a_site_name_that_does_not_exist_is_an_error():
    stage = own(problems.deep())
    with pytest.raises(ValueError, match="typo"):
        grow(stage.model, stage.batches(), stage.loss, SILENT, neurons={"typo": 4})


def test_sites_that_are_not_in_network_order_are_refused():
    """In one pass the later site would be widened before it has the earlier one's new inputs."""
    stage = own(problems.deep(samples=60))
    before = own(stage)
    earlier, later = find_sites(stage.model, stage.x[:2])
    with pytest.raises(SiteError, match=r"0 comes before 2 in the network"):
        grow(stage.model, stage.batches(), stage.loss, EAGER, sites=[later, earlier], where="all")
    assert unchanged(before, stage)
