"""Where results lie and plugins come from, as the command line and Python callers name them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from nas_bench.specs import InputError, absolute, real

RESULTS_VARIABLE = "NAS_BENCH_RESULTS"


def results_folder(given: str | Path | None = None) -> Path:
    """The folder given, else the one in NAS_BENCH_RESULTS, else ./results/local.

    Raises:
        InputError: if there is a file, or a link to nothing.
    """
    named = given or os.environ.get(RESULTS_VARIABLE)
    folder = Path(named) if named else Path("results", "local")
    folder = absolute(folder)
    if folder.is_symlink() and not folder.exists():
        gone = f"is a link to {folder.readlink()}, which is not there"
        raise InputError(f"the results folder {folder} {gone}: make it, or name another")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the results folder {folder} is a file: name a folder")
    return folder


def ledgers_of(given: Iterable[str | Path]) -> tuple[Path, ...]:
    """Results folders and packs; none given are the one that `results_folder` gives.

    Raises:
        InputError: if one of several is not there, or is another one or a part of it.
    """
    named = [absolute(Path(each)) for each in given]
    for path in named if len(named) > 1 else []:
        if not path.exists():
            raise InputError(f"there is no results folder or pack at {path}")
        found = [other for other in named if real(other) == real(path)]
        if len(found) > 1:
            raise InputError(f"the ledger {path} is given twice: name each once")
        _refuse_part(path, named)
    if not named:
        return (results_folder(),)
    return tuple(p if p.is_file() and p.suffix == ".zip" else results_folder(p) for p in named)


def _refuse_part(path: Path, named: Sequence[Path]) -> None:
    """Refuse a part of a results folder, and a pack that lies in another of the ledgers."""
    from nas_bench.results.layout import results_above

    is_pack = path.is_file()
    above = results_above(path.with_suffix("") if is_pack else path)
    around = [other for other in named if is_pack and real(other) == real(path).parent.parent]
    if above := next(iter(around), above):
        raise InputError(
            f"{path} is a part of the results folder {above}: name that, or copies elsewhere"
        )


def report_folder(ledgers: Sequence[Path], into: str | Path | None = None) -> Path:
    """The folder that a report of ledgers goes into, its `report/`: the last of them, or `into`.

    Raises:
        InputError: if all of them are packs, or `into` lies among trials.
    """
    if into is not None:
        for path in ledgers:
            refuse_among_trials(absolute(Path(into)) / "report", path)
        return absolute(Path(into))
    for path in reversed(ledgers):
        if not path.is_file():
            return path
    raise InputError("a report of packs alone has no folder to go to: give one with --into")


def refuse_among_trials(target: Path, results: Path) -> None:
    """Refuse a folder in which files would stand in the way of trials.

    Raises:
        InputError: if it lies in a results folder, outside of its `report/`.
    """
    target, results = real(target), real(results)
    if target.is_relative_to(results) and not target.is_relative_to(results / "report"):
        raise InputError(
            f"{target} is where trials lie: choose a folder outside of {results}, or below its "
            "report/"
        )


def load_plugins(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Make the plugins of these files known; their absolute paths.

    Raises:
        InputError: if one cannot be used.
    """
    from nas_bench import plugins

    found = tuple(map(real, paths))
    for path in found:
        plugins.load_path(path)
    return found
