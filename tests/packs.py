"""Packed ledgers of synthetic trials, and what is seen of them."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from nas_bench.results.ledger import Ledger
from nas_bench.results.packing import Outcome, pack
from nas_bench.results.reading import Run


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file by its place, but for the one that tells git to leave them alone."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".gitattributes")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def packed(ledger: Ledger) -> Path:
    """The pack of a ledger of one protocol and task."""
    (outcome,) = pack(ledger.folder)
    assert (outcome.action, outcome.problems) == ("packed", ())
    return ledger.folder / f"{outcome.place}.zip"


def only(outcomes: Iterable[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def seen(run: Run) -> tuple[object, ...]:
    return run.place, run.id, run.status, repr(run.curve), run.growth, run.problems, run.config


def damages(folder: Path) -> list[str]:
    return Ledger(folder).contents().damage


def rewrite(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name, value in members.items():
            made.writestr(name, value)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}
