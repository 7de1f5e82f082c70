"""Where a trial lies in the results folder."""

import hashlib
import re
from pathlib import Path

from nas_bench.trials.config import TrialConfig

_PLAIN = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9_.=-]{0,46}[a-z0-9])?")
_RESERVED = {"checkpoints", "report"}


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


def trial_folders(results: Path) -> list[Path]:
    """Every folder of the results folder that is in the place of a trial, sorted."""
    found = (folder for folder in results.glob("*/*/*/*/s*") if folder.is_dir())
    return sorted(folder for folder in found if re.fullmatch(r"s\d+", folder.name))
