import json

import pytest
from execution.trials import PLUGIN, SETTINGS, config

from nas_bench.execution.resume import missing, refuse_other_data, remarks, todays_data
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
from nas_bench.specs import InputError


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "results")


def said(configs, ledger, rerun="none"):
    return list(remarks(configs, missing(configs, ledger, rerun), ledger, [PLUGIN]))


def make_stale(ledger, trial):
    path = ledger.trial_folder(trial) / "run.json"
    values = json.loads(path.read_text())
    values["behaviour"]["core"] += 1
    path.write_text(json.dumps(values))


def test_trials_that_failed_earlier_are_counted_unless_they_run_again(ledger):
    configs = [config("raises", seed=seed) for seed in range(2)]
    sweep(configs, ledger, "inline", SETTINGS)
    assert said(configs[:1], ledger) == [
        "1 trial failed earlier and was not run again; add --rerun failed"
    ]
    assert said(configs, ledger)[0].startswith("2 trials failed earlier and were not run again")
    assert said(configs, ledger, "failed") == []


def test_results_of_other_code_are_counted_also_those_of_other_seeds(ledger):
    old, young = config(seed=0), config(seed=1)
    assert said([old, young], ledger) == []
    sweep([old], ledger, "inline", SETTINGS)
    assert said([old, young], ledger) == []
    make_stale(ledger, old)
    for configs in ([old], [young], [old, young]):
        (sentence,) = said(configs, ledger)
        assert sentence.startswith(f"1 trial in {ledger.folder} is stale, of other behaviour")
        assert "--rerun stale, or use another --results folder" in sentence
    assert said([old, young], ledger, "all") == []


def test_only_what_other_code_made_runs_again_when_asked_for(ledger):
    old, young, bad = config(seed=0), config(seed=1), config("raises")
    sweep([old, young, bad], ledger, "inline", SETTINGS)
    make_stale(ledger, old)
    assert missing([old, young, bad], ledger, "stale") == [old]
    assert said([old, young, bad], ledger, "stale")[-1].startswith("1 trial failed earlier")
    sweep([old, young, bad], ledger, "inline", SETTINGS, "stale")
    assert missing([old, young, bad], ledger, "stale") == []
    assert ledger.run(old).attempts == 2


def test_trials_with_damaged_files_are_counted(ledger):
    sweep([config()], ledger, "inline", SETTINGS)
    (ledger.trial_folder(config()) / "curve.jsonl").unlink()
    (sentence,) = said([config()], ledger)
    assert sentence.startswith("1 trial has damaged files and will run again")
    sweep([config()], ledger, "inline", SETTINGS)
    assert [path.name for path in ledger.set_aside] == ["damaged-1"]
    assert said([config()], ledger) == []


def test_what_was_stopped_early_runs_again_only_without_early_stopping_or_if_stale(ledger):
    trial = config()
    for message in ({"type": "started"}, {"type": "stopped", "message": "it lagged behind"}):
        ledger.write(trial, message)
    ledger.finish(trial)
    assert ledger.status(trial) == "stopped"
    assert missing([trial], ledger, "none") == [trial]
    assert missing([trial], ledger, "none", stopping=True) == []
    assert missing([trial], ledger, "failed", stopping=True) == []
    ledger.write(trial, {"type": "started"})
    ledger.write(trial, {"type": "loaded", "environment": {}, "behaviour": {"core": 10**6}})
    ledger.write(trial, {"type": "stopped", "message": "it lagged behind"})
    ledger.finish(trial)
    assert missing([trial], ledger, "none", stopping=True) == []
    assert missing([trial], ledger, "stale", stopping=True) == [trial]


def test_rows_of_other_data_are_not_added_to_a_ledger(ledger):
    """Also where the trial itself is new: its rivals' results are of other data."""
    old, young = config(seed=0), config(seed=1)
    sweep([old], ledger, "inline", SETTINGS)
    data = todays_data([young], ledger.glances(), SETTINGS)
    assert list(data) == [young.task]

    def refuse(trials, rerun):
        refuse_other_data(trials, ledger.glances(), ledger.folder, rerun, data)

    refuse([young], "none")
    path = ledger.trial_folder(old) / "run.json"
    values = json.loads(path.read_text())
    values["environment"]["data"] = "0" * 64
    path.write_text(json.dumps(values))
    for rerun in ("none", "failed"):
        with pytest.raises(InputError) as caught:
            refuse([young], rerun)
        sentence = str(caught.value)
        assert str(ledger.folder) in sentence
        assert "were measured on other data (SHA-256 000000000000…, today's" in sentence
        assert all(cure in sentence for cure in ("--results", "--data", "--rerun stale"))
    for rerun in ("stale", "all"):
        refuse([young], rerun)
    refuse([], "none")
    elsewhere = young.model_copy(update={"protocol": "another"})
    refuse([elsewhere], "none")
