import json
import shutil
from collections import Counter

import pytest

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.results.ledger import Ledger
from nas_bench.templates import METHOD

FEW = "6e5 flops"
TUNE = ("tune", "--executor", "inline", "--tasks", "sine", "--set", "evaluations=2")
QUICK = (*TUNE, "--budget", FEW, "--seeds", "0", "--configurations", "3")
GROWTH = ("--set", "schedule.every=10", "--set", "schedule.unit=steps")


pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    monkeypatch.setattr(plugins, "_loaded", {})


def finished(ledger):
    """When each trial ended, by id, and how often it was begun."""
    return {run.id: (run.finished, run.attempts) for run in ledger.glances()}


def without_clocks(document):
    """What was decided and measured, less what a clock decides."""
    rows = [(row["name"], row["score"], row["tuning"]) for row in tuned(document)["rows"]]
    return document["tuning"], rows


def tuned(document):
    (found,) = (c for c in document["comparisons"] if c["protocol"] == "smoke-tuned")
    return found


@pytest.mark.slow
def test_every_method_gets_as_many_configurations_and_flops_and_the_same_command_continues(
    capsys, tmp_path
):
    arguments = [*QUICK, *GROWTH, "--methods", "gradmax,random_growth", "--json", "-q"]
    assert status(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    ledger = Ledger(tmp_path / "ledger")
    assert {row["method"] for row in first["tuning"]} == {
        "gradmax", "random_growth", "fixed", "fixed[size=seed]",
    }  # fmt: skip
    for row in first["tuning"]:
        assert (row["configurations"], row["failed"]) == (3, 0)
        assert row["flops"] == pytest.approx(3 * 6e5, rel=0.01)
    searched = [run for run in ledger.runs() if "-search-" in run.protocol]
    assert len(searched) == 4 * 3
    assert {run.seed for run in searched} == {1000000}
    final = [run for run in ledger.runs() if run.protocol == "smoke-tuned"]
    assert len(final) == 4
    assert {run.seed for run in final} == {0}
    assert all(trial["seed"] == 0 for trial in first["trials"])

    for row in tuned(first)["rows"]:
        assert row["name"] in ("gradmax", "random_growth", "fixed", "fixed[size=seed]")
        assert row["tuning"]["configurations"] == 3
        cost = row["costs"]["training_flops"]["mean"] + row["tuning"]["flops"]
        assert row["costs"]["with_tuning"]["mean"] == pytest.approx(cost, rel=1e-4)

    before = finished(ledger)
    assert status([argument for argument in arguments if argument != "--json"]) == 0
    assert finished(ledger) == before
    out = capsys.readouterr().out
    assert "settings chosen on validation data" in out
    assert "smoke-tuned v4" in out
    assert "smoke-search" not in out

    cut = [run for run in ledger.runs() if run.protocol == "smoke-search-gradmax"][1:]
    for run in (*cut, *final):
        shutil.rmtree(run.folder)
    assert status(arguments) == 0
    again = json.loads(capsys.readouterr().out)
    assert without_clocks(again) == without_clocks(first)
    kept = before.keys() - {run.id for run in (*cut, *final)}
    after = finished(ledger)
    assert after.keys() == before.keys()
    assert {identity: after[identity] for identity in kept} == {
        identity: before[identity] for identity in kept
    }


def test_a_method_that_always_fails_keeps_its_default_and_is_a_row(capsys, tmp_path):
    text = METHOD.replace("        p =", '        raise RuntimeError("no luck")\n        p =')
    (tmp_path / "unlucky.py").write_text(
        text.replace("{name}", "unlucky").replace("{Name}", "Unlucky")
    )
    arguments = [*QUICK, *GROWTH, "--methods", "unlucky", "--no-baselines", "-q"]
    arguments += ["--plugin", "unlucky.py"]
    assert status(arguments) == 1
    assert "the protocol's own: no configuration has a result" in capsys.readouterr().out
    assert status([*arguments, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    (row,) = document["tuning"]
    assert (row["failed"], row["changed"], row["validation_score"]) == (3, {}, None)
    assert [trial["status"] for trial in document["trials"]] == ["failed"]


@pytest.mark.slow
def test_asha_stops_what_lags_and_a_search_without_it_runs_that_too(capsys, tmp_path, ray_running):
    arguments = ["tune", "--tasks", "sine", "--budget", "6e5 flops", "--seeds", "0", *GROWTH]
    arguments += ["--set", "evaluations=40", "--methods", "random_growth", "--no-baselines"]
    arguments += ["--configurations", "9", "--json", "-q"]
    assert status([*arguments, "--search", "asha"]) == 0
    (first,) = json.loads(capsys.readouterr().out)["tuning"]
    assert (first["configurations"], first["failed"]) == (9, 0)
    assert first["stopped"] > 0
    assert first["flops"] < 0.9 * 9 * 6e5
    ledger = Ledger(tmp_path / "ledger")
    searched = [run for run in ledger.runs() if "-search-" in run.protocol]
    assert Counter(run.status for run in searched) == {
        "ok": 9 - first["stopped"], "stopped": first["stopped"],
    }  # fmt: skip
    for run in searched:
        assert not run.problems
        if run.status == "stopped":
            assert 6e5 / 9 <= run.costs["train_flops"] + run.costs["growth_flops"] < 6e5
            assert "was below the 67th percentile of its search" in run.reason
    assert not list((tmp_path / "ledger/.checkpoints").glob("*/*.pt"))

    before = finished(ledger)
    assert status([*arguments, "--search", "asha"]) == 0
    assert finished(ledger) == before
    capsys.readouterr()
    assert status([*arguments, "--executor", "inline"]) == 0
    (whole,) = json.loads(capsys.readouterr().out)["tuning"]
    assert (whole["stopped"], whole["failed"]) == (0, 0)
    assert whole["flops"] == pytest.approx(9 * 6e5, rel=0.01)
    assert {run.status for run in ledger.runs()} == {"ok"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--budget", "2 epochs", "--set", "schedule.growths=1", "--set", "schedule.every=1"],
         "the budget is 2 epochs, but equal tuning needs one in FLOPs: give --budget in flops, "
         "such as --budget '1.4e+05 flops' on sine: what fixed spends now"),
        (["--budget", "9 seconds"],
         "the budget is 9 seconds, but equal tuning needs one in FLOPs"),
        (["--budget", "1e6 flops", "--search-seeds", "2,1"],
         "search seed 1 is also a seed of the final trials: give others with --search-seeds"),
        (["--budget", "1e6 flops", "--search-seeds", "x"], "not of the form 0-9 or 0,2,5"),
        (["--budget", "1e6 flops", "--configurations", "0"], "0 is not in the range"),
        (["--budget", "1e6 flops", "--search", "grid"],
         "'grid' is not one of 'sobol', 'random', 'asha'"),
        (["--budget", "1e6 flops", "--search", "asha"],
         "--search asha stops trials under Ray Tune, but --executor is inline: leave it out"),
        (["--budget", "1e6 flops", "--search", "asha", "--executor", "ray", "--methods",
          "random_growth", "--no-baselines"],
         "--search asha compares at a 9th of the budget first, but evaluations is 2: add --set "
         "evaluations=9 or more"),
        (["--budget", "1e6 flops", "--search", "asha", "--search-seeds", "7,8", "--executor",
          "ray"],
         "--search asha compares single trials, but --search-seeds is 7,8: give one seed"),
        (["--budget", "1e6 flops", "--methods", "tni"], "unknown method 'tni': did you mean tiny"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_and_exit_code_2(arguments, sentence, capsys, tmp_path):
    assert status([*TUNE, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "ledger").exists()
