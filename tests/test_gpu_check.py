"""The script that tries a GPU, tried on the CPU."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from nas_bench.results.ledger import Ledger

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_check.sh"
STEPS = ["packages", "tests", "training", "growth", "fig15"]
BROKEN = f"""#!/bin/sh
case "$*" in
  "-P - cpu") exit 0 ;;
  *tests/benchmarks/growth_share*) kill -TERM $$ ;;
  *tests/benchmarks*|*"-m pytest"*) exit 3 ;;
esac
exec {sys.executable} "$@"
"""
"""A Python that fails at steps and is killed at another, as if its time were up; it has all
packages, without a look."""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "python"
    path.write_text(BROKEN)
    path.chmod(0o755)
    return path


def checked(out, *arguments, python=sys.executable, **variables):
    environment = os.environ | {"OUT": str(out), "PYTHON": str(python)} | variables
    command = (str(SCRIPT), *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads((out / "summary.json").read_text())


def test_every_step_runs_and_leaves_its_measurements_and_its_ledger(tmp_path):
    code, summary = checked(tmp_path, "--device", "cpu", "--quick")
    statuses = {step["step"]: step["status"] for step in summary["steps"]}
    assert statuses == dict.fromkeys(STEPS, "ok")
    assert code == 0
    assert 0 < summary["measured"]["training"]["mlp"]["ours"] < 10
    assert summary["measured"]["growth"][0]["growth_in_epochs"] > 0
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"summary.json", "log.txt", "fig15.tar.gz"}
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
    with tarfile.open(tmp_path / "fig15.tar.gz") as packed:
        packed.extractall(tmp_path, **safe)
    (run,) = Ledger(tmp_path / "fig15").runs()
    assert (run.protocol, run.status, run.environment["device"]) == ("tiny-fig15", "ok", "cpu")


def test_a_step_that_fails_keeps_no_other_from_running_and_one_without_data_is_skipped(
    tmp_path, broken
):
    nothing = {"NAS_BENCH_DATA": str(tmp_path)}
    code, summary = checked(tmp_path, "--device", "cpu", python=broken, **nothing)
    statuses = [step["status"] for step in summary["steps"]]
    assert statuses == ["ok", "failed", "failed", "timeout", "skipped"]
    assert summary["steps"][-1]["reason"] == "there is no cifar-100-python/train in NAS_BENCH_DATA"
    assert code == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_ends(tmp_path):
    code, summary = checked(tmp_path)
    (only,) = summary["steps"]
    assert (only["step"], only["status"], code) == ("packages", "failed", 1)
    assert "torch finds no GPU here" in only["reason"]
