import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas_bench.results.ledger import LedgerError
from nas_bench.results.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from nas_bench.results.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with locked(folder):
        with pytest.raises(LedgerError) as caught, locked(folder):
            pass
        assert f"another nas-bench (pid {os.getpid()} on " in str(caught.value)
        assert str(caught.value).endswith(
            f"writes to {folder}: wait for it, or use another --results"
        )
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=f"pid {holder.pid} on"), locked(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with locked(tmp_path):
        pass
