"""Losses that weigh samples: the sum behind a mean is found whatever the batches."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_bench.growth import Need, find_sites, grow, measure
from nas_bench.growth.amplitude import Search
from nas_bench.growth.losses import batch_weight
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny

NEEDS = Need.INPUTS | Need.HIDDEN | Need.CROSS | Need.GOAL
WEIGHT = torch.tensor([0.1, 1.0, 5.0, 1.0], dtype=torch.float64)
SAMPLES = 120


class Swapped(nn.Module):
    """Tokens (n, T, C) as (n, C, T)."""

    def forward(self, x):
        return x.transpose(1, 2)


class LogProbabilities(nn.Module):
    def forward(self, x):
        return functional.log_softmax(x, 1)


def network(tail=None):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 4), *([] if tail is None else [tail])]
    return nn.Sequential(*layers).double()


def inputs(*shape):
    return torch.randn(*shape, 6, generator=torch.Generator().manual_seed(1)).double()


def labels(*shape, ignored=None):
    """Sorted classes, so that batches differ in them, of which some are ignored."""
    y = (torch.arange(torch.Size(shape).numel()) * 4 // torch.Size(shape).numel()).view(shape)
    if ignored is not None:
        y = torch.where(torch.arange(y.numel()).view(shape) % 7 < 3 * (y % 2) + 1, ignored, y)
    return y


CASES = {
    "weights": (nn.CrossEntropyLoss(WEIGHT), None, inputs(SAMPLES), labels(SAMPLES)),
    "ignored": (nn.CrossEntropyLoss(), None, inputs(SAMPLES), labels(SAMPLES, ignored=-100)),
    "weights, ignored class, smoothed": (
        nn.CrossEntropyLoss(WEIGHT, ignore_index=1, label_smoothing=0.2), None, inputs(SAMPLES),
        labels(SAMPLES),
    ),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.2), None, inputs(SAMPLES), labels(SAMPLES)),
    "weights, log probabilities": (
        nn.NLLLoss(WEIGHT, ignore_index=9), LogProbabilities(), inputs(SAMPLES),
        labels(SAMPLES, ignored=9),
    ),
    "weights, tokens, ignored": (
        nn.CrossEntropyLoss(WEIGHT), Swapped(), inputs(SAMPLES, 5),
        labels(SAMPLES, 5, ignored=-100),
    ),
    "tokens": (nn.CrossEntropyLoss(), Swapped(), inputs(SAMPLES, 5), labels(SAMPLES, 5)),
    "weights, probabilities": (
        nn.CrossEntropyLoss(WEIGHT), None, inputs(SAMPLES),
        functional.one_hot(labels(SAMPLES), 4).double(),
    ),
    "binary": (
        nn.BCEWithLogitsLoss(pos_weight=WEIGHT), None, inputs(SAMPLES),
        functional.one_hot(labels(SAMPLES), 4).double(),
    ),
    "squares": (nn.MSELoss(), None, inputs(SAMPLES), inputs(SAMPLES)[:, :4].cumsum(0)),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", CASES)


def summed(loss):
    """The same loss that is a sum over samples, with what tells the weights."""
    other = {"weight": loss.weight, "ignore_index": loss.ignore_index}
    if isinstance(loss, nn.CrossEntropyLoss):
        other["label_smoothing"] = loss.label_smoothing
    return type(loss)(**other, reduction="sum")


def measured(model, batches, loss):
    (site,) = find_sites(model, batches[0][0][:2])
    return measure(model, [site], batches, loss, {site.name: NEEDS})[site.name]


@EVERY
@pytest.mark.parametrize("sizes", [(60, 60), (17, 100, 3), (45, 75)])
def test_statistics_do_not_depend_on_how_the_data_is_split(name, sizes):
    """Law 14."""
    loss, tail, x, y = CASES[name]
    model = network(tail)
    whole = measured(model, [(x, y)], loss)
    parts = list(zip(x.split(sizes), y.split(sizes), strict=True))
    together = measured(model, parts, loss)
    added = measured(model, parts[:1], loss) + measured(model, parts[1:], loss)
    for found in (together, added):
        for field in fields(whole.sums):
            expected, actual = getattr(whole.sums, field.name), getattr(found.sums, field.name)
            if isinstance(expected, Tensor):
                torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@EVERY
def test_the_weight_of_a_batch_makes_the_mean_loss_the_sum(name):
    loss, tail, x, y = CASES[name]
    outputs = network(tail)(x)
    parts = zip(outputs.split(50), x.split(50), y.split(50), strict=True)
    total = sum(batch_weight(loss, (i, t)) * loss(o, t) for o, i, t in parts)
    torch.testing.assert_close(total, batch_weight(loss, (x, y)) * loss(outputs, y))


@EVERY
def test_without_weights_a_batch_weighs_its_samples(name):
    loss, _, x, y = CASES[name]
    plain = getattr(loss, "weight", None) is None and "ignored" not in name
    assert (batch_weight(loss, (x, y)) == SAMPLES) == (plain or y.is_floating_point())


@EVERY
@pytest.mark.parametrize(
    "method", [Tiny(significance=False), RandomGrowth()], ids=lambda m: m.name
)
def test_the_measured_drop_is_that_of_the_weighted_loss(name, method):
    loss, tail, x, y = CASES[name]
    model = network(tail)
    before = float(loss(model(x), y).detach())
    batches = list(zip(x.split(50), y.split(50), strict=True))
    (event,) = grow(model, batches, loss, method, neurons=2, where="each")
    after = float(loss(model(x), y).detach())
    assert event.measured == pytest.approx(before - after, rel=1e-7, abs=1e-12)


@EVERY
def test_the_first_order_drop_is_the_derivative_of_the_weighted_loss(name):
    loss, tail, x, y = CASES[name]
    model = network(tail)
    (site,) = find_sites(model, x[:2])
    search = Search.at(model, [site], (x, y), loss)[site.name]
    change = 1e-6 * torch.randn_like(search.seen.outputs[site.next])
    drop = search.loss_with(-change) - search.loss_with(change)
    assert search.first_order_drop(change) == pytest.approx(drop / 2, rel=1e-5)


@pytest.mark.parametrize("name", [n for n, (loss, *_) in CASES.items() if hasattr(loss, "weight")
                                  and hasattr(loss, "ignore_index")])  # fmt: skip
def test_a_summed_loss_grows_the_same_network_as_its_mean(name):
    loss, tail, x, y = CASES[name]
    if y.dim() == 2:
        return  # tokens are summed too
    models = network(tail), network(tail)
    events = [
        grow(model, [(x, y)], given, GradMax(), neurons=2)[0]
        for model, given in zip(models, (loss, summed(loss)), strict=True)
    ]
    assert events[0].gains == pytest.approx(events[1].gains)
    assert events[0].score == pytest.approx(events[1].score)


def test_a_batch_whose_targets_are_all_ignored_is_named():
    x, y = inputs(SAMPLES), labels(SAMPLES).clone()
    y[60:] = -100
    batches = list(zip(x.split(60), y.split(60), strict=True))
    for reduction in ("mean", "sum"):
        loss = nn.CrossEntropyLoss(reduction=reduction)
        with pytest.raises(ValueError, match="no target of batch 2 counts"):
            grow(network(), batches, loss, GradMax(), search_batch=(x, y))
