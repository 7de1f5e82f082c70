from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import synthetic
from execution.trials import config

from nas_bench.execution.asha import EarlyStopping, Searches, scheduler
from nas_bench.trials.config import Budget
from nas_bench.trials.messages import Record, as_dict

BUDGET = 9e6
CONTINUE, STOP = "CONTINUE", "STOP"


class Unseen(dict[str, Any]):
    """A message whose test scores nobody may read."""

    def __getitem__(self, key: str) -> Any:
        assert not key.startswith("test_"), f"{key} was read"
        return super().__getitem__(key)


def trials(count: int, **values: Any):
    budget = Budget(flops=BUDGET)
    return [
        config("sine", f"gradmax[scale={n + 1}]", budget=budget, **values) for n in range(count)
    ]


def record(
    flops: float, accuracy: float | None = None, loss: float = 1.0, **values: Any
) -> Record:
    *_, last = synthetic.records(trials(1)[0])
    costs = {"train_flops": 0.75 * flops, "growth_flops": 0.25 * flops}
    scores = {"validation_accuracy": accuracy, "validation_loss": loss}
    return replace(last, **{**costs, **scores, "final": False, **values})


class Sweep:
    """What a scheduler answers to the reports of trials."""

    def __init__(self, configs, earlier=()):
        self.stopped: dict[int, str] = {}
        searches = Searches(EarlyStopping(tuple(earlier)))
        self._scheduler = scheduler(configs, searches, self.stopped.__setitem__)

    def report(self, number: int, *records: Record, resumed: bool = False) -> str:
        """What is decided after these records of a trial."""
        messages: list[dict[str, Any]] = [Unseen(as_dict(each)) for each in records]
        if resumed:
            messages = [{"type": "resumed", "messages": messages}]
        trial: Any = SimpleNamespace(config={"spec": {"number": number}}, trial_id=str(number))
        nobody: Any = None
        return self._scheduler.on_trial_result(nobody, trial, {"messages": messages})


def test_a_trial_goes_on_if_it_is_not_below_the_best_third_of_those_before_it():
    sweep = Sweep(trials(6))
    at_rung = [sweep.report(n, record(1e6, a)) for n, a in enumerate((0.5, 0.6, 0.9, 0.7, 0.95))]
    assert at_rung == [CONTINUE, CONTINUE, CONTINUE, STOP, CONTINUE]
    assert list(sweep.stopped) == [3]
    assert sweep.stopped[3] == (
        "at 11% of its FLOPs its validation score 0.7 was below the 67th percentile of its search"
    )
    assert sweep.report(0, record(2.9e6, 0.0)) == CONTINUE  # between the rungs
    assert sweep.report(2, record(3e6, 0.9)) == CONTINUE
    assert sweep.report(4, record(3.5e6, 0.8)) == STOP
    assert sweep.report(2, record(8.9e6, 0.0)) == CONTINUE  # after the last
    assert sweep.report(2, record(9e6, 0.0, final=True)) == CONTINUE


def test_growth_counts_as_much_as_training():
    grown = record(1e6, 0.9)
    early = replace(grown, growth_flops=0.0, validation_accuracy=0.1)
    sweep = Sweep(trials(2))
    assert sweep.report(0, grown) == CONTINUE
    assert sweep.report(1, early) == CONTINUE
    assert sweep.report(1, replace(early, growth_flops=1e6)) == STOP


def test_searches_of_other_methods_tasks_and_seeds_are_not_compared():
    first, second = trials(2, protocol="smoke-search-gradmax")
    others = [
        second.model_copy(update=update)
        for update in ({"protocol": "smoke-search-tiny"}, {"task": "digits"}, {"seed": 1})
    ]
    sweep = Sweep([first, *others, second])
    assert sweep.report(0, record(1e6, 0.9)) == CONTINUE
    assert [sweep.report(number, record(1e6, 0.1)) for number in (1, 2, 3)] == [CONTINUE] * 3
    assert sweep.report(4, record(1e6, 0.1)) == STOP


def test_losses_and_what_is_not_finite_are_compared():
    sweep = Sweep(trials(4))
    losses = (2.0, 1.0, 3.0, float("nan"))
    decided = [sweep.report(n, record(1e6, loss=loss)) for n, loss in enumerate(losses)]
    assert decided == [CONTINUE, CONTINUE, STOP, STOP]


def test_trials_of_earlier_sweeps_count_and_what_a_trial_had_survived_is_not_decided_again():
    old, *new = trials(3)
    sweep = Sweep(new, [(old, (record(1e6, 0.5), record(9e6, 0.9, final=True)))])
    assert sweep.report(0, record(1e6, 0.4), resumed=True) == CONTINUE
    assert sweep.report(0, record(1.1e6, 0.3)) == CONTINUE
    assert sweep.report(1, record(1e6, 0.4)) == STOP


def test_only_budgets_in_flops_have_rungs():
    sweep = Sweep([config("sine", "tiny")])
    with pytest.raises(ValueError, match="is 50 steps, not in FLOPs"):
        sweep.report(0, record(1e6, 0.5))
