"""Parts of Ray that die under a sweep: exit code 4 and a sentence, within a minute."""

import json
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from execution.clusters import cluster
from execution.trials import PLUGIN

pytestmark = pytest.mark.crash
FLAGS = ("--methods", "fixed", "--tasks", "slow", "--seeds", "0-1", "--no-baselines", "-q")
WORDS = {
    "raylet": "Error: the raylet of the Ray",
    "gcs_server": "Error: the head of the Ray",
}


def start(results, *options, environment=None):
    """The command line, as soon as a trial of it has begun."""
    command = [sys.executable, "-m", "nas_bench", "run", *FLAGS, "--plugin", str(PLUGIN)]
    running = subprocess.Popen(
        [*command, "--results", str(results), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    while not list(results.glob("*/*/*/*/*/run.json")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.2)
    return running


def parts(process, name):
    """The processes of Ray below one of ours, by the name of their program."""
    import ray  # noqa: F401  (finds psutil)
    from psutil import Process

    children = Process(process.pid).children(recursive=True)
    return [child for child in children if child.name() == name]


def ended(running, killed, sentence, results):
    """Check how the command ended, and how soon; no trial has failed for it."""
    printed, errors = running.communicate(timeout=120)
    assert time.monotonic() - killed < 60
    assert (running.returncode, printed) == (4, "")
    last = errors.splitlines()[-1]
    assert last.startswith(sentence)
    assert last.endswith("and the same command goes on from there")
    assert "Traceback" not in errors
    paths = results.glob("*/*/*/*/*/run.json")
    assert {json.loads(path.read_text())["status"] for path in paths} <= {"preempted", "running"}


@pytest.mark.parametrize("part", WORDS)
def test_a_part_of_the_ray_of_this_machine_is_killed(tmp_path, part):
    running = start(tmp_path)
    (victim,) = parts(running, part)
    victim.kill()
    ended(running, time.monotonic(), WORDS[part], tmp_path)


def test_the_head_of_a_ray_hangs(tmp_path):
    running = start(tmp_path)
    (victim,) = parts(running, "gcs_server")
    victim.suspend()
    ended(running, time.monotonic(), WORDS["gcs_server"], tmp_path)
    victim.kill()


def test_the_head_of_a_cluster_is_killed(tmp_path):
    folder = tempfile.mkdtemp(prefix="nb-")  # a short path: sockets lie in it
    results = tmp_path / "results"
    try:
        with cluster(folder) as nodes:
            nodes.add()
            where = ("--address", nodes.address, "--storage", str(tmp_path / "storage"))
            running = start(results, *where, environment=nodes.environment)
            nodes.kill(nodes.nodes[0])
            ended(running, time.monotonic(), "Error: the ", results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_gpus_that_torch_cannot_use_are_named_and_no_trial_gets_there(tmp_path):
    folder = tempfile.mkdtemp(prefix="nb-")
    results = tmp_path / "results"
    command = [sys.executable, "-m", "nas_bench", "run", *FLAGS, "--plugin", str(PLUGIN)]
    try:
        with cluster(folder) as nodes:
            nodes.add(gpus=2)
            done = subprocess.run(
                [*command, "--results", str(results), "--address", nodes.address,
                 "--storage", str(tmp_path / "storage"), "--device", "cuda"],
                capture_output=True, text=True, timeout=200, env=nodes.environment,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert "cuda was asked for, but there are 0 GPUs" in done.stderr
    assert "says that it has 2 GPUs, but its torch finds none" in done.stderr
    assert not list(results.glob("*/*/*"))
