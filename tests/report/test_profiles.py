import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import trial

from nas_bench.report.content import content
from nas_bench.report.profiles import TASKS
from nas_bench.results.ledger import Ledger
from nas_bench.trials.messages import as_dict

LOSSES = {"fixed": 0.0, "tiny": 0.02, "gradmax": -0.02}


def across(folder: Path, tasks: int) -> dict[str, Any]:
    """What is said over tasks: `tiny` is 2 points worse than `fixed`, gradmax better."""
    ledger = Ledger(folder)
    for task in range(tasks):
        for method, lost in LOSSES.items():
            for seed in range(3):
                config = trial(method, seed, task=f"task_{task}")
                synthetic.begin(ledger, config)
                for record in synthetic.records(trial("fixed", seed)):
                    scores = {
                        name: (getattr(record, name) or 0) - lost
                        for name in ("validation_accuracy", "test_accuracy")
                    }
                    ledger.write(config, as_dict(replace(record, **scores)))
                ledger.finish(config)
    return content(ledger.runs(), "made up")["across"][0]


def test_profiles_say_how_much_sooner_a_row_is_as_good_as_fixed(tmp_path: Path) -> None:
    found = {each["name"]: each["ratios"] for each in across(tmp_path, TASKS)["profile"]}
    assert found["gradmax"] == [1] * TASKS
    assert found["tiny"] == [None] * TASKS  # it never is
    assert all(ratio > 1 for ratio in found["fixed"])
    assert len(found["fixed"]) == TASKS


def test_scores_are_relative_to_those_of_fixed(tmp_path: Path) -> None:
    made = across(tmp_path, 2)
    assert made["profile"] == []
    shares = {each["name"]: each for each in made["relative"]}
    assert [each["name"] for each in made["relative"]] == ["gradmax", "fixed", "tiny"]
    assert shares["fixed"]["tasks"] == [1, 1]
    runs = Ledger(tmp_path).runs()
    ends = [r.result for r in runs if r.method == "fixed" and r.task == "task_0" and r.result]
    error = 1 - math.fsum(end.test_accuracy or 0 for end in ends) / 3
    assert shares["tiny"]["mean"] == pytest.approx((error + 0.02) / error)
