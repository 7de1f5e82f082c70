"""The batch script, run by stand-ins for Slurm's commands."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas_bench.cli import status
from nas_bench.execution import ExecutionError, batch_script

COMMAND = ("run", "--methods=tiny[update=false]", "--set=a.b='it is'", "--storage=/a b")
SLURM = {
    "scontrol": 'if [ "$1" = show ]; then echo node1; echo node2; fi',
    "srun": 'trap "exit 0" TERM; while :; do sleep 0.05; done',
    "sbatch": 'cat > "$LOG.script"; echo Submitted batch job 7',
}
PYTHON = """
trap 'echo nas-bench TERM >> "$LOG"; exit "$CODE"' TERM
case "$2" in
  ray.scripts.scripts) exit 0;;
esac
while [ "$(grep -c ^srun "$LOG")" -lt 2 ]; do sleep 0.05; done  # they start beside it
touch "$LOG.running"
while [ "$CODE" = 75 ]; do sleep 0.05; done
exit "$CODE"
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Executables in the place of Slurm's and Python, that note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in (SLURM | {"python": PYTHON}).items():
        path = folder / name
        path.write_text(f'#!/bin/bash\necho {name} "$@" >> "$LOG"\n{body}\n')
        path.chmod(0o755)
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(log))
    for name, value in {"JOB_ID": 42, "JOB_NUM_NODES": 2, "CPUS_ON_NODE": 8}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[1-2]")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return log


def started(tmp_path, code, monkeypatch):
    monkeypatch.setenv("CODE", str(code))
    path = tmp_path / "job.sh"
    batch_script.write(path, batch_script.script(COMMAND, tmp_path, ("--nodes=2",)))
    return subprocess.Popen(["bash", str(path)])


def await_running(log):
    for _ in range(600):
        if Path(f"{log}.running").exists():
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_the_script_is_bash_and_holds_the_command_exactly(tmp_path):
    options = ("--nodes=4", "--time=24:00:00", "--signal=B:USR1@300")
    text = batch_script.script(COMMAND, tmp_path, options)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    (line,) = [line for line in text.splitlines() if line.startswith("command=")]
    inside = line.removeprefix("command=(").removesuffix(")")
    assert shlex.split(inside) == [sys.executable, "-m", "nas_bench", *COMMAND]
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert directives[-3:] == [f"#SBATCH {option}" for option in options]
    assert "#SBATCH --signal=B:USR1@120" not in directives


def test_shellcheck_finds_nothing_in_the_script(tmp_path):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    text = batch_script.script(COMMAND, tmp_path, ("--nodes=2",))
    done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_ray_starts_on_all_nodes_before_the_command(tmp_path, stand_ins, monkeypatch):
    assert started(tmp_path, 1, monkeypatch).wait(30) == 1
    lines = stand_ins.read_text().splitlines()
    head, worker = sorted(line for line in lines if line.startswith("srun"))[::-1]
    assert "--nodelist=node1" in head
    assert "start --head --port=20042 --include-dashboard=false --num-cpus=8" in head
    assert "--exclude=node1" in worker
    assert "start --address=node1:20042 --num-cpus=8 --num-gpus=0" in worker
    (command,) = [line for line in lines if line.startswith("python -m nas_bench run")]
    assert command.endswith("--storage=/a b --address node1:20042")
    assert not any("requeue" in line for line in lines)


@pytest.mark.parametrize(("number", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_preempted_job_keeps_its_states_and_only_then_is_requeued(
    tmp_path, stand_ins, monkeypatch, number, again
):
    job = started(tmp_path, 75, monkeypatch)
    await_running(stand_ins)
    job.send_signal(number)
    assert job.wait(30) == 75
    lines = stand_ins.read_text().splitlines()
    assert "nas-bench TERM" in lines
    requeued = [line for line in lines if line == "scontrol requeue 42"]
    assert bool(requeued) == again
    assert not again or lines.index(requeued[0]) > lines.index("nas-bench TERM")


def test_run_writes_its_own_command_and_submits_it(tmp_path, stand_ins, capsys):
    path, results = tmp_path / "job.sh", tmp_path / "results"
    arguments = ("run", "--methods", "tiny", "--seeds", "0-1", "--set", "schedule.growths=2",
                 "--results", str(results), "--sbatch", "--nodes=2")  # fmt: skip
    assert status([*arguments, "--slurm", str(path), "--submit"]) == 0
    assert "Submitted batch job 7" in capsys.readouterr().err
    text = path.read_text()
    assert Path(f"{stand_ins}.script").read_text() == text
    command = ("run", "--methods=tiny", "--seeds=0-1", "--set=schedule.growths=2",
               f"--results={results}", f"--storage={results}/.checkpoints")  # fmt: skip
    assert shlex.join(command) in text
    assert not results.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--slurm", "-", "--address", "auto"), "leave --address out"),
        (("--slurm", "-", "--executor", "inline"), "leave --executor inline out"),
        (("--slurm", "-", "--sbatch", "nodes=4"), "is not an option of sbatch"),
        (("--slurm", "-", "--sbatch", "--nodes=4\nrm"), "is not an option of sbatch"),
        (("--slurm", "-", "--methods", "tni"), "did you mean tiny"),
        (("--submit",), "add --slurm FILE"),
        (("--trials-per-gpu", "2", "--gpus-per-trial", "0.5"), "not both"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(tmp_path, arguments, reason, capsys):
    assert status(["run", "--results", str(tmp_path), *arguments]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_other_files_are_not_overwritten(tmp_path):
    path = tmp_path / "thesis.tex"
    path.write_text("chapter 1")
    with pytest.raises(ExecutionError, match="is not a script of nas-bench"):
        batch_script.write(path, batch_script.script(COMMAND, tmp_path))
    assert path.read_text() == "chapter 1"


def test_a_machine_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutionError, match="there is no sbatch on this machine"):
        batch_script.submit("")
