"""Moving damaged files out of the way, so that nothing is lost and a trial can run again."""

import os
from pathlib import Path

from nas_bench.results.layout import SIZES, hindrances, holds_trial
from nas_bench.results.reading import read_run


def make_way(results: Path, folder: Path) -> list[Path]:
    """Let a trial begin in a folder; where what was in the way lies now.

    Links and files in the place of folders are renamed, damaged files of the trial moved into
    its `damaged-<n>`. What an attempt left that was only cut off stays.

    Args:
        results: the results folder.
        folder: of the trial, inside it.

    Raises:
        OSError: if something cannot be moved.
    """
    moved = [renamed(place) for place in list(hindrances(results, folder))]
    if folder.is_dir() and is_damaged(folder):
        moved.append(set_aside(folder))
    return moved


def is_damaged(folder: Path) -> bool:
    """Whether a trial's folder holds anything that cannot be read."""
    run = read_run(folder)
    return bool(run.problems) and not run.only_cut and holds_trial(folder)


def set_aside(folder: Path) -> Path:
    """Move the files of a trial into a new `damaged-<n>` in its folder.

    Raises:
        OSError: if something cannot be moved.
    """
    target = _free(folder / "damaged")
    target.mkdir()
    for name in SIZES:
        if os.path.lexists(folder / name):
            (folder / name).rename(target / name)
    return target


def renamed(place: Path) -> Path:
    """Rename what stands in the way to `<name>.damaged-<n>`; where it lies now.

    Raises:
        OSError: if it cannot be moved.
    """
    target = _free(place.with_name(f"{place.name}.damaged"))
    place.rename(target)
    return target


def _free(stem: Path) -> Path:
    """The first of `stem-1`, `stem-2`, … that is not there."""
    number = 1
    while (path := stem.with_name(f"{stem.name}-{number}")).exists() or path.is_symlink():
        number += 1
    return path
