import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nas_bench.results.ledger import LedgerError
from nas_bench.results.lock import holder, locked

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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_lock_that_somebody_else_left_is_replaced_and_one_that_is_held_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / ".lock").write_text("pid 1 on elsewhere")
        (folder / ".lock").chmod(0o644)
        try:
            os.seteuid(65534)
            with locked(folder):
                assert (folder / ".lock").stat().st_uid == 65534
        finally:
            os.seteuid(0)
        with locked(folder):
            try:
                os.seteuid(65534)
                with pytest.raises(LedgerError, match=f"pid {os.getpid()} on"), locked(folder):
                    pass
            finally:
                os.seteuid(0)


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


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder", "other name"])
def test_a_lock_writes_into_no_file_but_its_own(tmp_path: Path, kind: str) -> None:
    folder, victim = tmp_path / "results", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    path = folder / ".lock"
    {
        "link": lambda: path.symlink_to(victim),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "other name": lambda: os.link(victim, path),
    }[kind]()
    if kind == "other name":
        with locked(folder):
            assert "pid" in path.read_text()
    else:
        with pytest.raises(LedgerError, match="cannot write"), locked(folder):
            pass
    assert (victim.read_text(), (tmp_path / "nowhere").exists()) == ("precious", False)
    assert holder(folder) is None


def test_who_looks_who_holds_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(f"pid {os.getpid()} on here")
    assert holder(tmp_path) is None
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(tmp_path)
            time.sleep(0.001)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            with locked(tmp_path):
                assert holder(tmp_path) is not None
    finally:
        stop.set()
        looking.join()
