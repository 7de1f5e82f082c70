from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.results.checks import findings
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run
from nas_bench.trials.config import Twin

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial("fixed"))
    (found,) = ledger.runs()
    return found


def changed(run: Run, index: int, **values) -> Run:
    curve = list(run.curve)
    curve[index] = replace(curve[index], **values)
    result = curve[-1] if run.result else None
    return replace(run, curve=tuple(curve), result=result)


def checks(*runs: Run) -> list[str]:
    return [finding.check for finding in findings(runs)]


@pytest.mark.slow
def test_published_results_hold_together() -> None:
    assert findings(Ledger(PUBLISHED).runs()) == []


def test_a_whole_trial_has_no_findings(run: Run) -> None:
    assert checks(run) == []


@pytest.mark.parametrize(
    ("index", "values", "check"),
    [
        (4, {"step": 1}, "clocks"),
        (4, {"epoch": 0.5}, "clocks"),
        (4, {"train_flops": 0.0}, "clocks"),
        (4, {"seconds": synthetic.Seconds(0.0)}, "clocks"),
        (0, {"step": 3}, "clocks"),
        (4, {"final": True}, "end"),
        (-1, {"final": False}, "end"),
        (-1, {"test_loss": None, "test_accuracy": None}, "end"),
        (-1, {"epoch": 11.5}, "end"),
        (4, {"widths": (31, 20)}, "widths"),
        (-1, {"growth_flops": 1.0}, "widths"),
        (4, {"parameters": 7}, "sizes"),
    ],
)
def test_what_cannot_be_is_found(run: Run, index: int, values: dict, check: str) -> None:
    assert check in checks(changed(run, index, **values))


def test_growth_events_lead_from_width_to_width(run: Run) -> None:
    grown = [replace(record, widths=(30, 27)) for record in run.curve[5:]]
    events = (replace(synthetic.growth(60), widths=(30, 27), flops={}),)
    way = replace(run, curve=(*run.curve[:5], *grown), growth=events, result=grown[-1], sizes={})
    assert "widths" not in checks(way)
    wrong = replace(way, growth=(replace(events[0], widths=(31, 27)),))
    assert "widths" in checks(wrong)
    assert "widths" in checks(replace(way, growth=()))


def test_missing_seeds_and_unfinished_trials_are_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method, seed in (("fixed", 0), ("fixed", 1), ("fixed[size=seed]", 0)):
        synthetic.run(ledger, trial(method, seed))
    found = [f for f in findings(ledger.runs()) if f.check == "completeness"]
    assert [finding.message for finding in found] == ["seed 1 of others not run"]
    ledger.begin(trial("fixed[size=seed]", 1))
    found = [f for f in findings(Ledger(tmp_path).runs()) if f.check == "completeness"]
    assert [finding.message for finding in found] == ["it has not ended: it is unfinished"]


def test_a_twin_without_its_original_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    twin = trial("fixed", twin=Twin(of=trial("fixed").id, match="steps"))
    synthetic.run(ledger, twin)
    assert checks(*ledger.runs()) == ["twins"]
    synthetic.run(ledger, trial("fixed"))
    assert checks(*ledger.runs()) == []
