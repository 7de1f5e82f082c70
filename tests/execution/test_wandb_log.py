import subprocess
import sys

import pytest

from nas_bench.execution.wandb_log import WandbLog


def test_an_error_of_wandb_is_said_once_and_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    warnings = []
    log = WandbLog("offline", tmp_path, warnings.append)
    for _ in range(3):
        log(None, {"type": "started"})  # pyright: ignore  (an error on purpose)
    log.close()
    assert len(warnings) == 1
    assert warnings[0].startswith("Warning: wandb failed and is left out from now on (")


@pytest.mark.slow
def test_an_offline_run_writes_one_wandb_run_for_each_trial(tmp_path):
    arguments = "run --methods tiny --tasks sine --seeds 0 --executor inline --wandb offline"
    command = [sys.executable, "-m", "nas_bench", *arguments.split(), "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    runs = [path for path in (tmp_path / "wandb").glob("offline-run-*") if path.is_dir()]
    assert len(runs) == 3
    assert all(list(run.glob("*.wandb")) for run in runs)
