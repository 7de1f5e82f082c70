"""Checkpoints in an object store: moto's S3 server on loopback."""

import os
import signal
import time
import urllib.request
from dataclasses import replace

import pytest
from benchmarks.crashes import Sweep, Tally, compare
from pyarrow import fs

from nas_bench.execution import ExecutionError
from nas_bench.execution.storage import marked, storage

pytestmark = pytest.mark.crash
KEYS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"}


@pytest.fixture
def host(monkeypatch):
    """Host and port of an S3 with one bucket, named bucket."""
    from moto.server import ThreadedMotoServer

    for name, value in {**KEYS, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    place = ":".join(map(str, server.get_host_and_port()))
    request = urllib.request.Request(f"http://{place}/bucket", method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
    yield place
    server.stop()


def by_query(host, path):
    return f"s3://{path}?endpoint_override={host}&scheme=http"


@pytest.mark.parametrize("how", ["by query", "by environment"])
def test_what_is_written_to_a_bucket_is_read_and_replaced_and_removed(host, monkeypatch, how):
    if how == "by query":
        kept = storage(by_query(host, "bucket/some/where"))
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
        kept = storage("s3://bucket/some/where")
    assert kept.read("trial/state.pt") is None
    kept.write("trial/state.pt", b"old")
    kept.write("trial/state.pt", b"n" * 10_000_000)
    kept.write("mark", b"")
    assert (kept.read("trial/state.pt"), kept.read("mark")) == (b"n" * 10_000_000, b"")
    for name in ("trial", "trial", "mark", "mark"):
        kept.remove(name)
    assert kept.read("trial/state.pt") is kept.read("mark") is None


def test_a_bucket_that_is_not_there_is_one_sentence(host):
    with (
        pytest.raises(ExecutionError, match="bucket does not exist") as caught,
        marked(by_query(host, "nowhere/folder"), "lease"),
    ):
        pass
    assert "give --storage a folder or address" in str(caught.value)
    assert "\n" not in str(caught.value)


def states(kept):
    """The checkpoints in a bucket."""
    inside = fs.FileSelector(kept.path, recursive=True, allow_not_found=True)
    files = kept.system.get_file_info(inside)
    return [file.path for file in files if file.base_name == "state.pt"]


def growths(folder):
    """Growth events of a sweep so far."""
    paths = folder.glob("*/*/*/*/*/growth.jsonl")
    return sum(len(path.read_text().splitlines()) for path in paths)


def test_a_sweep_that_is_cut_goes_on_from_the_bucket_to_the_same_bits(host, tmp_path):
    address = by_query(host, "bucket/checkpoints")
    whole = Sweep(tmp_path / "whole", "inline", 60, seeds="0", tasks="digits")
    whole.finish()
    cut = replace(whole, folder=tmp_path / "cut", storage=address)
    running, kept = cut.start(), storage(address)
    deadline = time.monotonic() + 300
    while not (growths(cut.folder) >= 4 and states(kept)):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    cut.finish()
    tally = Tally()
    compare(whole.folder, cut.folder, tally)
    assert tally.good, tally
    assert tally.resumed >= 1
    assert not states(kept)
    assert not list(cut.folder.glob(".checkpoints"))
