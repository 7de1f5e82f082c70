import os
import resource
import signal
from contextlib import contextmanager

import pytest
from pyarrow import fs

from nas_bench.execution import ExecutionError
from nas_bench.execution.storage import (
    Bucket,
    Folder,
    StorageError,
    forget_sweeps,
    marked,
    require_mark,
    storage,
)


@pytest.fixture(params=["folder", "bucket"])
def kept(request, tmp_path):
    place = tmp_path / "some where"
    return Folder(place) if request.param == "folder" else storage(place.as_uri())


@contextmanager
def full_disk():
    """Files may have 1000 bytes, as if the disk were full there; that of the output too."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_an_address_with_a_scheme_is_a_bucket_and_all_else_a_folder(tmp_path):
    assert isinstance(storage(tmp_path.as_uri()), Bucket)
    assert isinstance(storage(str(tmp_path)), Folder)


def test_what_is_written_is_read_and_replaced_and_removed(kept, tmp_path):
    assert kept.read("trial/state") is None
    kept.write("trial/state", b"old")
    kept.write("trial/state", b"new")
    kept.write("mark", b"")
    assert (kept.read("trial/state"), kept.read("mark")) == (b"new", b"")
    assert files(tmp_path) == ["mark", "state"]
    for name in ("trial", "mark", "mark", "nothing"):
        kept.remove(name)
    assert kept.read("trial/state") is kept.read("mark") is None
    assert files(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_no_content(kept):
    kept.write("trial", b"a file")
    assert kept.read("trial/state") is None


def test_a_write_that_fails_midway_leaves_the_old_content_and_no_rubbish(kept, tmp_path):
    kept.write("trial/state", b"old")
    with pytest.raises(OSError, match="too large"), full_disk():
        kept.write("trial/state", b"n" * 100_000)
    assert kept.read("trial/state") == b"old"
    assert files(tmp_path) == ["state"]


def test_a_bucket_of_another_file_system_behaves_the_same(tmp_path):
    bucket = Bucket("mock://bucket/place")
    assert isinstance(bucket.system, fs.FileSystem)
    bucket.write("trial/state", b"content")
    assert bucket.read("trial/state") == b"content"
    bucket.remove("trial")
    assert bucket.read("trial/state") is None


def test_a_storage_is_marked_while_a_sweep_runs(tmp_path):
    with marked(str(tmp_path), "lease") as kept:
        require_mark(Folder(tmp_path), "lease")
        with pytest.raises(StorageError, match="does not see the driver's checkpoints"):
            require_mark(Folder(tmp_path / "elsewhere"), "lease")
        assert len(files(tmp_path)) == 1
    assert files(tmp_path) == []
    assert isinstance(kept, Folder)


@pytest.mark.parametrize(
    "address", ["{folder}/file/inside", "/proc/nowhere", "nonsense://place", "file:///proc/no"]
)
def test_a_storage_that_cannot_be_used_is_one_sentence_with_the_cure(address, tmp_path):
    (tmp_path / "file").write_text("")
    address = address.format(folder=tmp_path)
    with (
        pytest.raises(ExecutionError, match="checkpoints cannot be kept in") as caught,
        marked(address, "lease"),
    ):
        pass
    assert "give --storage a folder or address" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_removing_what_another_process_removes_is_no_error(tmp_path):
    kept = Folder(tmp_path)
    kept.write("trial/state", b"content")
    os.unlink(tmp_path / "trial" / "state")  # noqa: PTH108
    kept.remove("trial")
    kept.remove("trial")
    assert files(tmp_path) == []


def test_links_among_checkpoints_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "state").write_bytes(b"precious")
    kept = Folder(tmp_path / "kept")
    kept.write("mark", b"")
    (kept.path / "linked").symlink_to(outside)
    (kept.path / "file").symlink_to(outside / "state")
    with pytest.raises(OSError, match="a link or a file lies where a folder belongs"):
        kept.write("linked/state", b"x")
    with pytest.raises(OSError, match="it is a link, which is not followed"):
        kept.read("file")
    for name in ("linked", "file"):
        kept.remove(name)
    assert files(kept.path) == ["mark"]
    assert (outside / "state").read_bytes() == b"precious"


def test_marks_of_sweeps_that_were_killed_go(tmp_path):
    for name in ("sweep-0123456789abcdef", "stop-0123456789abcdef", "sweep-notes", "trial"):
        (tmp_path / name).touch()
    forget_sweeps(tmp_path)
    assert files(tmp_path) == ["sweep-notes", "trial"]
