"""How reports show what was tuned."""

from dataclasses import replace

import pytest
import synthetic

from nas_bench.report.axes import AXES
from nas_bench.report.comparison import comparisons, training_flops
from nas_bench.report.content import content
from nas_bench.report.pareto import pareto_figure
from nas_bench.report.standing import WITH_TUNING, standing
from nas_bench.report.theme import style
from nas_bench.results.ledger import Ledger
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.tuning.search import searches, tuned

pytestmark = pytest.mark.slow  # trials run


@pytest.fixture
def ledger(tmp_path):
    """A search of four methods on two tasks, and the final trials of the last configuration."""
    found = Ledger(tmp_path)
    changes = {
        "methods": "tiny,tiny[update=false],gradmax", "baselines": "fixed", "seeds": "0-1",
        "budget": "1e6 flops", "tasks": "sine,digits", "twins": ["steps"],
    }  # fmt: skip
    planned = plan(load_protocol("smoke", [changes]))
    asked = searches(planned, "sobol", 3, (1000000,))
    chosen = {(s.task, s.method): s.candidates[-1].change for s in asked}
    for trial in [t for search in asked for t in search.trials] + tuned(planned, chosen):
        synthetic.run(found, trial)
    return found


def tuned_comparison(ledger):
    found = comparisons(ledger.runs())
    return next(c for c in found if (c.protocol, c.task) == ("smoke-tuned", "digits"))


def test_tuned_rows_are_called_by_the_method_that_was_asked_for(ledger):
    roles = {row.name: row.role for row in tuned_comparison(ledger).rows}
    assert roles == {
        "tiny": "method", "tiny[update=false]": "control", "gradmax": "method",
        "fixed": "baseline", "tiny twin (steps)": "twin", "gradmax twin (steps)": "twin",
        "tiny[update=false] twin (steps)": "twin",
    }  # fmt: skip


def test_an_option_that_was_tuned_makes_no_control(ledger):
    (tiny,) = [row for row in tuned_comparison(ledger).rows if row.name == "tiny"]
    assert tiny.tuning is not None
    spelled = "tiny[significance=false]"
    runs = tuple(
        replace(run, config=run.config.model_copy(update={"method": spelled})) for run in tiny.runs
    )
    assert replace(tiny, runs=runs).role == "method"
    assert replace(tiny, runs=runs, tuning=None).role == "control"


def test_the_search_is_a_cost_of_tuned_rows_alone(ledger):
    found = content(ledger.runs(), "made up")
    for comparison in found["comparisons"]:
        for row in comparison["rows"]:
            assert ("tuning" in row) == (comparison["protocol"] == "smoke-tuned")
            assert (
                (WITH_TUNING in row["costs"]) == (WITH_TUNING in row["front"]) == ("tuning" in row)
            )
    rows = next(c for c in found["comparisons"] if c["protocol"] == "smoke-tuned")["rows"]
    for row in rows:
        assert row["tuning"]["configurations"] == 3
        cost = row["costs"]["training_flops"]["mean"] + row["tuning"]["flops"]
        assert row["costs"][WITH_TUNING]["mean"] == pytest.approx(cost, rel=1e-4)
        assert row["tuning"]["flops"] > 2 * row["costs"]["training_flops"]["mean"]
    (gradmax,) = [row for row in rows if row["name"] == "gradmax"]
    assert gradmax["tuning"]["settings"]["method"].startswith("gradmax[scale=")
    assert gradmax["tuning"]["settings"]["learning_rate"] > 0


def test_tuned_rows_are_ranked_across_tasks_and_searches_are_not(ledger):
    (across,) = content(ledger.runs(), "made up")["across"]
    assert across["protocol"] == "smoke-tuned"
    assert across["not_everywhere"] == []
    assert {"tiny", "gradmax", "fixed"} <= {rank["name"] for rank in across["ranks"]}


def test_without_its_search_in_the_ledger_a_row_is_called_by_what_ran(ledger):
    runs = [run for run in ledger.runs() if run.protocol == "smoke-tuned"]
    (found,) = [c for c in comparisons(runs) if c.task == "digits"]
    names = {row.name for row in found.rows}
    assert any(name.startswith("gradmax[scale=") for name in names)
    assert not any(standing(found).front[WITH_TUNING])


def test_the_search_is_a_cost_in_a_figure_of_tuned_rows_alone(ledger):
    found = standing(tuned_comparison(ledger))
    with style():
        figure = pareto_figure(found, WITH_TUNING, AXES[WITH_TUNING])
    assert figure is not None
    places = [line.get_xdata() for line in figure.axes[0].lines]
    drawn = {round(float(x[0])) for x in places if len(x) == 1}
    for row in found.comparison.rows:
        if row.role == "method":
            assert row.tuning is not None
            spent = {round(training_flops(record) + row.tuning.flops) for record in row.results}
            assert len(spent) == 1
            assert spent <= drawn
    rows = tuple(replace(row, tuning=None) for row in found.comparison.rows)
    untuned = standing(replace(found.comparison, rows=rows))
    assert pareto_figure(untuned, WITH_TUNING, AXES[WITH_TUNING]) is None
