"""Several Ray nodes: plugins, checkpoints and trials get to where they are needed."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from execution.clusters import cluster
from execution.trials import PLUGIN, SETTINGS, Collector, config, job, without_clocks

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.execution import ExecutionError, executor
from nas_bench.execution.storage import StorageError, marked, require_mark, storage
from nas_bench.execution.sweep import sweep
from nas_bench.execution.worker import messages
from nas_bench.results.ledger import Ledger

pytestmark = pytest.mark.crash
LISTENING = """
from nas_bench.execution import Settings
from nas_bench.execution.ray_session import session

with session(Settings()):
    import ray
    import psutil
    ray.get(ray.remote(lambda: None).remote())
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                print(connection.laddr.ip)
"""


def test_a_plugin_file_is_not_needed_where_its_content_came_along(tmp_path):
    settings = replace(
        SETTINGS, plugins=(Path("/nowhere/misbehaving.py"),), contents=(PLUGIN.read_bytes(),)
    )
    lacking = job(f"lacking[folder={tmp_path}]")
    there = list(messages(lacking, SETTINGS))
    plugins._loaded.clear()
    elsewhere = list(messages(lacking, settings))
    assert elsewhere[-1]["final"]
    assert without_clocks(elsewhere) == without_clocks(there)
    sources = [said[1]["environment"]["sources"] for said in (there, elsewhere)]
    assert sources[0] == sources[1]


@pytest.mark.parametrize("address", ["/proc/nowhere", "nonsense://bucket", "/dev/null/folder"])
def test_a_storage_that_cannot_be_used_is_one_sentence_before_anything_runs(tmp_path, address):
    settings = replace(SETTINGS, storage=address)
    with pytest.raises(ExecutionError, match="checkpoints cannot be kept in") as caught:
        sweep([config()], Ledger(tmp_path), "inline", settings)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*/*/*"))


def test_the_mark_of_a_sweep_is_there_while_it_runs(tmp_path):
    with marked(str(tmp_path), "lease") as kept:
        require_mark(kept, "lease")
    assert not list(tmp_path.iterdir())
    with pytest.raises(StorageError, match="does not see the driver's checkpoints"):
        require_mark(storage(str(tmp_path)), "lease")


def test_a_worker_that_sees_another_storage_says_so_in_one_sentence(tmp_path):
    settings = replace(SETTINGS, storage=str(tmp_path), address="auto", lease="of the driver")
    *_, last = messages(job(), settings)
    assert (last["error"], last["status"]) == ("StorageError", "failed")
    assert "give --storage a folder or address that all machines" in last["message"]


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({}, True),
        ({"max_concurrent": 1}, False),
        ({"gpus": 0.25}, True),
        ({"gpus": 1.0}, False),
    ],
)
def test_trials_that_share_a_device_record_it(changes, shared):
    alone = {"max_concurrent": changes.pop("max_concurrent", None)}
    started = next(messages(replace(job(), **changes), replace(SETTINGS, **alone)))
    assert started["environment"]["shared_device"] is shared


def test_trials_one_after_the_other_share_no_device():
    collector = Collector()
    executor("inline").execute([job()], SETTINGS, collector)
    assert collector.of(job())[0]["environment"]["shared_device"] is False


def test_without_storage_on_a_cluster_it_is_said_that_trials_will_begin_anew(tmp_path, capsys):
    where = ("--results", str(tmp_path), "--address", "127.0.0.1:1")
    assert status(["run", "--methods", "tiny", "--seeds", "0", "-q", *where]) == 4
    said = capsys.readouterr().err
    assert "interrupted trials will begin anew: give --storage" in said
    assert "nothing answers at 127.0.0.1:1" in said


def test_ray_listens_to_this_machine_alone():
    command = [sys.executable, "-c", LISTENING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    places = set(done.stdout.split())
    assert places
    assert places <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


TRIALS = (
    "run", "--methods", "tiny", "--tasks", "cluster_digits", "--seeds", "0-1", "--no-baselines",
    "--budget", "150 epochs", "--set", "schedule.every=30", "--json", "-q",
)  # fmt: skip
TASK = """
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.tasks.digits import Digits

@dataclass(frozen=True)
class ClusterDigits(Digits):
    name: ClassVar[str] = "cluster_digits"
    summary: ClassVar[str] = "digits, from a file that goes away"
"""


def run(results, plugin, *options, environment=None):
    command = [sys.executable, "-m", "nas_bench", *TRIALS, "--results", str(results)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, "--plugin", str(plugin), *options],
        stdout=pipe, stderr=pipe, text=True, env=environment,
    )  # fmt: skip


def said(results):
    """What the ledger has of each seed, less what differs between two runs."""
    trials = {}
    for folder in sorted(results.glob("*/*/*/*/s*")):
        lines = [
            json.loads(line)
            for name in ("curve.jsonl", "growth.jsonl")
            for line in (folder / name).read_text().splitlines()
        ]
        trials[folder.name] = without_clocks(lines)
    return trials


def summaries(results):
    return [json.loads(path.read_text()) for path in sorted(results.glob("*/*/*/*/s*/run.json"))]


def await_state(storage, results, driver):
    """Wait for a checkpoint of a trial that has trained up to a growth."""
    for _ in range(3000):
        grown = any(path.stat().st_size for path in results.glob("*/*/*/*/s*/growth.jsonl"))
        if grown and list(storage.glob("*/state.pt")):
            return
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    raise AssertionError("no checkpoints")


def test_trials_of_a_node_that_dies_go_on_elsewhere_from_their_checkpoints(tmp_path):
    given, plugin = tmp_path / "given.py", tmp_path / "gone" / "given.py"
    given.write_text(TASK)
    whole, cut, storage = (tmp_path / name for name in ("whole", "cut", "storage"))
    plugin.parent.mkdir()
    plugin.write_text(TASK)
    reference = run(whole, given, "--executor", "inline")
    folder = tempfile.mkdtemp(prefix="nb-")  # a short path: sockets lie in it
    try:
        with cluster(folder) as nodes:
            doomed = nodes.add()
            options = ("--address", nodes.address, "--storage", str(storage))
            every = ("--checkpoint-every", "0", "--retries", "1")
            driver = run(cut, plugin, *options, *every, environment=nodes.environment)
            await_state(storage, cut, driver)
            shutil.rmtree(plugin.parent)
            nodes.kill(doomed)
            nodes.add()
            output, errors = driver.communicate(timeout=600)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        assert reference.communicate(timeout=600)[1] == ""
    assert (driver.returncode, reference.returncode) == (0, 0), errors
    assert [trial["status"] for trial in json.loads(output)["trials"]] == ["ok", "ok"]
    assert "begin anew" not in errors
    assert said(cut) == said(whole)
    assert any(s["environment"].get("resumed_at_step", 0) > 0 for s in summaries(cut))
    assert not list(storage.glob("*"))
