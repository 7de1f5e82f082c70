"""What the machine, the folder or a plugin does wrong: one sentence and its exit code."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from execution.trials import PLUGIN

pytestmark = pytest.mark.crash
FLAGS = ("--methods", "fixed", "--tasks", "sine", "--seeds", "0", "--no-baselines", "--json")
QUICK = (*FLAGS, "--budget", "4 epochs", "--set", "schedule.growths=1", "--executor", "inline")
GROWING = ("--methods", "tiny", "--set", "schedule.every=1", "--checkpoint-every", "0")


def nas_bench(*arguments, largest_file=None):
    """The command line in a process of its own; no file larger than so many bytes."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "nas_bench", "run", *QUICK, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120,
        preexec_fn=limit if largest_file else None,
    )  # fmt: skip


def statuses(done):
    return [trial["status"] for trial in json.loads(done.stdout)["trials"]]


def error(done):
    """The one sentence of a run that could not go on."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.fixture
def mounted(tmp_path):
    """Mounts a file system on a folder."""
    places: list[Path] = []

    def mount(place, *arguments):
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this user or machine cannot mount: {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_under_the_results_is_exit_code_4_and_space_lets_it_go_on(tmp_path, mounted):
    disk = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=256k", "tmpfs")
    filler = disk / "filler"
    filler.write_bytes(b"x" * 240 * 1024)
    results = ("--results", str(disk / "results"))
    done = nas_bench(*results)
    assert done.returncode == 4
    assert error(done).startswith("Error: ")
    assert "No space left" in error(done) or "the disk is full" in error(done)
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    done = nas_bench(*results)
    assert (done.returncode, statuses(done)) == (0, ["ok"])


def test_a_full_disk_under_the_checkpoints_fails_no_trial(tmp_path, mounted):
    disk = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=16k", "tmpfs")
    done = nas_bench(*GROWING, "--results", str(tmp_path / "results"), "--storage", str(disk))
    assert (done.returncode, statuses(done)) == (0, ["ok"])


def test_a_full_disk_under_wandb_is_one_warning_and_fails_no_trial(tmp_path, mounted):
    results = tmp_path / "results"
    results.mkdir()
    mounted(results / "wandb", "-t", "tmpfs", "-o", "size=48k", "tmpfs")
    done = nas_bench("--wandb", "offline", "--results", str(results))
    assert (done.returncode, statuses(done)) == (0, ["ok"])
    (warning,) = [line for line in done.stderr.splitlines() if "wandb" in line]
    assert warning.startswith("Warning: wandb failed and is left out from now on (")
    assert "No space left" in warning


def test_a_limit_on_file_sizes_is_named(tmp_path):
    done = nas_bench("--results", str(tmp_path / "results"), largest_file=600)
    assert done.returncode == 4
    assert "the file would be larger than allowed; raise the limit" in error(done)


def test_read_only_results_are_one_sentence_and_exit_code_4(tmp_path, mounted):
    disk = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro", "tmpfs")
    done = nas_bench("--results", str(disk / "results"))
    assert done.returncode == 4
    assert "it is on a read-only disk; choose another folder with --results" in error(done)


def test_a_storage_that_cannot_be_written_is_said_before_anything_runs(tmp_path):
    results = ("--results", str(tmp_path / "results"))
    done = nas_bench(*results, "--storage", "/proc/nowhere")
    assert done.returncode == 4
    assert error(done).startswith("Error: checkpoints cannot be kept in /proc/nowhere")
    assert not list((tmp_path / "results").glob("*/*"))


def test_missing_data_is_exit_code_4_before_anything_runs(tmp_path):
    # No address answers here, so that nothing is downloaded.
    variables = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    command = [sys.executable, "-m", "nas_bench", "run", *QUICK, "--tasks", "mnist"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data"), "--results", str(tmp_path / "results")],
        capture_output=True, text=True, timeout=120, env=os.environ | variables,
    )  # fmt: skip
    assert done.returncode == 4
    assert "MNIST is not in" in error(done)
    assert not list((tmp_path / "results").glob("*/*"))


def test_a_plugin_that_raises_when_it_is_read_is_one_sentence_and_exit_code_2(tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text("raise RuntimeError('no luck')\n")
    done = nas_bench("--results", str(tmp_path / "results"), "--plugin", str(plugin))
    assert done.returncode == 2
    assert "no luck" in error(done)


def test_a_second_driver_on_one_folder_ends_with_exit_code_4_and_harms_nothing(tmp_path):
    results = ("--results", str(tmp_path))
    code = (
        "import sys, pathlib; from nas_bench.results.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout is not None
    assert first.stdout.readline() == "locked\n"
    done = nas_bench(*results)
    assert done.returncode == 4
    assert f"another nas-bench (pid {first.pid} on" in error(done)
    assert "wait for it, or use another --results" in error(done)
    first.kill()
    first.communicate()
    done = nas_bench(*results)
    assert (done.returncode, statuses(done)) == (0, ["ok"])


def test_an_address_where_nothing_answers_is_exit_code_4(tmp_path):
    done = nas_bench(
        "--results", str(tmp_path), "--executor", "ray", "--address", "127.0.0.1:1",
        "--storage", str(tmp_path / "kept"),
    )  # fmt: skip
    assert done.returncode == 4
    assert error(done).startswith("Error: nothing answers at 127.0.0.1:1")


@pytest.mark.parametrize(
    ("task", "status"), [("raises[error=MemoryError]", "oom"), ("diverges", "diverged")]
)
def test_a_trial_without_result_is_a_row_and_exit_code_1(tmp_path, task, status):
    done = nas_bench("--tasks", task, "--plugin", str(PLUGIN), "--results", str(tmp_path))
    assert (done.returncode, statuses(done)) == (1, [status])
