"""A method that refuses the sites of a task: a cell of its own, and no failure."""

import csv
import json

import pytest

from nas_bench.cli import status
from nas_bench.results.ledger import Ledger

SHY = """
from dataclasses import dataclass
from typing import ClassVar
from torch import nn
from nas_bench.growth import GrowthMethod, Need, SiteError
from nas_bench.methods.random_growth import RandomGrowth


@dataclass(frozen=True)
class Shy(RandomGrowth):
    name: ClassVar[str] = "shy"
    summary: ClassVar[str] = "random neurons, but none behind another hidden layer"

    def needs(self, site):
        if site.name == "3":
            raise SiteError("shy cannot grow layer 3: another hidden layer comes before")
        return super().needs(site)
"""
REASON = "shy cannot grow layer 3: another hidden layer comes before"
WHAT = ("--methods", "shy,random_growth", "--tasks", "iris,spirals", "--seeds", "0-1")
HOW = (
    "--budget", "12 steps", "--set", "schedule.unit=steps", "--set", 'twins=["flops"]',
    "--no-baselines",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the plugin, which a process loads from one place."""
    return tmp_path_factory.mktemp("shy")


@pytest.fixture(scope="module")
def asked(folder):
    path = folder / "shy.py"
    path.write_text(SHY)
    return (*WHAT, *HOW, "--plugin", str(path), "--results", str(folder / "results"))


def test_plan_says_so_before_anything_runs(asked, capsys):
    assert status(["plan", *asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    states = {(t["task"], t["method"], t["state"]) for t in found["trials"]}
    assert {state for task, method, state in states if task == "iris" or "shy" not in method} == {
        "to run"
    }
    assert {state for task, method, state in states if task == "spirals" and "shy" in method} == {
        "not applicable"
    }
    assert found["remarks"] == [f"shy is not applicable to spirals: {REASON}"]


def test_its_trials_are_no_failures_and_every_view_has_a_cell_for_it(
    asked, folder, capsys, no_figures
):
    for _ in range(2):  # the second time there is nothing left to run
        assert status(["run", *asked, "--executor", "inline"]) == 0
        said = capsys.readouterr()
        assert "failed" not in said.err
    shown = " ".join(said.out.split())
    assert f"Not applicable here (n/a), and neither ranked nor failed: shy: {REASON}" in shown
    assert "– shy n/a" in shown
    assert "shy twin (flops)" not in shown
    runs = Ledger(folder / "results").runs()
    found = {(r.task, r.label, r.status) for r in runs}
    refused = {(task, label) for task, label, state in found if state == "not applicable"}
    assert refused == {("spirals", "shy"), ("spirals", "shy twin (flops)")}
    assert all(state in ("ok", "not applicable") for *_, state in found)
    assert {run.attempts for run in runs} == {1}

    results = str(folder / "results")
    assert status(["status", results, "--plugin", asked[-3]]) == 0
    assert "not applicable" in " ".join(capsys.readouterr().out.split())
    report = folder / "results" / "report"
    with (report / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "spirals"]
    values = {
        row["method"]: (row["not_applicable"], row["rank_best"], row["test_score"]) for row in rows
    }
    assert values["shy"] == (REASON, "", "")
    assert values["random_growth"][0] == ""
    assert float(values["random_growth"][2]) > 0
    assert REASON in (report / "report.html").read_text("utf-8")
    assert REASON in (report / "leaderboard.md").read_text("utf-8").replace("\\", "")
    assert (
        status(["compare", "shy", "random_growth", "--task", "spirals", "--results", results]) == 3
    )
    assert f"shy is not applicable to spirals: {REASON}" in capsys.readouterr().err


def test_tuning_says_so_and_does_not_fail(folder, asked, capsys, no_figures):
    how = ("--plugin", asked[-3], "--results", str(folder / "tuned"), "--executor", "inline")
    what = ("--methods", "shy", "--tasks", "spirals", "--seeds", "0", "--no-baselines")
    few = ("--budget", "1e5 flops", "--configurations", "2")
    assert status(["tune", *what, *few, *how]) == 0
    said = capsys.readouterr()
    assert "not applicable" in said.out.partition("\n\n")[0]
    assert "no configuration has a result" not in said.out
    assert "failed" not in said.err
