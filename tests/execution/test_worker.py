import base64
import hashlib
import json
import signal
from dataclasses import asdict, replace

import pytest
import torch
from execution.trials import SETTINGS, Collector, job, without_clocks

from nas_bench import plugins
from nas_bench.behaviour import core_version
from nas_bench.execution import Settings, executor, overdue
from nas_bench.execution.worker import failure, messages
from nas_bench.results.environment import code_hash
from nas_bench.results.summary import MACHINE_FAULTS
from nas_bench.templates import METHOD

pytestmark = pytest.mark.usefixtures("clean_process")


def run(*jobs):
    collector = Collector()
    executor("inline").execute(jobs, SETTINGS, collector)
    return [collector.of(each) for each in jobs]


def test_a_trial_records_its_peak_memory_before_it_ends():
    (said,) = run(job())
    known = [message.get("environment", {}) for message in said]
    (peak,) = [values["peak_memory"] for values in known if "peak_memory" in values]
    assert 50 * 2**20 < peak < 100 * 2**30  # bytes of a process with torch


def test_a_trial_says_first_where_it_runs_and_last_its_final_record():
    (said,) = run(job(method="tiny"))
    assert said[0]["type"] == "started"
    assert {"device", "threads", "instructions", "packages"} <= said[0]["environment"].keys()
    assert said[-1]["type"] == "record"
    assert said[-1]["final"]
    assert sum(message.get("final", False) for message in said) == 1
    assert json.loads(json.dumps(said)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tiny", "random_growth"])
def test_the_same_trial_gives_the_same_bits_after_a_plugin_that_dirties_the_process(method):
    clean, again = job(method=method, seed=1), job(method=method, seed=1)
    (first,), (_, second) = run(clean), run(job("dirty"), again)
    assert without_clocks(first) == without_clocks(second)
    assert torch.get_default_dtype() == torch.float32
    assert not torch.is_anomaly_enabled()


def test_a_dirty_trial_says_the_same_in_a_fresh_and_in_a_used_process():
    (first,), (second,) = run(job("dirty")), run(job("dirty"))
    assert without_clocks(first) == without_clocks(second)


@pytest.mark.parametrize(
    ("task", "status", "error", "message"),
    [
        ("raises", "failed", "ValueError", "this network cannot be made"),
        ("raises[error=SystemExit]", "failed", "SystemExit", "the trial called sys.exit(3)"),
        ("raises[error=MemoryError]", "oom", "MemoryError", "no room"),
        ("raises[error=CancelledError]", "failed", "CancelledError", "not wanted any more"),
        ("raises[error=GeneratorExit]", "failed", "GeneratorExit", "GeneratorExit"),
        ("raises[error=untraceable]", "failed", "UntraceableError", "no way back"),
        ("raises[error=unknowable]", "failed", "UnknowableError", ""),
        ("raises[error=unsayable]", "failed", "UnsayableError", "its text cannot be made"),
        (
            "raises[error=unshowable]",
            "failed",
            "ValueError",
            "half \\udcff, a bell \\x07, a colour",
        ),
        ("diverges", "diverged", "DivergedError", "loss"),
    ],
)
def test_what_a_trial_raises_becomes_its_last_message(task, status, error, message):
    (failed,) = run(job(task))
    assert failed[0]["type"] == "started"
    last = failed[-1]
    assert (last["type"], last["status"], last["error"]) == ("failure", status, error)
    assert message in last["message"]
    assert error in last["traceback"] or not last["traceback"]
    assert {c for c in last["traceback"] if not c.isprintable()} <= {"\n"}


def test_a_trial_that_raises_ends_no_other():
    *failed, kept = run(*map(job, ("raises", "raises[error=SystemExit]", "diverges", "digits")))
    assert [said[-1]["type"] for said in failed] == 3 * ["failure"]
    assert kept[-1]["final"]


@pytest.mark.parametrize("task", ["slow", "stuck"])
def test_a_trial_that_is_stuck_is_ended(task, monkeypatch):
    monkeypatch.setattr(overdue, "GRACE", 0.1)
    settings, collector = replace(SETTINGS, timeout=0.2), Collector()
    before = signal.getsignal(signal.SIGALRM)
    executor("inline").execute([job(task)], settings, collector)
    last = collector.of(job(task))[-1]
    assert (last["status"], last["error"]) == ("timeout", "OverdueError")
    assert "did not pause within 0.1 s of --timeout 0.2, and was ended" in last["message"]
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_machine_without_the_gpu_it_speaks_of_is_at_fault_and_the_trial_unfinished(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    last = list(messages(replace(job(), device="cuda"), SETTINGS))[-1]
    assert last["error"] == "NoGpuError"
    assert last["error"] in MACHINE_FAULTS


def test_an_interrupt_is_not_a_failure():
    with pytest.raises(KeyboardInterrupt):
        list(messages(job("raises[error=KeyboardInterrupt]"), SETTINGS))


def test_a_gpu_without_memory_is_told_apart_from_a_bug():
    assert failure(torch.OutOfMemoryError("CUDA out of memory")).status == "oom"
    allocator = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
    assert failure(RuntimeError(allocator)).status == "oom"
    assert failure(RuntimeError("mat1 and mat2 shapes cannot be multiplied")).status == "failed"


def test_an_unknown_method_fails_its_trial_with_a_hint():
    (said,) = run(job(method="tinny"))
    assert "did you mean tiny" in said[-1]["message"]


def test_what_ran_is_recorded_with_every_default_and_the_kinds_of_sites():
    (said,) = run(job("digits", "tiny", recipe={"learning_rate": 0.01}))
    loaded = [message for message in said if message["type"] == "loaded"]
    assert loaded[0]["behaviour"] == {"core": core_version(), "method": 2, "task": 1, "trigger": 1}
    resolved = loaded[0]["resolved"]
    assert resolved["method"] == asdict(plugins.method("tiny"))
    assert resolved["task"]["target_widths"] == [32, 16]
    assert resolved["recipe"] == {**asdict(plugins.task("digits").recipe), "learning_rate": 0.01}
    assert loaded[0]["plugins"] == {}
    assert loaded[-1]["resolved"] == {"sites": ["linear"]}


def test_the_code_of_a_plugin_is_recorded_as_it_was_executed(tmp_path):
    path = tmp_path / "edited.py"
    text = METHOD.replace("{name}", "edited").replace("{Name}", "Edited")
    path.write_text(text)
    settings, collector = Settings(plugins=(path,)), Collector()
    plugins.load_path(path)
    path.write_text(f"{text}\nEDITED = 1  # while the sweep runs\n")
    trial = job("digits", "edited")
    executor("inline").execute([trial], settings, collector)
    (loaded,) = [m for m in collector.of(trial) if "plugins" in m]
    file = loaded["plugins"]["method"]
    assert base64.b64decode(file["base64"]) == text.encode() == plugins.content(path)
    assert file["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert loaded["environment"]["sources"]["method"] == code_hash(text)
