import itertools
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset
from trials.test_resume import assert_resumes
from trials.test_trial import said, trial

from nas_bench.contract import check_task
from nas_bench.specs import InputError
from nas_bench.training.data import prepare
from nas_bench.training.evaluation import score
from nas_bench.training.mlp import mlp
from nas_bench.training.order import DataOrder
from nas_bench.training.streaming import FEW, Batches, Streamed, asked_workers
from nas_bench.training.task import Recipe, Samples, Task, TaskError
from nas_bench.trials import trial as module
from nas_bench.trials.config import Budget, Schedule

N = 90
INPUTS = torch.randn(N + 20, 6, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS[:, 0] > 0).long()


class Rows(Dataset):
    """A map-style dataset; of training rows all that is random is drawn in workers."""

    def __init__(self, rows=slice(None), noise=0.0):
        self.inputs, self.targets, self.noise = INPUTS[rows], TARGETS[rows], noise

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index], self.targets[index]

    def augmented(self, index):
        drawn = torch.randn(6) + random.random() + np.random.rand()
        return self.inputs[index] + self.noise * drawn, self.targets[index]


class Unlabelled(Rows):
    """Whose targets are only known by reading all samples."""

    def __init__(self):
        super().__init__()
        del self.targets

    def __getitem__(self, index):
        return self.inputs[index], int(TARGETS[index])


@dataclass(frozen=True)
class Flowing(Task):
    """The rows in memory, or streamed."""

    name: ClassVar[str] = "flowing"
    summary: ClassVar[str] = "rows that are read as they are needed"
    recipe: ClassVar[Recipe] = Recipe(batch_size=16, learning_rate=1e-2)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (5,)
    streamed: bool = True
    noise: float = 0.0

    def load(self, folder):
        train, test = slice(N), slice(N, None)
        if self.streamed:
            return Rows(train, self.noise), Rows(test)
        return Samples(INPUTS[train], TARGETS[train]), Samples(INPUTS[test], TARGETS[test])

    def network(self, widths):
        return mlp(6, widths, 2)

    @property
    def loss(self):
        return nn.CrossEntropyLoss()


@pytest.fixture(params=["0", "2"], ids=lambda workers: f"{workers} workers")
def _workers(request, monkeypatch):
    monkeypatch.setenv("NAS_BENCH_WORKERS", request.param)


SHORT = {"budget": Budget(epochs=3), "schedule": Schedule(growths=2, every=1)}


def without_clocks(records):
    return [replace(record, seconds=None) for record in records]


@pytest.mark.usefixtures("_workers")
def test_a_trial_does_not_see_whether_its_data_is_streamed():
    memory, streamed = (said(trial("tiny", Flowing(streamed=s), **SHORT)) for s in (False, True))
    assert without_clocks(streamed[0]) == without_clocks(memory[0])
    gains = [[event.gains for event in events] for _, events in (memory, streamed)]
    assert gains[0] == gains[1]
    assert any(gains[0])


@pytest.mark.slow
def test_a_streamed_trial_cut_within_an_epoch_goes_on_bit_for_bit(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_EVERY", 0.0)
    task = Flowing(noise=0.3)
    batches = {"recipe": {"batch_growth": True}, **SHORT}
    assert_resumes(lambda: trial("random_growth", task, **batches), lambda p: (0, 3, 8, p - 1))


def test_random_changes_are_those_of_the_trial_whatever_the_workers(monkeypatch):
    def losses(noise):
        records, _ = said(trial(None, Flowing(noise=noise), budget=Budget(steps=9)))
        return [record.validation_loss for record in records]

    found = []
    for workers in ("0", "1", "3"):
        monkeypatch.setenv("NAS_BENCH_WORKERS", workers)
        before = torch.get_rng_state()
        found.append(losses(0.3))
        torch.set_rng_state(before)
    assert found[0] == found[1] == found[2]
    assert found[0] != losses(0.0)


def feed(batch_sizes, name="0/sample", noise=1.0):
    samples = Streamed.of(Rows(noise=noise))
    order = DataOrder(len(samples), torch.Generator().manual_seed(1))
    running, seen, parts = samples.feed(order, name), 0, []
    for size in batch_sizes:
        inputs, _ = running.next(size, seen)
        seen += len(inputs)
        parts.append(inputs)
    return torch.cat(parts)


def test_what_a_sample_becomes_depends_on_its_place_not_on_the_batch():
    assert torch.equal(feed([10, 10, 10, 10]), feed([5, 15, 2, 18]))
    assert not torch.equal(feed([40]), feed([40], name="1/sample"))


def test_every_epoch_reads_all_samples_and_changes_them_anew():
    first, second = feed([len(INPUTS)] * 2, noise=0.0).split(len(INPUTS))
    assert torch.equal(first.sort(0).values, INPUTS.sort(0).values)
    assert not torch.equal(first, second)
    changed, again = (x.sort(0).values for x in feed([len(INPUTS)] * 2).split(len(INPUTS)))
    assert not torch.equal(changed, again)


def test_batches_may_be_gone_through_again_and_beside_each_other(monkeypatch):
    monkeypatch.setenv("NAS_BENCH_WORKERS", "1")
    batches = Streamed.of(Rows()).batches(FEW + 9)
    assert isinstance(batches, Batches)
    for (one, _), (other, _) in itertools.pairwise([*batches, *batches][::2]):
        assert torch.equal(one, other)
    beside = list(zip(batches, batches, strict=True))
    assert all(torch.equal(one[0], other[0]) for one, other in beside)
    assert torch.equal(torch.cat([one[0] for one, _ in beside]), INPUTS)


def test_targets_that_a_dataset_does_not_tell_are_read():
    assert torch.equal(Streamed.of(Unlabelled()).targets, TARGETS)


def test_scores_are_those_of_the_same_samples_in_memory():
    model, loss = mlp(6, (3,), 2), nn.CrossEntropyLoss()
    streamed = Streamed.of(Rows())
    assert score(model, streamed, loss) == score(model, Samples(INPUTS, TARGETS), loss)


def test_the_checksum_knows_values_and_targets():
    def checksum(task):
        return prepare(task, Path(), 0.1).checksum

    assert checksum(Flowing()) == checksum(Flowing(noise=0.5))
    moved = INPUTS.clone()
    moved[7, 3] += 1
    changed = Rows()
    changed.inputs = moved
    labelled = Rows()
    labelled.targets = 1 - TARGETS
    digests = {Streamed.of(rows).digest() for rows in (Rows(), changed, labelled)}
    assert len(digests) == 3


def test_a_streamed_task_keeps_the_contract():
    failed = [check for check in check_task(Flowing(), Path()) if not check.ok]
    assert not failed


class Broken(Rows):
    def __getitem__(self, index):
        if index == 3:
            raise KeyError("no row")
        return super().__getitem__(index)


class Ragged(Rows):
    def __getitem__(self, index):
        inputs, target = super().__getitem__(index)
        return inputs[: 3 + index % 2], target


class Whole(Rows):
    def __getitem__(self, index):
        return self.inputs[index].long(), self.targets[index]


@pytest.mark.usefixtures("_workers")
@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (Broken, "sample 3 of its data cannot be read: KeyError: 'no row'"),
        (Ragged, r"its samples differ in shape, \(3,\) and \(4,\)"),
        (
            Whole,
            "sample 0 of its data cannot be read: .* inputs are torch.int64, expected a tensor",
        ),
    ],
)
def test_a_sample_that_cannot_be_read_is_named_in_one_sentence(rows, sentence):
    samples = Streamed.of(rows())
    with pytest.raises(TaskError, match=sentence):
        list(samples.batches(FEW + 1))


def test_the_number_of_workers_is_a_number(monkeypatch):
    monkeypatch.setenv("NAS_BENCH_WORKERS", "many")
    with pytest.raises(InputError, match="NAS_BENCH_WORKERS is 'many', expected a whole number"):
        asked_workers()
