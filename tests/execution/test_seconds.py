"""Budgets in seconds: what they show, cost, and refuse."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import synthetic
from execution.trials import SETTINGS, config

from nas_bench.execution import ExecutionError
from nas_bench.execution.estimate import Estimator
from nas_bench.execution.progress import share_done
from nas_bench.execution.reproduction import chosen
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
from nas_bench.results.overview import overview
from nas_bench.trials.config import Budget, Schedule, Twin
from nas_bench.trials.messages import as_dict

BUDGET = Budget(seconds=2.0)


def test_trials_with_seconds_never_share_a_device_under_ray(tmp_path):
    with pytest.raises(ExecutionError, match="add --max-concurrent 1"):
        sweep([config(budget=BUDGET)], Ledger(tmp_path), "ray", SETTINGS)
    assert not list(tmp_path.iterdir())


def test_one_after_the_other_they_run_and_end_in_time(tmp_path):
    trial = config(budget=Budget(seconds=0.3))
    assert sweep([trial], Ledger(tmp_path), "inline", SETTINGS).ok == 1
    run = Ledger(tmp_path).run(trial)
    assert run is not None
    assert run.result is not None
    clocks = asdict(run.result.seconds)
    assert 0.3 <= sum(clocks.values()) - clocks["evaluation"] < 3


def test_progress_and_status_leave_evaluation_out(tmp_path):
    trial = synthetic.trial(budget=Budget(seconds=10.0), schedule=Schedule(growths=1))
    record = synthetic.records(trial)[6]
    clocks = record.seconds
    spent = clocks.train + clocks.statistics + clocks.decomposition + clocks.line_search
    spent += clocks.widening + clocks.trigger
    assert share_done(trial, as_dict(record)) == pytest.approx(spent / 10)
    ledger = Ledger(tmp_path)
    synthetic.begin(ledger, trial)
    ledger.write(trial, as_dict(record))
    ((shown,),) = [row.trials for row in overview(tmp_path).rows]
    assert shown.share == pytest.approx(spent / 10)


def test_the_plan_takes_the_seconds_at_their_word():
    found = Estimator([], Path("nowhere")).estimate(config(budget=BUDGET))
    assert found.flops is not None
    assert found.flops > 0
    assert found.seconds == pytest.approx(2.0, rel=0.5)


def test_the_plan_knows_twins_of_trials_with_seconds():
    twin = Twin(of="0" * 16, match="flops")
    found = Estimator([], Path("nowhere")).estimate(
        config(method="tiny", budget=BUDGET, twin=twin)
    )
    assert found.flops is not None
    assert found.flops > 0


def test_a_fixed_network_with_widths_of_its_own_is_priced_by_them():
    own, target = (
        Estimator([], Path("nowhere")).estimate(config(method=method)).flops
        for method in ("fixed[widths=[200,200]]", "fixed")
    )
    assert own is not None
    assert target is not None
    assert own > 5 * target


def test_what_a_clock_ends_is_not_run_again_to_be_verified(tmp_path):
    ledger = Ledger(tmp_path)
    timed = synthetic.trial(budget=Budget(seconds=10.0))
    twin = synthetic.trial(budget=Budget(seconds=10.0), twin=Twin(of=timed.id, match="steps"))
    for trial in (timed, twin, synthetic.trial("gradmax")):
        synthetic.run(ledger, trial)
    labels = {run.label for run in chosen(ledger.runs(), 10, seed=0)}
    assert labels == {"tiny twin (steps)", "gradmax"}
    assert replace(SETTINGS, max_concurrent=1).shares_device(0.0) is False
