"""What methods may spend is equal, as the ledger says."""

from pathlib import Path

import pytest

from nas_bench.execution import Settings
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

METHODS = (
    "tiny[statistics_factor=0.1],tiny[update=false,statistics_factor=0.1],gradmax,update_only,"
    "north_preactivation[candidates=50],random_growth,random_growth[update=true],net2net"
)
"""Which all reach their targets with 1e8 FLOPs."""
FREE = {"kind": "free", "schedule": {"growths": None}, "budget": "3e7 flops"}
PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def spent(run: Run) -> float:
    """Share of the budget that training and growth took."""
    assert run.config is not None
    assert run.result is not None
    result = run.result
    assert run.config.budget.flops is not None
    return (result.train_flops + result.growth_flops) / run.config.budget.flops


def with_budgets_of_flops(ledger: Ledger) -> list[Run]:
    runs = (run for run in ledger.runs() if run.config and run.config.budget.flops)
    return [run for run in runs if run.config and not run.config.twin and run.status == "ok"]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, FREE])
def test_with_a_budget_of_flops_all_methods_spend_the_same(tmp_path, changes):
    """Training and growth together, within 1 %, whatever growth costs."""
    small = {"methods": METHODS, "budget": "1e8 flops", "seeds": "0", "evaluations": 5}
    schedule = {"schedule": {"every": 40, "unit": "steps"}, "baselines": "fixed"}
    configs = plan(load_protocol("smoke", [small, schedule, changes]))
    ledger = Ledger(tmp_path)
    sweep(configs, ledger, "inline", Settings())
    runs = with_budgets_of_flops(ledger)
    assert len(runs) == len(configs) == 9
    assert all(0.99 < spent(run) <= 1 for run in runs)
    size = configs[0].budget.size
    shares = [run.result.growth_flops / size for run in runs if run.result]
    assert min(shares) == 0
    assert max(shares) > 0.05


@pytest.mark.slow
def test_so_do_those_of_the_published_ledger():
    runs = with_budgets_of_flops(Ledger(PUBLISHED))
    if not runs:
        pytest.skip("no published protocol has a budget of FLOPs")
    assert all(0.99 < spent(run) <= 1 for run in runs)
