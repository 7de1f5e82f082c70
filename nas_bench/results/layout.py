"""Where a trial lies in the results folder."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nas_bench.trials.config import TrialConfig

RUN, CURVE, GROWTH, VERIFIED = "run.json", "curve.jsonl", "growth.jsonl", "verified.json"
"""The files of a trial."""
PACK = ".zip"
"""What the name of a pack ends with: all trials of one protocol and task in one file."""

_PLAIN = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9_.=-]{0,46}[a-z0-9])?")
_RESERVED = {"checkpoints", "report", "wandb"}
_SET_ASIDE = re.compile(r"(?:^|\.)damaged-\d+$")


class Places(NamedTuple):
    """What is in a results folder.

    Attributes:
        trials: folders in the places of trials, sorted.
        strays: what stands in the way of trials, with the reason, sorted.
        packs: files in the places of packs, sorted.
    """

    trials: list[Path]
    strays: list[tuple[Path, str]]
    packs: list[Path]


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


def trial_folder(config: TrialConfig) -> Path:
    """`protocol/task/method/settings_id/s<seed>`, relative to the results folder."""
    names = (config.protocol, config.task, config.label)
    return Path(*map(path_part, names), config.settings_id, f"s{config.seed}")


def pack_of(folder: Path) -> Path:
    """Where the trial is that lies in this folder, if it is packed."""
    task = folder.parents[2]
    return task.with_name(f"{task.name}{PACK}")


def place_of(path: Path) -> str:
    """The place of a trial or of a pack, without the results folder."""
    return "/".join(path.parts[-2 if path.name.endswith(PACK) else -5 :])


def places(results: Path) -> Places:
    """What lies in the places of trials, and what stands in the way; links are not followed."""
    found = Places([], [], [])
    level = [Path(results)]
    for depth in range(5):
        level = [path for parent in level for path in _folders(parent, depth, found)]
    found.trials.extend(sorted(level))
    found.strays.sort()
    found.packs.sort()
    return found


def is_set_aside(name: str) -> bool:
    """Whether a file or folder of this name was damaged and has been moved out of the way."""
    return _SET_ASIDE.search(name) is not None


def _folders(parent: Path, depth: int, found: Places) -> Iterator[Path]:
    """The folders that may hold trials below; the rest becomes strays."""
    try:
        with os.scandir(parent) as entries:
            listed = list(entries)
    except FileNotFoundError:
        return
    except OSError as error:
        found.strays.append((parent, f"it cannot be read: {error.strerror or error}"))
        return
    for entry in listed:
        if not _is_ours(entry.name, depth):
            continue
        path = parent / entry.name
        if depth == 1 and _is_pack(entry):
            found.packs.append(path)
        elif problem := _hindrance(entry, depth):
            if depth > 0 or entry.is_symlink() or "." not in entry.name:
                found.strays.append((path, problem))
        else:
            yield path


def _is_pack(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(PACK) and entry.is_file(follow_symlinks=False)


def _is_ours(name: str, depth: int) -> bool:
    beside = depth == 0 and name in _RESERVED
    return not beside and not name.startswith(".") and not is_set_aside(name)


def _hindrance(entry: os.DirEntry[str], depth: int) -> str:
    """Why an entry cannot hold a trial; empty if it can."""
    if entry.is_symlink():
        return "it is a link, which is not followed"
    if not entry.is_dir():
        return "it is a file where a folder belongs"
    if depth == 4 and not re.fullmatch(r"s\d+", entry.name):
        return "its name is not that of a trial, such as s0"
    return ""
