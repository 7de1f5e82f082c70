import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import platformdirs
import pytest
import torch
from torch import Generator, nn

from nas_bench.training.data import data_folder, prepare, split
from nas_bench.training.order import DataOrder
from nas_bench.training.task import Samples, Task


@dataclass(frozen=True)
class Loaded(Task):
    name: ClassVar[str] = "loaded"
    summary: ClassVar[str] = "counts how often it is loaded, and draws from global generators"
    calls: ClassVar[list[Path]] = []

    classes: int = 4

    def load(self, folder):
        self.calls.append(folder)
        noise = random.random() + np.random.rand() + float(torch.rand(()))
        targets = torch.arange(100) % self.classes
        test = Samples(torch.ones(8, 3), targets[:8])
        return Samples(torch.full((100, 3), noise), targets), test

    def network(self, widths):
        return nn.Linear(3, self.classes)

    @property
    def loss(self):
        return nn.CrossEntropyLoss()


def seeded(seed=0):
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("targets", [torch.arange(97) % 5, torch.rand(97, 1)])
def test_a_split_puts_every_sample_on_exactly_one_side(targets):
    kept, held_out = split(targets, 0.3, seeded())
    assert sorted([*kept.tolist(), *held_out.tolist()]) == list(range(97))
    assert len(held_out) == 29


def test_both_sides_of_a_split_hold_the_same_share_of_every_class():
    targets = torch.tensor([0] * 400 + [1] * 100 + [2] * 20)
    _, held_out = split(targets, 0.1, seeded())
    assert torch.bincount(targets[held_out]).tolist() == [40, 10, 2]


def test_a_split_depends_on_its_seed_alone():
    targets = torch.arange(50) % 3
    first, again, other = (split(targets, 0.2, seeded(seed))[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.99])
def test_a_split_that_leaves_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match="leave some on both sides"):
        split(torch.zeros(10), fraction, seeded())


def test_an_epoch_holds_every_index_once_in_an_order_of_its_own():
    order = DataOrder(10, seeded())
    first, second = ([order.next(4) for _ in range(3)] for _ in range(2))
    assert [len(part) for part in first] == [4, 4, 2]
    assert sorted(torch.cat(first).tolist()) == list(range(10))
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
    again = DataOrder(10, seeded())
    assert torch.equal(torch.cat(first), torch.cat([again.next(10)]))


def test_batches_of_indices_lie_on_the_device_and_their_state_on_the_cpu():
    order = DataOrder(10, seeded(), "meta")
    assert order.next(4).device.type == "meta"
    assert torch.equal(order.state()["permutation"], torch.randperm(10, generator=seeded()))
    order.restore(order.state())
    assert (order.next(9).device.type, order.size_of_next(9)) == ("meta", 9)


def test_the_size_of_the_next_batch_is_known():
    order = DataOrder(10, seeded())
    sizes = [(order.size_of_next(4), len(order.next(4))) for _ in range(5)]
    assert sizes == [(4, 4), (4, 4), (2, 2), (4, 4), (4, 4)]


def test_the_test_set_does_not_depend_on_the_split(tmp_path):
    data, other = (prepare(Loaded(), tmp_path, fraction) for fraction in (0.1, 0.5))
    assert (len(data.train), len(data.validation), len(data.test)) == (90, 10, 8)
    assert torch.equal(data.test.inputs, other.test.inputs)
    assert data.checksum == other.checksum


def test_data_is_loaded_once_in_a_process(tmp_path):
    before = len(Loaded.calls)
    assert prepare(Loaded(), tmp_path, 0.2) is prepare(Loaded(), tmp_path, 0.2)
    assert len(Loaded.calls) == before + 1


def test_loading_neither_reads_nor_moves_the_global_generators(tmp_path):
    values = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        values.append(prepare(Loaded(classes=seed + 4), tmp_path, 0.2).train.inputs[0, 0])
        after = random.random(), np.random.rand(), float(torch.rand(()))
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        assert after == (random.random(), np.random.rand(), float(torch.rand(())))
    assert values[0] == values[1]


def test_the_data_folder_is_the_one_given_else_the_environment_s_else_the_cache(monkeypatch):
    monkeypatch.setenv("NAS_BENCH_DATA", "/from/environment")
    assert data_folder(Path("/given")) == Path("/given")
    assert data_folder(None) == Path("/from/environment")
    monkeypatch.delenv("NAS_BENCH_DATA")
    assert data_folder(None) == platformdirs.user_cache_path("nas-bench") / "data"
    assert data_folder(Path("here")).is_absolute()
