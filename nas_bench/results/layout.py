"""Where a trial lies in the results folder."""

import functools
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nas_bench.results.summary import Summary
    from nas_bench.trials.config import TrialConfig

RUN, CURVE, GROWTH, VERIFIED = "run.json", "curve.jsonl", "growth.jsonl", "verified.json"
"""The files of a trial."""
SIZES: Mapping[str, int] = {RUN: 2**24, CURVE: 2**28, GROWTH: 2**28, VERIFIED: 2**24}
"""Bytes that each may have; what is larger is damage, and not read."""
PACK = ".zip"
"""What the name of a pack ends with: all trials of one protocol and task in one file."""

_PLAIN = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9_.=-]{0,46}[a-z0-9])?")
_SLUG = re.compile(r"[a-z0-9_.=-]{0,39}~[0-9a-f]{8}")
_SETTINGS = re.compile(r"[0-9a-f]{8}")
_SEED = re.compile(r"s(?:0|[1-9][0-9]*)")
_RESERVED = {"checkpoints", "report", "wandb"}
_SET_ASIDE = re.compile(r"damaged-\d+")
_LISTED = 20
"""Strays in one folder that are named."""


class Stray(NamedTuple):
    """What lies in a results folder and is no part of the ledger, or can't be read.

    Attributes:
        path: of it.
        reason: why it is none, or cannot be read, in one sentence.
    """

    path: Path
    reason: str


class Places(NamedTuple):
    """What is in a results folder.

    Attributes:
        trials: folders in the places of trials, sorted.
        packs: files in the places of packs, sorted.
        strays: what is no part of the ledger, sorted.
        closed: folders that may hold trials and cannot be listed, sorted.
    """

    trials: list[Path]
    packs: list[Path]
    strays: list[Stray]
    closed: list[Stray]


@functools.lru_cache(1000)
def path_part(text: str) -> str:
    """One safe folder name for any text: no two texts share one, none climbs out.

    Short lower-case names stay as they are. Others lose characters and get `~` and a hash of
    the whole text instead; `~` is in no plain name, so that the two never meet.
    """
    if _PLAIN.fullmatch(text) and text not in _RESERVED:
        return text
    slug = re.sub(r"[^a-z0-9_.=]+", "-", text.lower())[:39].strip("-_.=")
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{slug}~{digest}"


def trial_folder(trial: "TrialConfig | Summary") -> Path:
    """`protocol/task/method/settings_id/s<seed>`, relative to the results folder."""
    names = (trial.protocol, trial.task, trial.label)
    return Path(*map(path_part, names), trial.settings_id, f"s{trial.seed}")


def pack_of(folder: Path) -> Path:
    """Where the trial is that lies in this folder, if it is packed."""
    task = folder.parents[2]
    return task.with_name(f"{task.name}{PACK}")


def place_of(path: Path) -> str:
    """The place of a trial or of a pack, without the results folder."""
    return "/".join(path.parts[-2 if path.name.endswith(PACK) else -5 :])


def results_above(folder: Path) -> Path | None:
    """The results folder of which a folder is a part, None if it is none."""
    for depth, parent in enumerate(folder.parents[:4], start=1):
        trials = _level(folder, depth, Places([], [], [], []))
        if any(
            is_place(path.relative_to(parent).as_posix()) and holds_trial(path) for path in trials
        ):
            return parent
    return None


def places(results: Path) -> Places:
    """What lies in the places of trials and of packs, and what does not; no link is followed.

    Hidden files are neither, nor are the folders beside the protocols', such as `report`.
    """
    found = Places([], [], [], [])
    level = _level(Path(results), 0, found)
    found.trials.extend(level)
    found.strays.extend(stray for folder in level for stray in _beside(folder))
    for part in found:
        part.sort()
    return found


def is_place(place: str) -> bool:
    """Whether a trial can lie at a place in a results folder."""
    *names, settings, seed = place.split("/")
    ours = len(names) == 3 and all(map(_is_part, names))
    return ours and bool(_SETTINGS.fullmatch(settings) and _SEED.fullmatch(seed))


def holds_trial(folder: Path) -> bool:
    """Whether anything of a trial is in a folder; one that was just being made has nothing.

    Where the system does not let us look there may be.
    """
    return _has_content(folder / RUN, least=0) or any(
        map(_has_content, (folder / CURVE, folder / GROWTH))
    )


def gathered(strays: Iterable[Stray], kept: Iterable[Path], results: Path) -> list[Stray]:
    """The strays, of a folder in which nothing is kept the folder alone."""
    needed = {place for path in kept for place in (path, *path.parents)}
    found: dict[Path, str] = {}
    for path, reason in strays:
        highest = path
        while highest.parent != results and highest.parent not in needed:
            highest = highest.parent
        found.setdefault(
            highest, reason if highest == path else "no trial is in its own place there"
        )
    return [Stray(*pair) for pair in sorted(found.items())]


def hindrances(results: Path, folder: Path) -> Iterator[Path]:
    """The links and files on the way from a results folder to a place in it."""
    place = results
    for part in folder.relative_to(results).parts:
        place = place / part
        try:
            found = os.lstat(place)
        except OSError:
            return
        if not stat.S_ISDIR(found.st_mode):
            yield place


def is_set_aside(name: str) -> bool:
    """Whether an entry of a trial's folder was damaged and has been moved out of the way."""
    return _SET_ASIDE.fullmatch(name) is not None


def _has_content(path: Path, least: int = 1) -> bool:
    """Whether a file has so many bytes, or is no file, or nobody knows."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return found.st_size >= least or not stat.S_ISREG(found.st_mode)


def _beside(folder: Path) -> list[Stray]:
    """What lies in a trial's folder and is none of its files."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []  # so cannot be its files, which is said of them
    strange = [name for name in names if name not in SIZES and not is_set_aside(name)]
    return [Stray(folder / name, "it is no file of a trial") for name in strange[:_LISTED]]


def _level(folder: Path, depth: int, found: Places) -> list[Path]:
    """The places of trials in a folder that lies so deep; the rest is sorted out."""
    level = [folder]
    for below in range(depth, 5):
        level = [path for parent in level for path in _folders(parent, below, found)]
    return level


def _folders(parent: Path, depth: int, found: Places) -> Iterator[Path]:
    """The folders that may hold trials below; packs and strays are sorted out."""
    try:
        with os.scandir(parent) as entries:
            listed = [entry for entry in entries if _is_visible(entry.name, depth)]
    except FileNotFoundError:
        return
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}"
        found.closed.append(Stray(parent, why))
        return
    strays = 0
    for entry in listed:
        path = parent / entry.name
        if depth == 1 and _is_pack(entry):
            found.packs.append(path)
        elif problem := _hindrance(entry, depth):
            strays += 1
            if strays <= _LISTED:
                found.strays.append(Stray(path, problem))
        else:
            yield path


def _is_visible(name: str, depth: int) -> bool:
    return not name.startswith(".") and not (depth == 0 and name in _RESERVED)


def _is_pack(entry: os.DirEntry[str]) -> bool:
    ours = entry.name.endswith(PACK) and _is_part(entry.name.removesuffix(PACK))
    return ours and entry.is_file(follow_symlinks=False)


def _is_part(name: str) -> bool:
    """Whether `path_part` gives such names."""
    return (_PLAIN.fullmatch(name) or _SLUG.fullmatch(name)) is not None


def _hindrance(entry: os.DirEntry[str], depth: int) -> str:
    """Why an entry cannot hold a trial; empty if it can."""
    if entry.is_symlink():
        return "it is a link, which is not followed"
    if not entry.is_dir(follow_symlinks=False):
        return "it is a file where a folder belongs"
    shapes = {3: _SETTINGS, 4: _SEED}
    ours = shapes[depth].fullmatch(entry.name) if depth in shapes else _is_part(entry.name)
    return "" if ours else "no trial has a folder of this name"
