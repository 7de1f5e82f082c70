"""Nothing to add, and fixed targets that are reached all the same."""

from dataclasses import replace

import pytest
import torch
from growth import problems
from growth.growing import EAGER, NORTH, grown, mean_loss, outputs, unchanged, width

from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny
from nas_bench.methods.update_only import UpdateOnly


def insignificant():
    """The goal is noise: nothing can be significant but by chance (not with this seed)."""
    stage = problems.problem(11, samples=150)
    generator = torch.Generator().manual_seed(5)
    return replace(stage, y=torch.randn(150, 3, generator=generator, dtype=torch.float64))


def test_nothing_significant_changes_nothing_and_is_recorded():
    stage = insignificant()
    after, (event,) = grown(stage, Tiny(update=False))
    assert event.status == "not significant"
    assert event.added == event.filled == 0
    assert event.dropped > 0
    assert event.threshold > max(event.gains, default=0)
    assert unchanged(stage, after)


@pytest.mark.parametrize("where", ["each", "all", "best", "predicted"])
def test_the_update_is_applied_though_no_neuron_is_significant(where):
    """Algorithm 3: as if the method proposed nothing but the update."""
    stage = insignificant()
    after, (event,) = grown(stage, Tiny(), where=where)
    expected, (alone,) = grown(stage, UpdateOnly(), where=where)
    assert (event.status, alone.status) == ("updated", "updated")
    assert (event.added, event.amplitude, event.scale) == (0, None, None)
    assert event.update_amplitude > 0
    assert event.measured == alone.measured > 0
    assert event.next_norm_before == alone.next_norm_before != event.next_norm_after
    assert not unchanged(stage, after)
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(expected.model, stage.x))
    assert mean_loss(stage) - mean_loss(after) == pytest.approx(event.measured, rel=1e-6)


@pytest.mark.parametrize("where", ["each", "all", "best"])
def test_a_fixed_target_is_reached_though_nothing_is_significant(where):
    """By random neurons with zero fan-out, so that the function stays."""
    stage = insignificant()
    after, (event,) = grown(stage, Tiny(update=False), fill=True, where=where)
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


def test_with_a_fixed_target_neurons_that_only_harm_are_replaced_by_silent_ones():
    """At the smallest amplitude they would start at a saddle."""
    stage = problems.problem(3)
    perfect = replace(stage, y=stage.model(stage.x).detach())
    after, (event,) = grown(perfect, RandomGrowth(), fill=True)
    assert width(after) == width(stage) + 2
    assert event.status == "added"
    assert (event.added, event.filled, event.amplitude) == (0, 2, 0.0)
    assert event.measured == 0
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(stage.model, stage.x))
    norms = after.model[0].weight.detach()[-2:].norm(dim=1)
    mean = stage.model[0].weight.detach().norm(dim=1).mean()
    torch.testing.assert_close(norms, mean.expand(2))
    free, (declined,) = grown(perfect, RandomGrowth())
    assert declined.status == "rejected"
    assert unchanged(perfect, free)


def test_a_fixed_target_at_the_best_site_is_reached_even_where_the_loss_only_rises():
    """fill: always add the number asked for."""
    stage = problems.problem(3)
    perfect = replace(stage, y=stage.model(stage.x).detach())
    after, _ = grown(perfect, RandomGrowth(), fill=True, where="best")
    assert width(after) == width(stage) + 2
