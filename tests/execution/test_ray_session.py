import socket
import tempfile
from pathlib import Path

import pytest

from nas_bench.execution.ray_session import _short_folder

LONGEST = "session_2026-11-28_13-22-34_601688_4194304/sockets/plasma_store"


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("given", ["long" * 15, "nowhere", "file"])
def test_the_files_of_ray_lie_where_its_sockets_can(variable, given, tmp_path, monkeypatch):
    (tmp_path / ("long" * 15)).mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv(variable, str(tmp_path / given))
    with _short_folder() as name:
        folder = Path(name)
        assert folder.stat().st_mode & 0o777 == 0o700
        place = folder / LONGEST
        place.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
    assert not folder.exists()
    assert not [path for path in (tmp_path / ("long" * 15)).iterdir() if path.is_dir()]


def test_a_short_folder_that_was_asked_for_is_taken(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as given:
        monkeypatch.setenv("RAY_TMPDIR", given)
        with _short_folder() as name:
            assert Path(name).parent == Path(given)
