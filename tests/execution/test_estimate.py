"""What a plan says that training will cost, beside what trials then spent on it."""

from itertools import chain

import pytest

from nas_bench import plugins
from nas_bench.contract import is_present
from nas_bench.execution.estimate import Estimator
from nas_bench.execution.job import Job
from nas_bench.text import human
from nas_bench.trials.config import Budget, Schedule, TrialConfig, Twin
from nas_bench.trials.messages import GrowthRecord, Record
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol, protocol_names
from nas_bench.trials.trial import run_trial

FREE = {"neurons": 3, "every": 10, "unit": "steps"}
CASES = {
    "same target": ("same_target", Schedule(growths=3, every=10, unit="steps"), Budget(steps=80)),
    "same target, flops": (
        "same_target", Schedule(growths=3, every=10, unit="steps"), Budget(flops=1e7)
    ),
    "each": ("free", Schedule(**FREE), Budget(steps=80)),
    "turn": ("free", Schedule(where="turn", **FREE), Budget(steps=80)),
    "so often": ("free", Schedule(growths=2, **FREE), Budget(steps=80)),
    "up to the target": ("free", Schedule(max_parameters="target", **FREE), Budget(steps=200)),
    "flops": ("free", Schedule(**FREE), Budget(flops=1e7)),
    "later and later": (
        "free", Schedule(when="exponential[rate=0.5]", first=8, **FREE), Budget(steps=80)
    ),
    "before training": (
        "free", Schedule(neurons=2, growths=3, first=0, every=0), Budget(steps=80)
    ),
}  # fmt: skip


def config(kind, schedule, budget):
    return TrialConfig(
        protocol="test", version=1, kind=kind, task="digits", seed=0, budget=budget,
        method="random_growth[zero_fan_out=true]", schedule=schedule,
    )  # fmt: skip


@pytest.mark.slow  # trials run
@pytest.mark.parametrize("name", CASES)
def test_training_is_priced_at_the_sizes_that_the_network_will_have(name, tmp_path):
    """Neurons without statistics, of which all asked for are added: nothing but training costs."""
    asked = config(*CASES[name])
    estimated = Estimator([], tmp_path).estimate(asked).flops
    messages = list(run_trial(asked, Job(asked).widths, None, tmp_path, "cpu"))
    final = messages[-1]
    assert isinstance(final, Record)
    assert final.growth_flops == 0
    assert estimated == pytest.approx(final.train_flops, rel=0.07)


def test_a_twin_of_a_network_of_free_size_is_priced_at_its_originals_size(tmp_path):
    original = config("free", Schedule(growths=2, **FREE), Budget(steps=80))
    twin = original.model_copy(update={"twin": Twin(of=original.id, match="steps")})
    fixed = original.model_copy(update={"method": "fixed[widths=[7,7]]"})
    estimator = Estimator([], tmp_path)
    assert estimator.estimate(twin).flops == estimator.estimate(fixed).flops


def test_a_task_whose_score_is_a_loss_has_seconds(tmp_path):
    asked = config("same_target", Schedule(growths=3, every=10, unit="steps"), Budget(steps=40))
    estimated = Estimator([], tmp_path).estimate(asked.model_copy(update={"task": "char_lm"}))
    assert estimated.seconds is not None
    assert estimated.seconds > 0


def test_no_plan_of_a_protocol_stops_where_data_is_missing(tmp_path):
    estimator = Estimator([], tmp_path)
    planned = (plan(load_protocol(name, [{"seeds": [0]}])) for name in protocol_names())
    for config in chain.from_iterable(planned):
        if not is_present(plugins.task(config.task), tmp_path):
            estimate = estimator.estimate(config)
            assert (estimate.flops, estimate.seconds) == (config.budget.flops, None)
            assert estimate.basis.startswith("not known without the data: ")


@pytest.mark.parametrize("method", ["senn", "cascade_correlation"])
def test_proposals_that_cost_more_than_training_are_priced_before_any_has_run(method, tmp_path):
    asked = config(*CASES["same target"]).model_copy(update={"method": method})
    asked = asked.model_copy(update={"budget": Budget(steps=40), "start": "quarter"})
    trained = Estimator([], tmp_path).estimate(
        asked.model_copy(update={"method": "random_growth"})
    )
    priced = Estimator([], tmp_path).estimate(asked)
    assert "growth steps not included" in trained.basis
    messages = list(run_trial(asked, Job(asked).widths, None, tmp_path, "cpu"))
    grown = sum(m.flops["decomposition"] for m in messages if isinstance(m, GrowthRecord))
    assert grown > trained.flops
    assert priced.flops - trained.flops == pytest.approx(grown, rel=0.35)
    assert f"growth of {method} takes about {human(priced.flops - trained.flops)}" in (
        priced.basis
    )
    small = asked.model_copy(update={"budget": Budget(flops=grown / 2)})
    estimate = Estimator([], tmp_path).estimate(small)
    assert estimate.flops == pytest.approx(grown / 2)
    assert "more than the budget: it cannot grow as planned" in estimate.basis
