"""Where records lie: on one grid for all trials of a protocol and task."""

import itertools
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from trials.test_trial import Bent, config, said, spent, trial

from nas_bench import plugins
from nas_bench.tasks.digits import Digits
from nas_bench.training.data import forget, prepare
from nas_bench.trials.config import Budget, Schedule, TrialConfig, Twin
from nas_bench.trials.messages import Record
from nas_bench.trials.trial import Start, Trial

pytestmark = pytest.mark.slow  # trials run

METHODS = ["tiny", "gradmax", "random_growth", "net2net", None]
GROWTH = Schedule(growths=2, every=2)


def twin(match: Any, own: Budget, **changes: Any) -> Trial:
    """Of a trial with these settings, which ended at widths (9,)."""
    settings = config(**changes).model_copy(update={"twin": Twin(of="0" * 16, match=match)})
    return Trial(Start(settings, own, Bent(), None, (9,), Path(), "cpu"))


def positions(records: list[Record]) -> list[tuple[int, float]]:
    """Steps and FLOPs of the records between the first and the last."""
    return [(record.step, spent(record)) for record in records[1:-1]]


def expected(every_step: list[Record], grid: float) -> list[tuple[int, float]]:
    """The first record at or after each point of a grid."""
    passed, found = 0, []
    for record in every_step[1:-1]:
        if (point := math.floor(spent(record) / grid + 1e-9)) > passed:
            passed = point
            found.append((record.step, spent(record)))
    return found


@pytest.mark.parametrize("method", METHODS)
def test_records_are_the_first_after_each_point_and_training_does_not_notice(method):
    changes: dict[str, Any] = {"schedule": GROWTH, "full_evaluations": 1}
    fine = trial(method, **changes)
    fine.grid.every = 1.0
    every_step, events = said(fine)
    assert len(every_step) > 120
    sparse = trial(method, evaluations=10, **changes)
    records, again = said(sparse)
    target = sparse.now.architectures.costs((9,)).training
    grid = 6 * len(sparse.data.train) * target / 10
    assert positions(records) == expected(every_step, grid)
    assert records[-1].weights == every_step[-1].weights
    assert [event.widths for event in again] == [event.widths for event in events]


def test_the_grid_is_the_same_for_all_rows():
    rows = [trial(method) for method in METHODS] + [
        twin("steps", Budget(steps=17)),
        twin("flops", Budget(flops=2e6)),
    ]
    (every,) = {row.grid.every for row in rows}
    samples, target = len(rows[0].data.train), rows[0].now.architectures.costs((9,)).training
    assert every == 6 * samples * target / 50


def test_a_budget_in_steps_is_that_of_the_target_with_its_batches():
    """630 samples make 19 batches of 32 and one of 22."""
    running = trial(budget=Budget(steps=50))
    target = running.now.architectures.costs((9,)).training
    assert running.grid.every == (2 * 630 + 10 * 32) * target / 50
    records, _ = said(trial(None, budget=Budget(steps=50), evaluations=1))
    assert spent(records[-1]) == (2 * 630 + 10 * 32) * target
    growing = {"recipe": {"batch_growth": True}, "budget": Budget(steps=50), "evaluations": 1}
    records, _ = said(trial(None, **growing))
    assert trial("tiny", **growing).grid.every == spent(records[-1])


def test_a_budget_in_flops_is_its_own_measure():
    assert trial(budget=Budget(flops=3e6), evaluations=30).grid.every == 1e5


def test_a_growth_that_jumps_over_points_gives_one_record():
    running = trial("tiny", schedule=GROWTH, evaluations=1000)
    records, events = said(running)
    for event in events:
        at = [record for record in records if record.step == event.step]
        assert [record.growth_flops for record in at[:-1]] == [at[0].growth_flops] * (len(at) - 1)
        cost = math.fsum(event.flops.values())
        assert at[-1].growth_flops == pytest.approx(at[0].growth_flops + cost)
        assert cost > 2 * (running.grid.every or math.inf)
        assert len(at) <= 2


def test_a_growth_alone_gives_no_record():
    changes: dict[str, Any] = {"evaluations": 1, "full_evaluations": 1}
    records, events = said(trial("net2net", budget=Budget(flops=6e6), **changes))
    assert len(events) == 2
    assert [record.step for record in records] == [0, records[-1].step]


def test_there_is_at_most_one_record_a_step():
    records, _ = said(trial(None, budget=Budget(steps=7), evaluations=1000))
    assert [record.step for record in records] == list(range(8))


def test_whole_splits_are_scored_at_shares_of_the_budget_and_at_both_ends():
    running = trial("random_growth", schedule=GROWTH, full_evaluations=3)
    records, _ = said(running)
    full = [record for record in records if record.test_loss is not None]
    assert [round(record.epoch, 6) for record in full] == [0, 2, 4, 6]
    assert [record.final for record in full] == [False, False, False, True]
    assert len(records) > 3 * len(full)
    for record in records:
        assert (record.test_loss is None) == (record.full_validation_loss is None)
        assert record.full_validation_loss in (None, record.validation_loss)  # 70 samples


def test_what_is_scored_in_each_record_and_what_in_full_ones():
    running = trial(task=Bent(samples=12_000), budget=Budget(steps=3), evaluations=1)
    data = running.data
    assert (len(data.train_sample), len(data.validation_sample)) == (1000, 1000)
    assert (len(data.train), len(data.validation)) == (10_800, 1200)
    losses = {
        name: float(functional.mse_loss(running.model(s.inputs), s.targets).detach())
        for name, s in {
            "train": data.train_sample, "validation": data.validation_sample,
            "full_validation": data.validation, "test": data.test,
        }.items()
    }  # fmt: skip
    first = next(running.run())
    assert isinstance(first, Record)
    for name, loss in losses.items():
        assert getattr(first, f"{name}_loss") == pytest.approx(loss, rel=1e-5), name
    assert first.validation_score == -(first.full_validation_loss or math.nan)
    assert len(set(losses.values())) == 4


def test_the_samples_are_those_of_every_seed_and_row_and_of_another_process():
    task = Bent(samples=12_000)
    one, other = trial(task=task, seed=0), trial(None, task=task, seed=3)
    forget()
    third = prepare(task, Path(), 0.1)
    for name in ("train_sample", "validation_sample"):
        found = [getattr(data, name) for data in (one.data, other.data, third)]
        assert all(torch.equal(found[0].inputs, each.inputs) for each in found)
        assert all(torch.equal(found[0].targets, each.targets) for each in found)


def test_samples_have_equal_shares_of_classes():
    data = prepare(Digits(), Path(), 0.1)
    shares = torch.bincount(data.train.targets) / len(data.train) * 1000
    counts = torch.bincount(data.train_sample.targets)
    assert counts.sum() == 1000
    assert (counts - shares).abs().max() <= 1


def test_a_budget_in_seconds_is_its_own_measure(monkeypatch):
    """By a clock that ticks once at every look; its twins go by their own budgets."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1024)
    changes: dict[str, Any] = {"budget": Budget(seconds=0.25), "evaluations": 5}
    records, _ = said(trial(None, full_evaluations=2, **changes))
    charged = [record.seconds.charged for record in records[1:-1]]
    points = (0.05, 0.1, 0.125, 0.15, 0.2)
    assert len(charged) == len(points)
    assert all(
        point <= seconds < point + 3 / 1024 for point, seconds in zip(points, charged, strict=True)
    )
    whole = [r.test_loss is not None for r in records]
    assert whole == [True, False, False, True, False, False, True]
    records, _ = said(twin("steps", Budget(steps=10), **changes))
    assert [record.step for record in records] == [0, 2, 3, 4, 5, 6, 8, 10]


def test_earlier_trials_keep_their_identity_and_others_have_no_interval():
    old, new = config(evaluate_every=1.0), config()
    assert "evaluate_every" not in new.model_dump()
    assert not {"evaluations", "full_evaluations", "evaluate_grown"} & old.model_dump().keys()
    assert TrialConfig.model_validate(old.model_dump()) == old
    assert old.id == "847722f16d1604a1"
    assert len({old.id, new.id, config(evaluations=49).id, config(full_evaluations=3).id}) == 4


def test_a_task_with_classes_has_accuracies_where_it_has_losses():
    running = trial("random_growth", task=Digits(), schedule=GROWTH)
    assert plugins.task("digits") == Digits()
    records, _ = said(running)
    for record in records:
        assert record.validation_accuracy is not None
        assert (record.test_accuracy is None) == (record.test_loss is None)
        assert record.full_validation_accuracy in (None, record.validation_accuracy)
    result = replace(records[-1], full_validation_accuracy=0.25)
    assert result.validation_score == 0.25
