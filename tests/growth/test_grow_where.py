"""Where `grow` grows: each site in turn, all from one pass, only the best."""

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
    width,
)

from nas_bench.growth import Site, SiteError, find_sites, grow
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.random_growth import RandomGrowth


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


@pytest.mark.parametrize("where", ["best", "predicted"])
@pytest.mark.parametrize("method", [*PRESERVING, *SEARCHED], ids=repr)
def test_one_site_is_chosen_by_every_method(method, where):
    stage = problems.deep(samples=150)
    after, events = grown(stage, method, where=where)
    added = [e for e in events if e.status == "added" or e.update_amplitude is not None]
    assert all(event.score is not None for event in events)
    if isinstance(method, RandomGrowth) and max(event.score for event in events) <= 0:
        assert not added
        return
    assert len(added) == 1
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
