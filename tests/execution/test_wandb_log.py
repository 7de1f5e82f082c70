import json
import subprocess
import sys

import pytest
from execution.trials import SETTINGS, config, job

from nas_bench.execution.wandb_log import WandbLog
from nas_bench.execution.worker import messages

pytestmark = pytest.mark.slow
PREFIX = "Warning: wandb failed and is left out from now on ("


@pytest.fixture(scope="module")
def heard():
    """The messages of a short trial that grows."""
    return list(messages(job("digits", "tiny"), SETTINGS))


def logged(tmp_path, *attempts):
    """What attempts of one trial, each in a command of its own, leave on disk."""
    from execution.wandb_files import written

    warnings = []
    for said in attempts:
        log = WandbLog("offline", tmp_path, warnings.append)
        for message in said:
            log(config("digits", "tiny"), message)
        log.close()
    assert warnings == []
    return written(tmp_path)


def rows_of(said):
    return [message for message in said if message["type"] in ("record", "growth")]


def test_an_error_of_wandb_is_said_once_and_stops_nothing(tmp_path, monkeypatch, heard):
    monkeypatch.setitem(sys.modules, "wandb", None)
    warnings = []
    log = WandbLog("offline", tmp_path, warnings.append)
    for seed in range(3):
        for message in heard:
            log(config(seed=seed), message)
    log.close()
    log.summarise("test", [{"method": "tiny"}], [])
    assert len(warnings) == 1
    assert warnings[0].startswith(PREFIX)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (SystemExit(1), "1"),
        (RuntimeError("line 1\nline 2"), "(line 1)"),
    ],
)
def test_whatever_wandb_raises_is_one_warning(tmp_path, monkeypatch, heard, error, reason):
    import wandb

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(wandb, "init", fail)
    warnings = []
    log = WandbLog("offline", tmp_path, warnings.append)
    for message in heard:
        log(config(), message)
    log.close()
    assert len(warnings) == 1
    assert reason in warnings[0]


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, heard):
    (tmp_path / "file").touch()
    warnings = []
    log = WandbLog("offline", tmp_path / "file" / "results", warnings.append)
    for message in heard:
        log(config(), message)
    log.close()
    assert len(warnings) == 1


@pytest.mark.parametrize("key", [None, "0" * 40])
def test_no_key_and_no_network_are_one_warning(tmp_path, monkeypatch, heard, key):
    monkeypatch.setattr("nas_bench.execution.wandb_log._PATIENCE", 3.0)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    warnings = []
    log = WandbLog("online", tmp_path, warnings.append)
    for seed in range(2):
        for message in heard:
            log(config(seed=seed), message)
    log.close()
    assert len(warnings) == 1
    assert key or "no key: log in with wandb login, or use --wandb offline" in warnings[0]


def test_the_project_is_the_one_in_the_environment(tmp_path, heard, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "growth")
    (run,) = logged(tmp_path, heard)
    assert run.run.project == "growth"


def test_a_run_holds_config_curves_and_growth_events(tmp_path, heard):
    (run,) = logged(tmp_path, heard)
    trial = config("digits", "tiny")
    assert (run.run.project, run.run.run_group) == ("nas-bench", "test/digits")
    assert run.run.job_type == "tiny"
    assert run.config["id"] == trial.id
    assert run.config["seed"] == 0
    said = rows_of(heard)
    assert len(run.rows) == len(said)
    assert any(message["type"] == "growth" for message in said)
    for row, message in zip(run.rows, said, strict=True):
        assert row["step"] == message["step"]
        if message["type"] == "record":
            spent = message["train_flops"] + message["growth_flops"]
            for split in ("validation", "full_validation", "test"):
                name = f"{split}_accuracy"
                assert row.get(name) == row.get(f"by_flops/{name}") == message[name]
            assert row["spent_flops"] == spent
        else:
            assert row[f"growth/{message['site']}/added"] == message["added"]
    assert run.summary["status"] == "ok"
    assert run.exit_code == 0


def test_a_trial_that_is_not_applicable_is_no_failed_run(tmp_path, heard):
    refused = {"type": "failure", "status": "not applicable", "error": "", "message": "too shy"}
    (run,) = logged(tmp_path, [*heard[:2], refused])
    assert (run.summary["status"], run.summary["error"]) == ("not applicable", "too shy")
    assert run.exit_code == 0


def test_a_trial_that_goes_on_offline_is_a_second_run_with_the_same_steps(tmp_path, heard):
    cut = heard.index(next(message for message in heard if message["type"] == "growth"))
    said = rows_of(heard[:cut])
    failure = {"type": "failure", "status": "preempted", "error": "", "message": "asked to end"}
    first = [*heard[: cut + 2], failure]
    second = [*heard[:2], {"type": "resumed", "messages": said}, *heard[cut:]]
    before, after = logged(tmp_path, first, second)
    assert before.run.run_group == after.run.run_group
    assert before.run.run_id != after.run.run_id
    assert before.exit_code == 1
    assert before.summary["status"] == "preempted"
    assert [row["step"] for row in after.rows] == [message["step"] for message in rows_of(heard)]
    assert after.exit_code == 0


def test_a_trial_that_goes_on_in_the_same_sweep_is_the_same_run_without_double_rows(
    tmp_path, heard
):
    cut = heard.index(next(message for message in heard if message["type"] == "growth"))
    resumed = {"type": "resumed", "messages": rows_of(heard[:cut])}
    (run,) = logged(tmp_path, [*heard[: cut + 2], *heard[:2], resumed, *heard[cut:]])
    assert [row["step"] for row in run.rows] == [message["step"] for message in rows_of(heard)]


def test_a_resumed_trial_resumes_its_run_online_and_logs_only_what_is_missing(
    tmp_path, monkeypatch, heard
):
    import wandb

    begun, rows = [], []

    class Run:
        """What the server would hold: rows by run."""

        def __init__(self, starting_step):
            self.starting_step, self.summary = starting_step, {}

        def log(self, values):
            rows.append(values)

        def define_metric(self, *arguments, **options):
            pass

        def mark_preempting(self):
            pass

        def finish(self, exit_code=0):
            pass

    def init(**options):
        begun.append(options)
        return Run(len(rows) if options["resume"] == "allow" else 0)

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb, "login", lambda **options: True)
    cut = len(heard) // 2
    resumed = {"type": "resumed", "messages": rows_of(heard[: cut - 1])}
    for said in (heard[:cut], [*heard[:2], resumed, *heard[cut - 1 :]]):
        log = WandbLog("online", tmp_path, pytest.fail)
        for message in said:
            log(config("digits", "tiny"), message)
        log.close()
    assert begun[0]["id"] == begun[1]["id"]
    assert config("digits", "tiny").id in begun[0]["id"]
    assert [options["resume"] for options in begun] == [None, "allow"]
    assert [row["step"] for row in rows] == [message["step"] for message in rows_of(heard)]


def test_an_offline_sweep_writes_a_run_for_each_trial_and_one_with_table_and_plots(tmp_path):
    from execution.wandb_files import written

    arguments = "run --methods tiny --tasks sine --seeds 0 --executor inline --wandb offline"
    short = ("--budget", "8 epochs", "--set", "evaluations=4", "--results", str(tmp_path))
    command = [sys.executable, "-m", "nas_bench", *arguments.split(), *short]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    *trials, summary = written(tmp_path)
    assert {run.run.job_type for run in trials} == {"tiny", "fixed", "fixed[size=seed]"}
    assert (summary.run.job_type, summary.run.run_group) == ("summary", "smoke")
    (row,) = summary.rows
    media = {key.split(".")[0]: key for key in row}
    assert {"table", "pareto_flops", "pareto_parameters"} <= media.keys()
    (table,) = summary.folder.glob("files/media/table/*.json")
    content = json.loads(table.read_text())
    assert "test_score" in content["columns"]
    assert len(content["data"]) == 3
    assert len(list(summary.folder.glob("files/media/images/pareto*.png"))) == 4
