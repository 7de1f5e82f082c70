"""Data that is read several times must stay the same."""

from dataclasses import replace

import pytest
import torch
from growth import problems
from growth.growing import EAGER, own
from torch.utils.data import DataLoader, TensorDataset

from nas_bench.growth import grow
from nas_bench.growth.batches import mixed_sum
from nas_bench.training.flop_meter import FlopMeter


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


IN_BATCH = [1, 0, *range(2, 60)]
REVERSED = torch.arange(60).view(3, 20).flip(1).flatten()


CHANGES = {
    "inputs": lambda x, y: (x + 0.01, y),
    "order within a batch": lambda x, y: (x[IN_BATCH], y[IN_BATCH]),
    "order of batches": lambda x, y: (x.flip(0), y.flip(0)),
    "targets": lambda x, y: (x, y.flip(0)),
    "targets within a batch": lambda x, y: (x, y[REVERSED]),
    "flipped inputs": lambda x, y: (x.flip(-1), y),
    "fewer": lambda x, y: (x[:40], y[:40]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_data_that_changes_between_passes_is_refused(what):
    """ "Each" with two sites makes two passes of statistics (after one for the search batch).

    Inputs are multiples of 1/16, as those of images are of 1/255: their sums show no order.
    """
    stage = own(problems.deep(samples=60))
    stage = replace(stage, x=(16 * stage.x).round() / 16)
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


def test_on_a_gpu_every_byte_and_its_place_decide_the_checksum():
    values = torch.arange(256).repeat(5).to(torch.uint8)[:1003]
    changed = [values.roll(1), values.flip(0), values[:-1]]
    for place in (0, 7, 8, 511, 1002):
        changed.append(values.clone())
        changed[-1][place] += 1
    changed.append(torch.cat([values, values.new_zeros(5)]))
    for word in (0, 64):  # sums of products with the place cannot tell these two
        changed.append(values.new_zeros(1003))
        changed[-1][8 * word + 7] = 128
    sums = [mixed_sum(each) for each in (values, *changed)]
    assert len(set(sums)) == len(sums)
    assert mixed_sum(values.clone()) == sums[0]


def test_the_checksum_on_a_gpu_costs_no_flops():
    with FlopMeter() as meter:
        mixed_sum(torch.ones(100, dtype=torch.uint8))
    assert meter.flops == 0
