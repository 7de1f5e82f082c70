"""Networks grown for the tests, by the engine and by its parts."""

import copy
from dataclasses import replace
from itertools import islice

import oracles
import torch
from growth import problems
from growth.problems import statistics
from torch import nn

from nas_bench.growth import NewNeurons, grow
from nas_bench.growth.significance import DRAWS, null_gains
from nas_bench.growth.widen import new_channel_moments, widen
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.north_preactivation import NorthPreactivation
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny
from nas_bench.methods.update_only import UpdateOnly

NORMED = ["batch norm", "batch norm, tanh"]
PLAIN = [name for name in problems.ALL if name not in NORMED]
NORTH = NorthPreactivation(candidates=50)
SILENT = RandomGrowth(zero_fan_out=True)
EAGER = Tiny(significance=False, ridge=0)
SEARCHED = [
    EAGER, Tiny(projection=False, significance=False, ridge=0), RandomGrowth(),
    RandomGrowth(update=True), UpdateOnly(), Tiny(update=False, significance=False, ridge=0),
]  # fmt: skip
PRESERVING = [GradMax(), NORTH, SILENT, Net2Net()]


def whole_threshold(measured, method, seed=0):
    """The largest gain of all null draws, however few a decision needs."""
    generator = torch.Generator().manual_seed(seed)
    nothing = measured.grown_weight.new_zeros(0)
    statistics = measured.ridged(method.ridge)
    _, draws = null_gains(statistics, nothing, generator, projected=method.projection)
    return max(islice(draws, DRAWS))


def own(stage):
    """The stage with a copy of its network that may be grown."""
    return replace(stage, model=copy.deepcopy(stage.model))


def grown(stage, method, **options):
    """A copy of the stage, grown, and the events."""
    stage = own(stage)
    options = {"neurons": 2, "where": "each", "seed": 0} | options
    return stage, grow(stage.model, stage.batches(25), stage.loss, method, **options)


def mean_loss(stage):
    return oracles.loss_value(copy.deepcopy(stage.model).eval(), stage.x, stage.y, stage.loss)


def width(stage, site=None):
    return len(stage.model.get_submodule((site or stage.site)[0]).weight)


def unchanged(stage, after):
    """Bit by bit."""
    before, now = stage.model.state_dict(), after.model.state_dict()
    return all(torch.equal(before[key], now[key]) for key in before)


def random_neurons(stage, k=3, updated=True, seed=0):
    """Random neurons, with the oracle's update of the existing weights where asked."""
    rows = stage.rows()
    generator = torch.Generator().manual_seed(seed)
    p, d = rows.inputs.shape[-1], rows.goal.shape[-1]
    fan_in = 0.5 * torch.randn(k, p, generator=generator, dtype=torch.float64)
    fan_out = torch.randn(k, 1, d, generator=generator, dtype=torch.float64)
    update = oracles.weight_update(rows) if updated else None
    return NewNeurons(fan_in, fan_out, fan_in.new_zeros(k), weight_update=update)


def proposal(stage, method, k=3, seed=0):
    site = problems.site_of(stage)
    found = statistics(stage, needs=method.needs(site))
    return method.propose(found, k, torch.Generator().manual_seed(seed))


def features(stage, rows):
    """The columns of b₂ that are not the constant."""
    grown = stage.model.get_submodule(stage.site[0])
    return slice(0, rows.inputs.shape[-1] - (grown.bias is not None))


def rows_of(stage):
    """The grown layer's weight and the same with its bias last."""
    layer = stage.model.get_submodule(stage.site[0])
    weight = layer.weight.detach()
    if layer.bias is None:
        return weight, weight
    return weight, torch.cat([weight, layer.bias.detach()[:, None]], dim=1)


def widened(stage, new):
    model, site = copy.deepcopy(stage.model), problems.site_of(stage)
    moments = None
    if site.batch_norms and new.copied is None:
        moments = new_channel_moments(model, site, new, stage.batches())
    widen(model, site, new, moments)
    return model


def outputs(model, x, training=False):
    """What a network computes, dropout off."""
    model = copy.deepcopy(model).train(training)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        return model(x)


def assert_same_function(changed, model, x):
    """In eval mode and in train mode."""
    for training in (False, True):
        now, before = outputs(changed, x, training), outputs(model, x, training)
        torch.testing.assert_close(now, before, msg=lambda m, t=training: f"{m}\ntraining: {t}")
