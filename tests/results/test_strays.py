"""What someone else puts into a results folder: named once, never a trial, at no cost."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

import nas_bench
from nas_bench.cli import status
from nas_bench.results.ledger import Ledger
from nas_bench.results.merging import merge

PLACES = {
    "top": ".",
    "protocol": "smoke",
    "task": "smoke/digits",
    "method": "smoke/digits/fixed",
    "settings": f"smoke/digits/fixed/{trial('fixed').settings_id}",
    "trial": f"smoke/digits/fixed/{trial('fixed').settings_id}/s0",
}


def _file(name: str) -> Callable[[Path, Path], str]:
    def make(place: Path, base: Path) -> str:
        (place / name).write_bytes(b"mine")
        return name

    return make


def _folder(name: str, *inside: str) -> Callable[[Path, Path], str]:
    def make(place: Path, base: Path) -> str:
        for part in inside:
            path = place / name / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"mine")
        (place / name).mkdir(exist_ok=True)
        return name

    return make


def _link(place: Path, base: Path) -> str:
    (place / "elsewhere").symlink_to(base)
    return "elsewhere"


def _copy(place: Path, base: Path) -> str:
    """A backup of everything that lies there, beside the first of it."""
    depth = place.parts[::-1].index("results")
    source = base.joinpath(*place.parts[len(place.parts) - depth :])
    name = "s9" if source.name == trial("fixed").settings_id else "backup"
    first = next(path for path in sorted(source.iterdir()) if path.is_dir())
    shutil.copytree(first, place / name)
    return name


KINDS: dict[str, Callable[[Path, Path], str]] = {
    "Thumbs.db": _file("Thumbs.db"),
    "stdout": _file("stdout"),
    "notes": _file("notes.txt"),
    "run.json": _file("run (1).json"),
    "lost+found": _folder("lost+found"),
    "empty": _folder("empty", "deadbeef/s0/notes"),
    "data": _folder("data", "train/cat/1.jpg", "train/dog/2.jpg"),
    "like a trial": _folder("others", "y/z/deadbeef/s0/notes.txt"),
    "link": _link,
    "copy": _copy,
}


def cases() -> Iterator[tuple[str, str]]:
    """Every kind in every place; in a trial's folder there is nothing to be copied."""
    for kind in KINDS:
        for where in PLACES:
            if (kind, where) != ("copy", "trial"):
                yield kind, where


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole trials, of which verify finds nothing."""
    ledger = Ledger(tmp_path_factory.mktemp("strays") / "results")
    for config in (trial("fixed"), trial("fixed", recipe={"learning_rate": 0.1})):
        synthetic.begin(ledger, config)
        for record in synthetic.records(config):
            ledger.write(config, synthetic.as_dict(record))
        ledger.finish(config)
    return ledger.folder


def looks(folder: Path, said: Callable[[], str]) -> dict[str, tuple[int, str]]:
    """What every verb says of a results folder, by verb, with its exit code."""
    other = str(folder.with_name("merged"))
    asked = {
        "status": ("status", str(folder)),
        "verify": ("verify", str(folder)),
        "report": ("report", str(folder), "--figures", "none"),
        "export": ("export", str(folder), "--format", "csv"),
        "compare": ("compare", "fixed", "fixed", "--results", str(folder)),
        "show": ("show", trial("fixed").id, "--results", str(folder)),
        "merge": ("merge", str(folder), "--results", other, "--dry-run"),
    }
    found = {}
    for name, verb in asked.items():
        said()
        code = status(verb)
        found[name] = code, said()
    return found


def check(
    base: Path, folder: Path, kind: str, where: str, said: Callable[[], str], before: object
) -> int:
    """Put a stray into a ledger and look at it in every way; how often that was."""
    results = folder / "results"
    shutil.copytree(base, results)
    place = results / PLACES[where]
    name = KINDS[kind](place, base)
    found = looks(results, said)
    codes = {verb: code for verb, (code, _) in found.items()}
    assert codes == before, (kind, where, found)
    shown = (PLACES[where] + "/" + name).removeprefix("./")
    for verb in ("status", "verify", "report", "export"):
        assert found[verb][1].count(f"{shown}") == 1, (kind, where, verb, found[verb][1])
        assert "Traceback" not in found[verb][1]
    frame = nas_bench.load_results(results)
    assert sorted(frame["id"].unique()) == sorted(run.id for run in Ledger(base).runs())
    assert len(frame) == 26
    assert (frame.attrs["problems"], len(frame.attrs["strays"])) == ([], 1)
    assert sorted(d.action for d in merge([results], folder / "merged")) == ["copied"] * 2
    return len(found) + 2


@pytest.mark.parametrize("part", [7, pytest.param(1, marks=(pytest.mark.slow, pytest.mark.crash))])
def test_strays_are_named_once_and_change_nothing(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    def said() -> str:
        return " ".join("".join(capsys.readouterr()).split())

    shutil.copytree(base, tmp_path / "before" / "results")
    before = {v: code for v, (code, _) in looks(tmp_path / "before" / "results", said).items()}
    for number, (kind, where) in enumerate(cases()):
        if number % part == 0:
            check(base, tmp_path / str(number), kind, where, said, before)
