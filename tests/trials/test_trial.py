"""A trial from seed network to final record, short but real."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from nas_bench import plugins
from nas_bench.tasks.digits import Digits
from nas_bench.training.data import prepare
from nas_bench.training.flops import inference_flops, parameters
from nas_bench.training.optimizers import optimizer
from nas_bench.training.order import DataOrder
from nas_bench.training.task import Recipe, Samples, Task
from nas_bench.trials import trial as module
from nas_bench.trials.config import Budget, Schedule, TrialConfig, Twin
from nas_bench.trials.messages import GrowthRecord, Record, Seconds
from nas_bench.trials.trial import DivergedError, Start, TargetMissedError, Trial, run_trial

pytestmark = pytest.mark.slow  # trials run


@dataclass(frozen=True)
class Bent(Task):
    """Regression of a bent plane in ten dimensions by a network with one hidden layer."""

    name: ClassVar[str] = "bent"
    summary: ClassVar[str] = "a bent plane"
    metric: ClassVar[Any] = "loss"
    recipe: ClassVar[Recipe] = Recipe(learning_rate=1e-2, batch_size=32)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (9,)
    samples: int = 700

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(self.samples + 200, 10, generator=generator)
        y = (x[:, :4].abs() - 0.8 * x[:, 4:8]) @ torch.tensor([[1.0], [-1.0], [0.5], [2.0]])
        return Samples(x[:-200], y[:-200]), Samples(x[-200:], y[-200:])

    def network(self, widths: Sequence[int]) -> nn.Module:
        return nn.Sequential(nn.Linear(10, widths[0]), nn.ReLU(), nn.Linear(widths[0], 1))

    @property
    def loss(self) -> nn.Module:
        return nn.MSELoss()


def config(**changes: Any) -> TrialConfig:
    values: dict[str, Any] = {
        "protocol": "test", "version": 1, "kind": "same_target", "task": "bent", "method": "tiny",
        "seed": 0, "budget": Budget(epochs=6), "schedule": Schedule(growths=2, every=2),
    }  # fmt: skip
    return TrialConfig(**values | changes)


def trial(method: str | None = "tiny", task: Task | None = None, **changes: Any) -> Trial:
    """A trial of a method, or of the target network where the method is None."""
    torch.manual_seed(0)
    task, settings = task or Bent(), config(**changes)
    grower = None if method is None else plugins.method(method)
    widths = task.target_widths if grower is None else task.seed_widths
    return Trial(Start(settings, settings.budget, task, grower, widths, Path(), "cpu"))


def said(running: Trial) -> tuple[list[Record], list[GrowthRecord]]:
    messages = list(running.run())
    records = [m for m in messages if isinstance(m, Record)]
    return records, [m for m in messages if isinstance(m, GrowthRecord)]


def spent(record: Record) -> float:
    return record.train_flops + record.growth_flops


GROWERS = [
    "tiny", "tiny[projection=false]", "tiny[update=false]", "gradmax", "north_preactivation",
    "random_growth", "random_growth[update=true]", "random_growth[zero_fan_out=true]", "net2net",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", GROWERS)
def test_every_method_reaches_the_same_target_and_learns(method):
    records, events = said(trial(method))
    assert records[-1].widths == (9,)
    assert [event.widths for event in events] == [(5,), (9,)]
    assert all(event.added + event.filled == event.asked == 4 for event in events)
    assert records[-1].test_loss < 0.8 * records[0].test_loss


def test_clocks_and_costs_never_run_backwards():
    records, _ = said(trial())
    for before, after in itertools.pairwise(records):
        assert after.step >= before.step
        assert after.samples >= before.samples
        assert spent(after) >= spent(before)
        assert after.seconds.train >= before.seconds.train
    assert [record.final for record in records] == [False] * (len(records) - 1) + [True]


def test_a_record_says_what_the_network_is():
    running = trial()
    records, events = said(running)
    last, example = records[-1], running.data.train.inputs[:2]
    assert last.parameters == parameters(running.model)
    assert last.flops == inference_flops(running.model, example)
    assert last.growth_flops == sum(sum(event.flops.values()) for event in events)
    assert last.samples == 6 * len(running.data.train)


def test_growing_is_never_free():
    """Decompositions, that counters price at 0, are charged too."""
    _, events = said(trial("tiny"))
    for event in events:
        assert event.flops["statistics"] > 0
        assert event.flops["decomposition"] > 0
        assert event.flops["line_search"] > 0
    _, events = said(trial("gradmax"))
    assert all(event.flops["decomposition"] > 0 for event in events)


def test_a_network_that_does_not_grow_spends_nothing_on_growth():
    records, events = said(trial(None))
    assert not events
    assert records[-1].growth_flops == 0
    assert records[-1].widths == (9,)


def test_the_loss_of_the_batch_after_growth_is_the_one_promised():
    """What the harness trains on is what the line search measured."""
    changes: dict[str, Any] = {"budget": Budget(epochs=3), "evaluations": 1000}
    running = trial("tiny", schedule=Schedule(growths=1, every=1), **changes)
    records, (event,) = said(running)
    at_growth = [record for record in records if record.step == event.step]
    before, after = at_growth[0], at_growth[-1]
    assert event.measured is not None
    assert before.train_loss - after.train_loss == pytest.approx(event.measured, rel=0.3)


def test_a_budget_of_flops_is_used_up_and_not_exceeded():
    budget = Budget(flops=3e6)
    for method in ("tiny", "gradmax", None):
        schedule = Schedule(growths=2, every=20, unit="steps")
        running = trial(method, budget=budget, schedule=schedule)
        records, _ = said(running)
        step = 32 * running.now.costs.training
        assert 3e6 - step < spent(records[-1]) <= 3e6


@pytest.mark.slow
def test_a_growth_that_would_exceed_the_budget_is_undone_and_not_charged():
    schedule = Schedule(every=10, unit="steps", where="best")
    budget = Budget(flops=1e5)
    records, events = said(trial("tiny", kind="free", budget=budget, schedule=schedule))
    assert {event.status for event in events} == {"too expensive"}
    assert records[-1].widths == (1,)
    assert records[-1].growth_flops == 0
    assert 0.98e5 < spent(records[-1]) <= 1e5


@pytest.mark.parametrize("budget", [Budget(flops=1e5), Budget(steps=10)])
def test_a_same_target_trial_that_cannot_reach_the_target_fails(budget):
    """A network of another size has no place in the table."""
    schedule = Schedule(growths=2, every=8, unit="steps")
    with pytest.raises(TargetMissedError, match=r"before the target \(9,\)"):
        said(trial("tiny", budget=budget, schedule=schedule))


def test_a_trial_whose_last_growth_is_too_expensive_does_not_train_on():
    """The target is out of reach: nobody would read what the rest of the budget gives."""
    running = trial(
        "tiny", budget=Budget(flops=1e5), schedule=Schedule(every=8, unit="steps", growths=1)
    )
    with pytest.raises(TargetMissedError, match=r"the last growth ended at widths \(1,\)"):
        said(running)
    assert running.spent.step == 8


def test_sites_grown_together_keep_the_limit_together():
    schedule = Schedule(first=0, every=9, neurons=4, where="all", max_parameters=500)
    running = trial("random_growth", task=Digits(), kind="free", schedule=schedule)
    records, _ = said(running)
    assert records[-1].parameters <= 500


def test_free_growth_stops_at_its_limit_of_parameters():
    schedule = Schedule(every=0.5, neurons=3, where="best", max_parameters=80)
    records, events = said(trial("random_growth", kind="free", schedule=schedule))
    assert records[-1].parameters <= 80 < records[-1].parameters + 3 * 12
    assert all(event.filled == 0 for event in events)


def test_free_growth_stops_at_its_limit_of_flops():
    schedule = Schedule(every=0.5, neurons=3, where="each", max_flops=60)
    records, _ = said(trial("north_preactivation", kind="free", schedule=schedule))
    assert records[-1].widths == (4,)
    assert records[-1].flops == 44


def test_growth_can_begin_before_training():
    schedule = Schedule(growths=1, first=0)
    _, (event,) = said(trial("random_growth", schedule=schedule))
    assert event.step == 0


def test_passes_of_growth_follow_each_other_before_the_first_step():
    """Algorithm 3: where it is asked for, acc₀ is measured after the last pass."""
    changes: dict[str, Any] = {"kind": "free", "budget": Budget(steps=400), "evaluations": 1}
    changes["schedule"] = Schedule(neurons=2, growths=3, first=0, every=0)
    for evaluate_grown, widths in ((False, [(1,)]), (True, [(1,), (7,)])):
        running = trial("random_growth", evaluate_grown=evaluate_grown, **changes)
        records, events = said(running)
        assert [event.step for event in events] == [0, 0, 0]
        assert [r.widths for r in records if r.step == 0] == widths
        assert all(r.test_loss is not None for r in records if r.step == 0)
        assert (records[-1].step, records[-1].widths) == (400, (7,))


def test_free_growth_stops_after_the_growths_of_its_schedule():
    schedule = Schedule(neurons=2, growths=2, every=1)
    _, events = said(trial("random_growth", kind="free", schedule=schedule))
    assert [event.widths for event in events] == [(3,), (5,)]


def test_free_growth_in_turn_asks_one_site_after_the_other():
    schedule = Schedule(where="turn", neurons=2, every=10, unit="steps")
    changes: dict[str, Any] = {"kind": "free", "schedule": schedule, "budget": Budget(steps=40)}
    _, events = said(trial("random_growth", task=Digits(), **changes))
    assert [event.widths for event in events] == [(3, 1), (3, 3), (5, 3)]


def test_the_same_target_is_reached_in_turn():
    schedule = Schedule(where="turn", growths=4, first=0, every=5, unit="steps")
    records, events = said(trial("tiny", task=Digits(), schedule=schedule))
    assert [event.widths for event in events] == [(17, 1), (17, 9), (32, 9), (32, 16)]
    assert records[-1].widths == (32, 16)


def test_free_growth_stops_at_the_size_of_the_target():
    schedule = Schedule(every=0.2, neurons=3, max_parameters="target")
    records, _ = said(trial("random_growth", kind="free", schedule=schedule))
    assert records[-1].widths == (7,)


def test_a_budget_of_seconds_ends_in_time_and_leaves_evaluation_out(monkeypatch):
    """By a clock that ticks once at every look."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1024)
    schedule = Schedule(every=20, unit="steps", neurons=1)
    changes: dict[str, Any] = {"kind": "free", "schedule": schedule}
    records, events = said(trial("tiny", budget=Budget(seconds=0.25), **changes))
    clocks = asdict(records[-1].seconds)
    assert clocks.pop("evaluation") > 0.05
    assert 0.25 <= sum(clocks.values()) < 0.252
    assert clocks["line_search"] > 0
    assert len(events) > 3


def test_the_batch_grows_with_the_square_root_of_the_flops():
    """Appendix D.2."""
    recipe = {"batch_growth": True, "batch_size": 20}
    running, fixed = trial("random_growth", recipe=recipe), trial(None, recipe=recipe)
    first = running.now.costs.flops
    records, _ = said(running)
    assert running.now.batch_size == round(20 * (records[-1].flops / first) ** 0.5)
    assert fixed.now.batch_size == running.now.batch_size


def test_the_same_trial_gives_the_same_bits():
    first, second = said(trial("north_preactivation")), said(trial("north_preactivation"))
    assert [replace(r, seconds=None) for r in first[0]] == [
        replace(r, seconds=None) for r in second[0]
    ]
    assert [replace(e, seconds={}) for e in first[1]] == [
        replace(e, seconds={}) for e in second[1]
    ]


def test_methods_see_the_same_data_in_the_same_order():
    """Growth draws from a generator of its own."""
    orders = [trial(method).now.order.permutation for method in ("tiny", "gradmax")]
    runs = [trial(method) for method in ("tiny", "gradmax")]
    for running in runs:
        said(running)
    assert torch.equal(orders[0], orders[1])
    assert torch.equal(runs[0].now.order.permutation, runs[1].now.order.permutation)


def test_neither_growth_nor_training_ever_reads_validation_or_test_data():
    """Networks end with the same bits when those splits are replaced."""
    outcomes = []
    for spoilt in (False, True):
        running = trial("tiny")
        if spoilt:
            nonsense = Samples(torch.full((5, 10), 7.0), torch.full((5, 1), -3.0))
            running.data = replace(running.data, validation=nonsense, test=nonsense)
        said(running)
        outcomes.append([p.detach().clone() for p in running.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


@dataclass(frozen=True)
class Pictures(Bent):
    """The bent plane, with five rows of two pixels for inputs."""

    name: ClassVar[str] = "pictures"

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        train, test = super().load(folder)
        return (
            Samples(train.inputs.view(-1, 1, 5, 2), train.targets),
            Samples(test.inputs.view(-1, 1, 5, 2), test.targets),
        )

    def network(self, widths: Sequence[int]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *super().network(widths).children())


def shown(running: Trial) -> tuple[torch.Tensor, torch.Tensor]:
    """The inputs that the network of a trial sees in train mode and in eval mode."""
    seen: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    running.model.register_forward_pre_hook(
        lambda model, inputs: seen[model.training].append(inputs[0].detach().clone())
    )
    said(running)
    return torch.cat(seen[True]), torch.cat(seen[False])


def rows(inputs: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row.tolist()) for row in inputs.flatten(1)}


def test_augmentation_is_seen_by_training_steps_and_by_nothing_else():
    running = trial(task=Pictures(), recipe={"augmentation": "crop_flip"})
    data = running.data
    everything = rows(torch.cat([data.train.inputs, data.validation.inputs, data.test.inputs]))
    in_training, elsewhere = shown(running)
    assert rows(elsewhere) == everything
    assert len(rows(in_training) - everything) > 500


def test_augmentation_is_drawn_apart_from_order_and_growth():
    outcomes = [
        said(trial(task=Pictures(), recipe=recipe, schedule=Schedule(growths=2, first=0)))
        for recipe in ({}, {"augmentation": "crop_flip"}, {"augmentation": "crop_flip"})
    ]
    starts = [(records[:2], growths[:1]) for records, growths in outcomes]
    assert timeless(starts[0]) == timeless(starts[1])
    losses = [records[-1].train_loss for records, _ in outcomes]
    assert losses[0] != losses[1] == losses[2]


def timeless(said: tuple[list[Record], list[GrowthRecord]]) -> list[Any]:
    """What a trial says, without clocks."""
    records, growths = said
    return [replace(r, seconds=Seconds()) for r in records] + [
        replace(g, seconds={}) for g in growths
    ]


def test_bfloat16_is_for_training_steps_only():
    running = trial(recipe={"precision": "bfloat16"})
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    running.model.register_forward_hook(lambda m, _, y: seen[m.training].add(y.dtype))
    records, _ = said(running)
    assert seen == {True: {torch.bfloat16}, False: {torch.float32}}
    assert all(p.dtype == torch.float32 for p in running.model.parameters())
    assert records[-1].test_loss < 0.5 * records[0].test_loss


def test_a_layer_that_the_task_keeps_is_no_site():
    @dataclass(frozen=True)
    class Kept(Digits):
        seed_widths: tuple[int, ...] = (1,)
        target_widths: tuple[int, ...] = (9,)

        def network(self, widths: Sequence[int]) -> nn.Module:
            return super().network((*widths, 5))

        def grows(self, layer: str) -> bool:
            return layer == "1"

    running = trial(task=Kept(), budget=Budget(epochs=2), schedule=Schedule(growths=1))
    records, growths = said(running)
    assert {growth.site for growth in growths} == {"1"}
    assert records[-1].widths == (9,)


def test_the_splits_are_disjoint():
    data = prepare(Bent(), Path(), 0.1)
    rows = [{tuple(row.tolist()) for row in s.inputs} for s in (data.train, data.validation)]
    assert len(rows[0] | rows[1]) == len(data.train) + len(data.validation) == 700
    assert not rows[0] & rows[1]


def test_a_loss_that_is_not_finite_ends_the_trial_with_its_step():
    recipe = {"optimizer": "sgd", "learning_rate": 1e6}
    with pytest.raises(DivergedError, match="at step"):
        said(trial("random_growth", recipe=recipe))


def test_a_network_whose_last_step_broke_it_has_no_result():
    recipe = {"optimizer": "sgd", "learning_rate": 1e30}
    with pytest.raises(DivergedError):
        said(trial(None, recipe=recipe, budget=Budget(steps=1)))


def test_a_task_whose_sites_do_not_match_its_widths_is_refused():
    @dataclass(frozen=True)
    class Wrong(Bent):
        seed_widths: tuple[int, ...] = (1, 1)
        target_widths: tuple[int, ...] = (9, 9)

    with pytest.raises(ValueError, match="names 2 hidden widths but its network has 1"):
        trial(task=Wrong())


def test_a_twin_starts_with_the_widths_and_the_budget_it_is_given():
    settings = config(task="digits", budget=Budget(epochs=1))
    twin = settings.model_copy(update={"twin": Twin(of=settings.id, match="steps")})
    *_, last = run_trial(twin, (5, 4), Budget(steps=7), Path(), "cpu")
    assert isinstance(last, Record)
    assert last.widths == (5, 4)
    assert last.step == 7


def test_a_stretch_of_training_waits_for_the_device_only_at_its_end(monkeypatch):
    """Tensors on the meta device have no values: who looks at one fails."""
    monkeypatch.setattr(module, "PAUSE_EVERY", math.inf)
    changed = config(
        budget=Budget(steps=60), evaluations=1, full_evaluations=1, recipe={"decay": "cosine"}
    )
    start = Start(changed, changed.budget, Bent(), None, (9,), Path(), "cpu")
    trial = Trial(start)
    train = Samples(*(x.to("meta") for x in vars(trial.data.train).values()))
    trial.data, trial.device = replace(trial.data, train=train), "cuda"
    trial.now.model.to("meta")
    trial.now.optimizer = optimizer(trial.now.recipe, trial.now.model.parameters())
    trial.now.order = DataOrder(len(train), torch.Generator(), "meta")
    trial.now.feed = train.feed(trial.now.order, "")
    with pytest.raises(RuntimeError, match="item"):
        trial._train()
    assert trial.spent.step == 60
