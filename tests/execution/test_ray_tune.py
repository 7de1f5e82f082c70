import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from execution.trials import PLUGIN, SETTINGS, Collector, job, without_clocks
from ray.exceptions import ActorDiedError, OutOfMemoryError

import nas_bench
from nas_bench.execution import ExecutionError, Settings, executor, overdue
from nas_bench.execution.ray_session import _LONGEST, _is_cluster
from nas_bench.execution.ray_tune import BREATH, Inbox, Outbox, lost
from nas_bench.trials.config import Schedule

LOWER = Schedule(when="lower", growths=2, every=2, unit="steps")
ONE_AT_A_TIME = replace(SETTINGS, max_concurrent=1)


@pytest.fixture
def ray(ray_running):
    return executor("ray")


def run(ray, settings, *jobs):
    collector = Collector()
    ray.execute(jobs, settings, collector)
    return [collector.of(each) for each in jobs]


@pytest.mark.slow
def test_ray_and_inline_give_the_same_bits_whatever_else_runs_in_the_workers(ray):
    jobs = [
        job(method="tiny"),
        job("dirty"),
        job(method="tiny", seed=1),
        job("raises[error=killed]"),
        job("raises[error=SystemExit]"),
        job("sine", "random_growth", seed=2),
        job(method="towards", schedule=LOWER),
    ]
    tiny, _, second, killed, left, sine, strangers = run(ray, ONE_AT_A_TIME, *jobs)
    collector = Collector()
    executor("inline").execute([jobs[0], jobs[2], *jobs[5:]], SETTINGS, collector)
    for index, said in ((0, tiny), (2, second), (5, sine), (6, strangers)):
        assert said[-1]["final"]
        assert without_clocks(said) == without_clocks(collector.of(jobs[index]))
    assert strangers[-1]["trigger_flops"] > 0
    assert sum(message.get("added", 0) for message in strangers) > 0
    assert killed[-1]["type"] == "failure"
    sentence = "the worker process died (killed, out of memory, or left by os._exit)"
    assert (killed[-1]["status"], killed[-1]["message"]) == ("failed", sentence)
    assert left[-1]["message"] == "the trial called sys.exit(3)"


def test_messages_that_come_shortly_after_others_are_reported_together():
    reports = []
    outbox = Outbox(reports.append)
    for number in range(4):
        outbox.add({"number": number})
    assert reports == [{"messages": [{"number": 0}]}]
    time.sleep(BREATH)
    outbox.look()
    outbox.add({"number": 4})
    outbox.send()
    outbox.send()
    sizes = [len(report["messages"]) for report in reports]
    said = [message["number"] for report in reports for message in report["messages"]]
    assert (sizes, said) == ([1, 3, 1], [0, 1, 2, 3, 4])


def test_a_job_that_its_machine_failed_while_retries_are_left_is_put_back_and_not_lost():
    collector = Collector()
    inbox = Inbox([job(), job(seed=1)], collector)
    inbox.receive(0, [{"type": "started", "environment": {}}])
    inbox.keep(0)
    assert (inbox.idle, inbox.put_back) == (True, [0])
    inbox.close()
    assert len(collector.of(job())) == 1
    assert collector.of(job(seed=1))[-1]["type"] == "failure"


@pytest.mark.slow
def test_a_worker_with_another_copy_of_nas_bench_refuses_in_one_sentence(ray, monkeypatch):
    monkeypatch.setattr(nas_bench, "__file__", "/elsewhere/nas_bench/__init__.py")
    ((refusal,),) = run(ray, SETTINGS, job())
    assert refusal["type"] == "failure"
    assert "/elsewhere/nas_bench/__init__.py: run from a folder" in refusal["message"]


@pytest.mark.slow
def test_a_trial_that_is_stuck_is_ended_and_not_tried_again(ray, monkeypatch):
    for module in (overdue, ray):
        monkeypatch.setattr(module, "GRACE", 0.1)
    (said,) = run(ray, replace(SETTINGS, timeout=1.0, retries=1), job("stuck"))
    assert sum(message["type"] == "started" for message in said) <= 1
    assert (said[-1]["status"], said[-1]["error"]) == ("timeout", "OverdueError")


@pytest.mark.slow
def test_workers_import_from_where_inline_does_and_have_its_working_directory(ray):
    import ray as library

    paths, folder = library.get(library.remote(lambda: (sys.path, str(Path.cwd()))).remote())
    assert folder == str(Path.cwd())
    assert not {"", folder, str(Path(folder) / "tests")} & {*paths}


@pytest.mark.slow
def test_its_files_lie_in_the_short_folder_that_was_chosen(ray):
    import ray as library

    place = Path(library._private.worker._global_node.get_temp_dir_path())
    assert place.name.startswith("nb-ray-")
    assert len(str(place)) <= _LONGEST


@pytest.mark.slow
def test_without_its_token_nobody_joins_the_ray_of_this_machine(ray, monkeypatch):
    import ray as library

    address = library.get_runtime_context().gcs_address
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert _is_cluster(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    assert not _is_cluster(address)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert not _is_cluster(address)


@pytest.mark.slow
def test_what_the_sink_raises_ends_the_sweep_as_it_is(ray):
    def sink(config, message):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        ray.execute([job(), job(seed=1)], ONE_AT_A_TIME, sink)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"gpus_per_trial": 1000}, "asks for 1000 GPUs, but Ray has .*: lower --gpus-per-trial"),
        ({"cpus_per_trial": 1000}, "asks for 1000 CPUs, but Ray has .*: lower the protocol's thr"),
    ],
)
def test_resources_that_nobody_has_are_refused_at_once(ray, asked, sentence):
    with pytest.raises(ExecutionError, match=sentence):
        run(ray, replace(SETTINGS, **asked), job())


@pytest.mark.parametrize(
    ("address", "reason"), [("127.0.0.1:1", "nothing answers"), ("nonsense", "host:port")]
)
def test_a_dead_address_is_one_sentence_within_seconds(address, reason):
    start = time.monotonic()
    with pytest.raises(ExecutionError, match=reason) as caught:
        executor("ray").execute([job()], Settings(address=address), Collector())
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_what_answers_but_is_not_ray_is_one_sentence_within_seconds(capfd):
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ExecutionError, match="is no Ray cluster") as caught:
            executor("ray").execute([job()], Settings(address=address), Collector())
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 30  # Ray itself tries for more than a minute
    assert capfd.readouterr() == ("", "")


def test_only_a_machine_without_memory_is_oom():
    died = ActorDiedError()
    assert lost(died, "(1) killed by SIGKILL by OOM killer due to high memory").status == "failed"
    assert lost(died, "Worker exit type: NODE_OUT_OF_MEMORY").status == "oom"
    starved = lost(OutOfMemoryError("Task was killed\ndue to the node running low"), "")
    assert (starved.status, starved.error) == ("oom", "OutOfMemoryError")
    assert "\n" not in starved.message


INTERRUPTED = """
import sys
from pathlib import Path
from execution.trials import SETTINGS, config
from nas_bench.execution.sweep import sweep
from nas_bench.signals import terminable
from nas_bench.results.ledger import Ledger

def tell(config, message):
    print(message["type"], flush=True)

with terminable():
    sweep([config("slow")], Ledger(Path(sys.argv[1])), "ray", SETTINGS, observer=tell)
"""


@pytest.mark.slow
def test_modules_in_the_working_folder_are_not_executed(tmp_path):
    stranger = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise OSError"
    (tmp_path / "nas_bench").mkdir()
    for name in ("pandas.py", "sklearn.py", "platformdirs.py", "nas_bench/__init__.py"):
        (tmp_path / name).write_text(stranger)
    flags = ("--methods", "fixed", "--seeds", "0", "--no-baselines", "--results", "out", "--json")
    command = [sys.executable, "-P", "-m", "nas_bench", "run", *flags, "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["trials"][0]["status"] == "ok"
    assert not list(tmp_path.rglob("*.ran"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGINT, "KeyboardInterrupt"),
        (signal.SIGTERM, "nas_bench.signals.Terminated: SIGTERM"),
    ],
)
def test_an_interrupt_stops_the_workers_and_is_raised_and_the_trial_is_preempted(
    tmp_path, number, error
):
    from execution.trials import config

    from nas_bench.results.ledger import Ledger

    environment = os.environ | {
        "PYTHONPATH": str(PLUGIN.parents[1]),
        "HOME": "/dev/null",
    }
    driver = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "started\n"
    driver.send_signal(number)
    printed, errors = driver.communicate(timeout=300)
    assert printed == ""  # Tune says how trials ended, even those that did not
    assert errors.strip().splitlines()[-1] == error
    assert driver.returncode != 0
    assert Ledger(tmp_path).status(config("slow")) == "preempted"
