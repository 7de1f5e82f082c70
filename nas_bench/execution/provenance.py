"""What a trial is about to run, in full: versions, every setting, and the code of strangers."""

import base64
import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from nas_bench import plugins
from nas_bench.behaviour import core_version
from nas_bench.discovery import executed
from nas_bench.growth import GrowthMethod, find_sites
from nas_bench.training.data import Data
from nas_bench.training.task import Task
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.trigger import Trigger


def ran(config: TrialConfig, method: GrowthMethod, task: Task, trigger: Trigger) -> dict[str, Any]:
    """Behaviour versions, the resolved configuration and plugin files, as JSON-able values.

    Args:
        config: of the trial.
        method: that it names.
        task: that it names.
        trigger: that it names.
    """
    named = {"method": method, "task": task, "trigger": trigger}
    versions = {kind: plugin.version for kind, plugin in named.items()}
    return {
        "behaviour": {"core": core_version(), **versions},
        "resolved": {
            **{kind: _plain(asdict(plugin)) for kind, plugin in named.items()},
            "recipe": _plain(asdict(replace(task.recipe, **config.recipe))),
        },
        "plugins": {
            kind: _file(type(plugin))
            for kind, plugin in named.items()
            if not plugins.is_built_in(type(plugin))
        },
    }


def site_kinds(task: Task, data: Data) -> list[str]:
    """The kinds of sites that a task lets grow, which decide what changes of the core reach it."""
    found = find_sites(task.network(task.seed_widths), data.train.first(2).inputs.cpu())
    return sorted({kind for site in found if task.grows(site.name) for kind in site.kinds})


def _file(cls: type) -> dict[str, str]:
    content = executed(cls)
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "base64": base64.b64encode(content).decode(),
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON has them; what it has not, as text."""
    return json.loads(json.dumps(values, default=str))
