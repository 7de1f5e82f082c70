"""What a growth is said to cost before it starts, and what is charged; what it shows meanwhile."""

import copy
import os
import sys
import threading
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from growth import problems
from growth.growing import SILENT, own, unchanged
from growth.test_statistics import snapshot
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from nas_bench.growth import Need, growth_cost
from nas_bench.growth.grow import grow
from nas_bench.growth.grower import Where
from nas_bench.growth.rehearsal import eager
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny


@dataclass(frozen=True, slots=True)
class Slotted(RandomGrowth):
    """Without a dictionary of its own."""

    more: int = 0


class Mute(RandomGrowth):
    """Proposes nothing at all."""

    def propose(self, statistics, k, generator):
        return None


@cache
def stage(name):
    torch.manual_seed(0)
    if name == "rows":
        model = nn.Sequential(
            nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)
        )
        x = torch.randn(400, 20)
    else:
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3),
        )  # fmt: skip
        x = torch.randn(320, 2, 6, 6)
    y = x.flatten(1)[:, :3].argmax(1)
    return problems.Problem(model, x, y, functional.cross_entropy, ("0", "2"), nn.ReLU())


def charged(events):
    """FLOPs by part."""
    parts = {part for event in events for part in event.flops}
    return {part: sum(event.flops.get(part, 0.0) for event in events) for part in parts}


@pytest.mark.parametrize("method", [Tiny(), GradMax(), RandomGrowth(), Net2Net()], ids=repr)
@pytest.mark.parametrize("name", ["rows", "maps"])
def test_what_is_said_is_what_is_charged(name, method):
    """Statistics to a few percent, all to a factor: tries and draws depend on the data."""
    for where in get_args(Where):
        work = own(stage(name))
        options = {"neurons": 3, "where": where}
        cost = growth_cost(work.model, work.batches(100), work.loss, method, **options)
        paid = charged(grow(work.model, work.batches(100), work.loss, method, seed=1, **options))
        if where != "each":  # there what the second site reads depends on the first one's growth
            assert cost.flops.get("statistics", 0) == pytest.approx(paid["statistics"], rel=0.03)
        said, whole = sum(cost.flops.values()), sum(paid.values())
        least = whole / (4 if method.name == "tiny" else 2)  # draws may be decided late
        assert least <= said <= 2 * whole, (where, cost.flops, paid)
        assert all(seconds >= 0 for seconds in cost.seconds.values())


def test_samples_that_are_named_are_what_is_said():
    work = own(stage("rows"))
    options = {"neurons": 2, "where": "all", "samples": {"0": 300, "2": 80}}
    cost = growth_cost(work.model, work.batches(100), work.loss, GradMax(), **options)
    paid = charged(grow(work.model, work.batches(100), work.loss, GradMax(), **options))
    assert cost.flops["statistics"] == pytest.approx(paid["statistics"], rel=0.1)


def test_saying_the_cost_leaves_the_network_and_randomness_alone():
    work = own(stage("maps"))
    before, fresh = snapshot(work.model), copy.deepcopy(work)
    growth_cost(work.model, work.batches(100), work.loss, Tiny())
    assert torch.equal(before["rng"], snapshot(work.model)["rng"])
    assert unchanged(fresh, work)


def test_neurons_that_so_few_samples_do_not_show_are_priced_as_if_they_were_added():
    generator = torch.Generator().manual_seed(3)
    noise = replace(stage("rows"), y=torch.randint(3, (400,), generator=generator))
    site = problems.find_sites(noise.model, noise.x[:2])[0]
    statistics = problems.measure(
        noise.model, [site], noise.batches(), noise.loss, {site.name: Tiny().needs(site)}
    )[site.name]
    shown = Tiny().propose(statistics, 3, torch.Generator().manual_seed(0))
    priced = eager(Tiny()).propose(statistics, 3, torch.Generator().manual_seed(0))
    assert shown.dropped > 0
    assert (len(shown), len(priced)) == (0, 3)


def test_data_that_can_be_read_once_is_refused_and_not_read():
    work = own(stage("rows"))
    data = iter(work.batches(100))
    with pytest.raises(ValueError, match=r"read only once.* told from a part"):
        growth_cost(work.model, data, work.loss, GradMax(), search_batch=work.batches(50)[0])
    assert len(list(data)) == 4


def test_randomness_that_a_loader_draws_is_kept():
    work = own(stage("rows"))
    loader = DataLoader(TensorDataset(work.x, work.y), batch_size=100)
    before = torch.get_rng_state()
    growth_cost(work.model, loader, work.loss, SILENT)
    assert torch.equal(before, torch.get_rng_state())


def test_sorted_data_of_which_the_first_part_counts_nothing_has_a_cost():
    work = own(stage("rows"))
    order = work.y.argsort()
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.0, 1.0, 1.0]))
    assert growth_cost(work.model, [(work.x[order], work.y[order])], loss, SILENT).flops


def test_what_cannot_be_copied_sampled_or_found_is_one_sentence():
    work = own(stage("rows"))
    locked = copy.deepcopy(work.model)
    vars(locked)["lock"] = threading.Lock()
    with pytest.raises(ValueError, match=r"Sequential cannot be copied .*: grow without it"):
        growth_cost(locked, work.batches(100), work.loss, SILENT)
    late = [*work.batches(100) * 3, (work.x, work.y, work.y)]
    with pytest.raises(ValueError, match="batch 13 is 3 parts"):
        growth_cost(work.model, late, work.loss, SILENT)
    with pytest.raises(ValueError, match="no parameters"):
        growth_cost(nn.ReLU(), work.batches(100), work.loss, SILENT)
    with pytest.raises(TypeError, match="sites is 'abc'"):
        growth_cost(work.model, work.batches(100), work.loss, SILENT, sites=cast("Any", "abc"))
    with pytest.raises(TypeError, match="propose returned None"):
        growth_cost(work.model, work.batches(100), work.loss, Mute())


def test_a_method_with_slots_has_a_cost():
    work = own(stage("rows"))
    assert growth_cost(work.model, work.batches(100), work.loss, Slotted()).flops


def test_progress_is_shown_on_stderr_where_asked_and_changes_nothing(capsys):
    results = []
    for progress in (False, True):
        work = own(stage("rows"))
        torch.manual_seed(5)
        events = grow(work.model, work.batches(100), work.loss, Tiny(), progress=progress)
        results.append((work, [(e.site, e.status, e.gains, e.flops) for e in events]))
        out, shown = capsys.readouterr()
        assert out == ""
        assert bool(shown) == progress
    (silent, first), (told, second) = results
    assert first == second
    assert unchanged(silent, told)
    said, *steps = shown.splitlines()
    assert said.startswith("growing 0, 2 by tiny: about ")
    assert "statistics" in said
    assert steps[:3] == ["0, 2: statistics", "0: new neurons", "2: new neurons"]
    assert steps[-1].endswith("line search and widening")


def test_on_a_terminal_one_line_lives(monkeypatch):
    main, other = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    work = own(stage("rows"))
    with Path(f"/dev/fd/{other}").open("w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        grow(work.model, work.batches(100), work.loss, SILENT, where="all", progress=True)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    os.close(other)
    assert "about" in shown
    assert "\x1b[" in shown


def test_a_growth_that_costs_nothing_says_so():
    work = own(stage("rows"))
    cost = growth_cost(work.model, work.batches(100), work.loss, Net2Net(), where="all")
    assert Net2Net().needs(problems.find_sites(work.model, work.x[:2])[0]) == Need.NOTHING
    assert str(cost).startswith("about 0 FLOPs")
