"""Anything but files and folders, wherever a ledger has one: nothing crashes, hangs, follows."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.cli import status
from nas_bench.results.files import LedgerError
from nas_bench.results.ledger import Ledger
from nas_bench.results.lock import locked

CODES = (0, 2, 3, 4, 5)


def make_socket(path: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        short = Path("/tmp") / f"s{os.getpid()}"  # sockets have short names only
        made.bind(str(short))
        shutil.move(short, path)


def make_device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 7))  # /dev/full
    except OSError:
        os.mkfifo(path)


def make_hole(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 * 2**30)


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "pipe": lambda path, outside: os.mkfifo(path),
    "socket": make_socket,
    "device": make_device,
    "hole": make_hole,
    "folder": lambda path, outside: path.mkdir(),
    "file": lambda path, outside: path.write_bytes(b"mine"),
    "dangling link": lambda path, outside: link(path, path.with_name("nowhere")),
    "link to itself": lambda path, outside: link(path, path),
    "link to a file": lambda path, outside: link(path, outside / "file"),
    "link to a folder": lambda path, outside: link(path, outside / "folder"),
    "other name of a file": lambda path, outside: os.link(outside / "file", path),
}
TRIAL = "smoke/digits/tiny/{settings}/s0"
ROLES = (
    ".lock", ".gitattributes", ".workshop", "report", "report/figures", "report/leaderboard.csv",
    "report/report.html", "report/export", "report/export/trials.csv", "smoke", "smoke/digits",
    "smoke/digits.zip", "smoke/digits/tiny", "smoke/digits/tiny/{settings}", TRIAL,
    f"{TRIAL}/run.json", f"{TRIAL}/curve.jsonl", f"{TRIAL}/growth.jsonl", f"{TRIAL}/verified.json",
    f"{TRIAL}/damaged-1", f"{TRIAL}/notes",
)  # fmt: skip


def seen(outside: Path) -> list[tuple[str, bytes]]:
    found = (path for path in sorted(outside.rglob("*")) if path.is_file())
    return [(path.relative_to(outside).as_posix(), path.read_bytes()) for path in found]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ledger = Ledger(tmp_path_factory.mktemp("kinds") / "results")
    for method in ("tiny", "fixed"):
        synthetic.run(ledger, trial(method))
    return ledger.folder


def cases() -> Iterator[tuple[str, str]]:
    """Every kind in every role."""
    for role in ROLES:
        for kind in KINDS:
            yield kind, role


def verbs(folder: Path, other: Path) -> Iterator[tuple[str, ...]]:
    place = str(folder)
    yield "status", place
    yield "verify", place
    yield "export", place, "--format", "csv"
    yield "report", place, "--figures", "none"
    yield "compare", "tiny", "fixed", "--results", place
    yield "show", trial("tiny").id, "--results", place
    yield "merge", place, "--results", str(other.with_name("merged"))
    yield "merge", str(other), "--results", place
    yield "pack", place
    yield "unpack", place
    yield "status", place


def check(
    base: Path, folder: Path, kind: str, role: str, said: Callable[[], str]
) -> list[tuple[str, ...]]:
    """Put something into the role and try everything; the verbs, for their number."""
    results, outside = folder / "results", folder / "outside"
    shutil.copytree(base, results)
    (outside / "folder").mkdir(parents=True)
    for name in ("file", "folder/file"):
        (outside / name).write_bytes(b"precious")
    path = results / role.format(settings=trial("tiny").settings_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    KINDS[kind](path, outside)
    before, asked = seen(outside), list(verbs(results, base))
    for verb in asked:
        said()
        code = status(verb)
        err = said()
        assert code in CODES, (kind, role, verb, err)
        assert "run again with -v" not in err, (kind, role, verb, err)
    try:
        with locked(results):
            synthetic.run(Ledger(results), trial("tiny"))
        assert Ledger(results).status(trial("tiny")) == "ok", (kind, role)
    except LedgerError:  # which is one sentence
        pass
    assert seen(outside) == before, (kind, role)
    return asked


@pytest.mark.parametrize(
    "part", [23, pytest.param(1, marks=(pytest.mark.slow, pytest.mark.crash))]
)
def test_nothing_but_files_and_folders_is_read_or_written(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    for number, (kind, role) in enumerate(cases()):
        if number % part == 0:
            place = tmp_path / str(number)
            check(base, place, kind, role, lambda: "".join(capsys.readouterr()))
            shutil.rmtree(place)
