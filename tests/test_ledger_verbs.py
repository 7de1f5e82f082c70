"""The verbs that read ledgers: status, plan, merge, verify, show RUN."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
import torch
from synthetic import trial

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.results.ledger import Ledger
from nas_bench.results.lock import locked
from nas_bench.results.reading import read_run
from nas_bench.results.verified import read_verified
from nas_bench.templates import METHOD
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol

QUICK = ("--tasks", "sine", "--budget", "8 epochs", "--seeds", "0")


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    monkeypatch.setattr(plugins, "_loaded", {})
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def said(ledger, capsys):
    """What a verb prints on stdout, after checking its exit code."""

    def say(*arguments, code=0):
        capsys.readouterr()
        assert status(arguments) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return out if out or code in (0, 1, 5) else err

    return say


def begin(ledger, config, records):
    synthetic.begin(ledger, config)
    for record in synthetic.records(config)[:records]:
        ledger.write(config, synthetic.as_dict(record))


def test_status_counts_trials_and_says_how_far_they_are(ledger, said):
    synthetic.sweep(ledger.folder, seeds=2)
    begin(ledger, trial("tiny", 5), 4)
    begin(ledger, trial("tiny", task='image_arrays[path="/a/b/x.npz"]'), 1)
    (ledger.trial_folder(trial("fixed")) / "growth.jsonl").unlink()
    out = said("status")
    lines = {line.split()[2]: line.split() for line in out.splitlines() if "digits" in line}
    assert lines["tiny"][3:9] == ["2", "1", "–", "–", "0-1,5", "25%"]
    assert lines["tiny"][-1] == "ago"
    assert lines["gradmax"][3:7] == ["1", "–", "1", "–"]
    assert "damaged: smoke/digits/fixed" in out
    assert "image_arrays[path" in out
    assert "/a/b" not in out
    assert "no driver writes here" in out
    document = json.loads(said("status", "--json"))
    assert sum(row["ok"] for row in document["rows"]) == 14
    assert document["problems"][0].endswith("the same command runs this trial again")


def test_status_names_the_driver_that_writes_and_does_not_wait_for_it(ledger, said):
    begin(ledger, trial(), 2)
    with locked(ledger.folder):
        assert f"pid {os.getpid()} on" in said("status")
    (ledger.folder / ".lock").write_text("pid 999999999 on nowhere")
    assert json.loads(said("status", "--json"))["driver"] is None
    (ledger.folder / ".lock").write_text(f"pid {os.getpid()} on {platform.node()}")
    assert json.loads(said("status", "--json"))["driver"] is None


def test_a_twin_is_as_far_as_it_has_spent_of_what_its_original_spent(ledger, said):
    synthetic.run(ledger, trial("tiny"))
    twin = trial("tiny", twin={"of": trial("tiny").id, "match": "steps"})
    begin(ledger, twin, 7)
    shares = [row["share"] for row in json.loads(said("status", "--json"))["trials"]]
    assert shares == [1.0, 0.5]


def test_what_a_protocol_varies_has_rows_of_its_own_and_what_a_search_tries_has_not(ledger, said):
    for policy in ("copied", "per_entry"):
        synthetic.run(ledger, trial("tiny", optimizer_policy=policy))
    for rate in (0.1, 0.2):
        synthetic.run(ledger, trial("gradmax", recipe={"learning_rate": rate}))
    rows = json.loads(said("status", "--json"))["rows"]
    assert [(row["method"], row["ok"]) for row in rows] == [
        ("gradmax", 2),
        ("tiny {optimizer_policy=copied}", 1),
        ("tiny {optimizer_policy=per_entry}", 1),
    ]


def test_an_empty_folder_has_no_status(said):
    assert "there are no trials in" in said("status", code=3)
    assert "there are no trials in" in said("verify", code=3)


@pytest.mark.parametrize(
    ("seeds", "said_of_them"),
    [
        ("6", "That is seed 6 alone: --seeds 0-5 are 6 seeds"),
        ("0-4", "5 seeds can show no difference to be real, and rank no rows: that takes 6"),
        ("0-5", None),
        ("0", "1 seed can show no difference to be real, and rank no rows: that takes 6"),
    ],
)
def test_plan_says_what_the_seeds_can_show(seeds, said_of_them, said):
    methods = ("--methods", "gradmax,random_growth[update=true]")
    lines = said("plan", *QUICK, "--seeds", seeds, *methods).splitlines()
    assert lines[0].endswith(f"4 rows, seed{'s' * ('-' in seeds)} {seeds}")
    assert said_of_them is None or said_of_them in lines
    assert (lines[1].split()[0] == "task") == (said_of_them is None)


def test_plan_names_stale_trials_as_run_does(ledger, said):
    asked = {"tasks": "sine", "methods": "fixed", "seeds": "0", "budget": "8 epochs"}
    (config,) = plan(load_protocol("smoke", [asked]), baselines=False)
    begin(ledger, config, 0)
    ledger.write(config, {"type": "loaded", "environment": {}, "behaviour": {"core": 99}})
    ledger.write(config, synthetic.as_dict(synthetic.records(config)[-1]))
    ledger.finish(config)
    arguments = ("plan", *QUICK, "--methods", "fixed", "--no-baselines")
    out = " ".join(said(*arguments).split())
    assert "1 trial in" in out
    assert "is stale, of other behaviour or data than today's: run them again" in out
    assert json.loads(said(*arguments, "--json"))["trials"][0]["state"] == "stale"
    assert "stale, of other" not in said(*arguments, "--rerun", "stale")


def test_edited_results_are_stale(ledger, said):
    begin(ledger, trial("fixed"), 0)
    ledger.write(trial("fixed"), {"type": "loaded", "environment": {}, "behaviour": {"core": 99}})
    ledger.write(trial("fixed"), synthetic.as_dict(synthetic.records(trial("fixed"))[-1]))
    ledger.finish(trial("fixed"))
    assert "1 stale: of other behaviour or data than today's" in said("status")
    assert json.loads(said("status", "--json"))["rows"][0]["stale"] == 1


def heed_ctrl_c():
    """What runs in the background inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_status_watches_until_interrupted(ledger):
    synthetic.run(ledger, trial())
    command = [sys.executable, "-m", "nas_bench", "status", "--watch", "--every", "0.2"]
    watching = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    first = watching.stdout.readline()
    synthetic.fail(ledger, trial("gradmax"))
    second = watching.stdout.readline()
    time.sleep(0.3)
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=60)
    assert first == "smoke digits tiny seed 0: ok\n"
    assert second.startswith("smoke digits gradmax seed 0: ")
    assert "diverged: DivergedError: the loss is NaN" in second + out
    assert (watching.returncode, err) == (0, "")


def test_plan_lists_what_runs_and_what_it_costs(ledger, said):
    arguments = ["plan", *QUICK, "--methods", "random_growth", "--set", 'twins=["flops"]']
    planned = json.loads(said(*arguments, "--json"))
    assert planned["to_run"] == len(planned["trials"]) == 4
    costs = {row["method"]: row["estimate"]["flops"] for row in planned["trials"]}
    assert costs["fixed"] > costs["random_growth"] > costs["fixed[size=seed]"] > 0
    assert costs["random_growth twin (flops)"] == pytest.approx(costs["random_growth"])
    assert planned["wall_seconds"] > 0
    out = said(*arguments)
    assert out.splitlines()[:2] == [
        "smoke on sine: 4 rows, seed 0",
        "1 seed can show no difference to be real, and rank no rows: that takes 6",
    ]
    assert (planned["seeds"], planned["testable_from"]) == ([0], 6)
    assert "4 trials, 4 to run" in out
    assert "a few steps measured now" in out
    assert "growth steps not included" in out
    assert not ledger.folder.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_the_estimate_of_a_fixed_network_is_what_it_costs(ledger, said):
    fixed = (*QUICK, "--methods", "fixed", "--no-baselines")
    before = json.loads(said("plan", *fixed, "--json"))["flops"]
    assert status(["run", *fixed, "--executor", "inline", "-q"]) == 0
    (run,) = ledger.runs()
    assert run.result.train_flops == pytest.approx(before, rel=0.02)
    again = json.loads(said("plan", *fixed, "--seeds", "0-1", "--json"))
    assert [trial["state"] for trial in again["trials"]] == ["ok", "to run"]
    assert again["trials"][1]["estimate"]["basis"] == "mean of 1 finished seed"
    assert again["flops"] == run.result.train_flops
    assert "2 trials, 1 to run" in said("plan", *fixed, "--seeds", "0-1")
    assert "1 trial, 1 to run" in said("plan", *fixed, "--rerun", "all")


def test_plan_says_what_it_cannot_know_without_the_data(said, tmp_path):
    arguments = ["plan", "--protocol", "mlp", "--tasks", "mnist", "--methods", "fixed"]
    out = said(*arguments, "--data", str(tmp_path / "none"))
    assert "not known without the data: task mnist has none in" in out
    assert not (tmp_path / "none").exists()


BROKEN = """
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.tasks.digits import Digits


class OddError(BaseException):
    pass


@dataclass(frozen=True)
class Broken(Digits):
    name: ClassVar[str] = "broken"
    summary: ClassVar[str] = "cannot be loaded"

    def load(self, folder):
        raise OddError("the file is of another version\\nthan this")
"""


def test_plan_prices_each_task_by_itself(said, tmp_path):
    """Data that are missing and plugins that fail keep none of the others from being priced."""
    (tmp_path / "broken.py").write_text(BROKEN)
    arguments = [
        "plan", "--protocol", "mlp-free", "--tasks", "sine,mnist,broken", "--methods",
        "random_growth", "--seeds", "0", "--data", str(tmp_path / "none"), "--plugin", "broken.py",
    ]  # fmt: skip
    planned = json.loads(said(*arguments, "--json"))
    assert planned["flops"] is planned["seconds"] is None
    found = {"sine": [], "mnist": [], "broken": []}
    for row in planned["trials"]:
        found[row["task"]].append(row["estimate"])
    assert len(found["sine"]) == len(found["mnist"]) == len(found["broken"]) == 5
    assert all(e["flops"] > 0 and e["seconds"] > 0 for e in found["sine"])
    assert all((e["flops"], e["seconds"]) == (None, None) for e in found["mnist"])
    assert {e["basis"] for e in found["broken"]} == {
        "not known: OddError: the file is of another version"
    }
    out = said(*arguments)
    rows = [line.split() for line in out.splitlines() if line.startswith("mnist")]
    assert all(row[-2:] == ["?", "?"] for row in rows)
    assert "15 trials, 15 to run" in out
    assert ", 10 not known: about" in out


def test_merge_copies_and_names_conflicts(ledger, said, tmp_path):
    other = Ledger(tmp_path / "other")
    synthetic.run(other, trial())
    assert said("merge", "other", "--dry-run") == "1 copied\n"
    assert not ledger.folder.exists()
    assert said("merge", "other") == "1 copied\n"
    synthetic.run(other, trial(), spread=2.0)
    assert said("merge", "other", code=5) == "1 conflict\n"
    document = json.loads(said("merge", "other", "--prefer", "source", "--json"))
    assert document["counts"] == {"replaced": 1}
    assert "existing: finished" in document["trials"][0]["reason"]
    (tmp_path / "empty").mkdir()
    assert "there are no trials in" in said("merge", "empty", code=3)
    with locked(ledger.folder):
        assert "another nas-bench" in said("merge", "other", code=4)


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_verify_reproduces_trials_bit_by_bit_and_says_so_beside_them(ledger, said):
    options = [*QUICK, "--methods", "random_growth", "--set", 'twins=["flops"]']
    assert status(["run", *options, "--executor", "inline", "-q"]) == 0
    assert said("verify") == "4 trials, 0 findings\n"
    before = {run.folder: (run.folder / "run.json").read_bytes() for run in ledger.runs()}
    out = said("verify", "--rerun", "9")
    assert out.count("reproduced bit by bit: smoke/sine/") == 4
    assert "4 of 4 reproduced" in out
    for folder, content in before.items():
        assert (folder / "run.json").read_bytes() == content
        verified = read_verified(read_run(folder))
        assert verified
        assert (verified.reproduced, verified.compared) == (True, "bits")


def forge(ledger, run, old, new, **environment):
    """Change what a finished trial measured, and hide it."""
    curve = run.folder / "curve.jsonl"
    curve.write_text(curve.read_text().replace(old, new))
    values = json.loads((run.folder / "run.json").read_text())
    text = json.dumps({**values, "checksums": {}}).replace(old, new)
    values = json.loads(text)
    values["environment"] |= environment
    (run.folder / "run.json").write_text(json.dumps(values))


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_verify_finds_what_does_not_come_out_again(ledger, said):
    options = [*QUICK, "--methods", "fixed", "--no-baselines"]
    assert status(["run", *options, "--executor", "inline", "-q"]) == 0
    (run,) = ledger.runs()
    loss = run.result.test_loss
    forge(ledger, run, repr(loss), repr(loss * 1.01))
    assert said("verify") == "1 trial, 0 findings\n"
    assert "not reproduced: smoke/sine/fixed" in said("verify", "--rerun", "1", code=5)
    (run,) = ledger.runs()
    verified = read_verified(run)
    assert verified
    assert not verified.reproduced

    forge(ledger, run, "nothing", "nothing", instructions="VAX")
    out = said("verify", "--rerun", "1")
    assert "within the tolerance, as instructions differ" in out
    forge(ledger, run, repr(loss * 1.01), repr(loss * 2))
    assert "the final test losses are" in said("verify", "--rerun", "1", code=5)


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_verify_asks_for_the_plugin_of_a_trial(ledger, said, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_loaded", {})
    plugin = tmp_path / "mine.py"
    plugin.write_text(METHOD.replace("{name}", "mine").replace("{Name}", "Mine"))
    options = [*QUICK, "--methods", "mine", "--no-baselines", "--plugin", str(plugin)]
    assert status(["run", *options, "--executor", "inline", "-q"]) == 0
    monkeypatch.setattr(plugins, "_loaded", {})
    out = said("verify", "--rerun", "1", code=4)
    assert "not run again: smoke/sine/mine" in out
    assert "there is no method mine here: give the file that it comes from with --plugin" in out
    assert "reproduced bit by bit" in said("verify", "--rerun", "1", "--plugin", str(plugin))
    assert "stale" not in said("verify", "--plugin", str(plugin))
    monkeypatch.setattr(plugins, "_loaded", {})
    edited = plugin.read_text().replace(
        "    summary:", "    version: ClassVar[int] = 2\n    summary:"
    )
    plugin.write_text(edited)
    assert "1 stale" in said("verify", "--plugin", str(plugin))


@pytest.mark.gpu
@pytest.mark.slow
def test_verify_takes_a_device_like_the_trials_own_or_the_one_asked_for(ledger, said, device):
    options = [*QUICK, "--methods", "fixed", "--no-baselines", "--device", device]
    assert status(["run", *options, "--executor", "inline", "-q"]) == 0
    assert "reproduced bit by bit" in said("verify", "--rerun", "1")
    other = said("verify", "--rerun", "1", "--device", "cpu")
    assert ("as device differ" in other) == (device != "cpu")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_verify_goes_to_the_cpu_without_a_gpu_unless_one_is_asked_for(ledger, said):
    options = [*QUICK, "--methods", "fixed", "--no-baselines"]
    assert status(["run", *options, "--executor", "inline", "-q"]) == 0
    (run,) = ledger.runs()
    forge(ledger, run, "nothing", "nothing", device="NVIDIA H200")
    assert "within the tolerance, as device differ" in said("verify", "--rerun", "1")
    refused = said("verify", "--rerun", "1", "--device", "cuda", code=4)
    assert "not run again: smoke/sine/fixed" in refused
    assert "cuda was asked for, but there are 0 GPUs" in refused


def test_verify_names_damage(ledger, said):
    synthetic.run(ledger, trial("fixed[size=seed]"))
    path = ledger.trial_folder(trial("fixed[size=seed]")) / "curve.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert "files: smoke/digits/fixed-size=seed" in said("verify", code=5)
    findings = json.loads(said("verify", "--json", code=5))["findings"]
    assert findings[0]["check"] == "files"


@pytest.mark.parametrize("regression", [False, True])
def test_show_has_a_dash_where_whole_splits_were_not_scored(ledger, said, regression):
    config = trial("fixed")
    synthetic.run(ledger, config, points=50, regression=regression, earlier=False)
    rows = [line.split() for line in said("show", config.id).splitlines() if " 30-20 " in line]
    unscored = {int(row[0]) for row in rows if row[-1] == "–"}
    shown = {int(row[0]) for row in rows}
    assert shown - unscored == {*range(0, 750, 60), 750}
    assert unscored


def test_show_knows_trials_by_folder_and_by_the_start_of_their_id(ledger, said):
    synthetic.sweep(ledger.folder, seeds=3)
    config = trial("gradmax", 2)
    out = said("show", config.id[:6])
    assert f"trial     {config.id}" in out
    assert "diverged: DivergedError: the loss is NaN at step 75" in out
    assert "schedule.growths" in out
    assert "Traceback …" in out.splitlines()
    assert said("show", str(ledger.trial_folder(config))) == out
    found = json.loads(said("show", config.id, "--json"))
    assert (found["status"], found["config"]["seed"]) == ("diverged", 2)
    (ledger.trial_folder(config) / "growth.jsonl").unlink()
    assert "problem: growth.jsonl is missing" in said("show", config.id)


def test_show_keeps_what_was_undone_out_of_sight(ledger, said):
    config = trial("tiny")
    begin(ledger, config, 4)
    tried = replace(synthetic.growth(30), update_amplitude=0.123, warning="it may be unstable")
    for event in (tried, replace(tried, status="too expensive", amplitude=None)):
        ledger.write(config, synthetic.as_dict(event))
    out = said("show", config.id)
    assert (out.count("0.123"), out.count("unstable"), out.count("too expensive")) == (1, 1, 1)


def test_the_start_of_an_id_must_be_unique(ledger, said, monkeypatch):
    synthetic.sweep(ledger.folder, seeds=1)
    from nas_bench.commands import show_run

    monkeypatch.setattr(show_run, "is_run", lambda name: True)
    monkeypatch.setattr("nas_bench.commands.show.is_run", lambda name: True)
    assert "trials have ids that begin with" in said("show", "", code=2)


def test_help_of_these_verbs_imports_nothing_heavy():
    heavy = {"torch", "ray", "pandas", "pydantic", "yaml", "rich", "matplotlib", "numpy"}
    verbs = ("plan", "status", "merge", "verify", "show")
    code = f"""
import sys
from nas_bench.cli import status
assert not any([status([verb, "--help"]) for verb in {verbs}])
print("HEAVY", sorted({heavy} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("HEAVY []\n")


def test_status_imports_no_torch(tmp_path: Path):
    synthetic.run(Ledger(tmp_path), trial())
    code = f"""
import sys
from nas_bench.cli import status
assert status(["status", "--results", {str(tmp_path)!r}]) == 0
print("HEAVY", sorted({{"torch", "ray", "pandas", "numpy"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("HEAVY []\n")


def test_every_verb_that_takes_only_a_folder_takes_it_as_an_argument_too(ledger, said):
    synthetic.run(ledger, trial())
    for verb in ("status", "verify", "report", "export", "pack", "unpack"):
        more = {"export": ("--format", "csv"), "report": ("--figures", "none")}.get(verb, ())
        code = 5 if verb == "verify" else 0
        said(verb, "ledger", *more, code=code)
        twice = said(verb, "ledger", "--results", "ledger", *more, code=2)
        assert "give the folder once" in twice


def test_show_takes_every_place_that_is_printed(ledger, said):
    for seed in range(2):
        synthetic.run(ledger, trial(seed=seed))
    place = ledger.trial_folder(trial()).relative_to(ledger.folder)
    expected = said("show", trial().id)
    for name in (place, f"{place}/", f"./ledger/{place}", f"{place}/curve.jsonl"):
        assert said("show", str(name)) == expected
    file = str(ledger.trial_folder(trial()) / "run.json")
    assert said("show", file, "--results", "elsewhere") == expected
    for name in (place.parent, f"ledger/{place.parent}", "smoke/digits", "smoke/digits.zip"):
        assert f"2 trials lie at {name}: name one of them, such as {place}" in said(
            "show", str(name), code=2
        )
    said("pack")
    assert said("show", f"{place}/curve.jsonl").count(trial().id) == 1
    assert said("show", file, "--results", "elsewhere").count(trial().id) == 1


@pytest.mark.parametrize("depth", range(1, 5))
def test_a_part_of_a_results_folder_names_the_whole(ledger, said, depth):
    synthetic.run(ledger, trial())
    part = str(Path(*ledger.trial_folder(trial()).parts[: len(ledger.folder.parts) + depth]))
    for verb in (("status", part), ("verify", part), ("merge", part, "--results", "other")):
        assert f"it is a part of the results folder {ledger.folder}\n" in said(*verb, code=3)


def test_a_folder_with_a_search_alone_has_nothing_to_report(ledger, said):
    synthetic.run(ledger, trial(seed=1_000_000, protocol="smoke-search-tiny"))
    err = said("report", code=3)
    assert "it has no trials but those of a search: nas-bench tune goes on with it" in err
