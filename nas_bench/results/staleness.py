"""Which results today's code or data would not repeat, without importing that code.

A result is stale if the behaviour version of the core (where a change reaches it), of its method
or of its task differs from today's, or if its data does.
"""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nas_bench import plugins
from nas_bench.behaviour import Change, Described, changes, reaches
from nas_bench.discovery import PluginKind, strangers
from nas_bench.results.summary import Summary
from nas_bench.trials.config import TrialConfig


def is_stale(
    summary: Summary,
    data: Mapping[str, str] | None = None,
    *,
    known: Sequence[Change] | None = None,
) -> bool:
    """Whether a trial would end otherwise today.

    Of methods and tasks those that come with the package, are installed or loaded can be told.

    Args:
        summary: of the trial.
        data: checksum of today's data by task, where it is known.
        known: behaviour versions of the core, if not those of this package.
    """
    if summary.status not in ("ok", "stopped"):
        return False
    return bool(outdated(summary, data, known))


def outdated(
    summary: Summary,
    data: Mapping[str, str] | None = None,
    known: Sequence[Change] | None = None,
) -> list[str]:
    """What of a result is of another day: core, method, task, trigger, data."""
    found = ["core"] if _of_another_core(summary, known or changes()) else []
    specs: dict[PluginKind, str] = {"method": summary.method, "task": summary.task}
    if summary.config is not None:
        specs["trigger"] = summary.config.schedule.when
    for kind, spec in specs.items():
        then, today = summary.behaviour.get(kind), versions(kind).get(_name(spec))
        if None not in (then, today) and then != today:
            found.append(kind)
    checksum = summary.environment.get("data")
    if data and checksum and data.get(summary.task, checksum) != checksum:
        found.append("data")
    return found


def _of_another_core(summary: Summary, known: Sequence[Change]) -> bool:
    """Whether the core has changed what it does to this trial; an unnumbered core is another."""
    then = summary.behaviour.get("core")
    if then is None:
        return bool(summary.environment.get("sources"))
    return then != known[-1].version and reaches(described(summary), then, known)


def newest_data(summaries: Iterable[Summary]) -> dict[str, str]:
    """The checksum of the data of each task's latest result."""
    ended = [s for s in summaries if s.status == "ok" and s.environment.get("data")]
    ended.sort(key=lambda summary: summary.finished or "")
    return {summary.task: str(summary.environment["data"]) for summary in ended}


def described(summary: Summary) -> Described:
    """What scopes of behaviour changes ask of a trial."""
    resolved = summary.resolved
    return Described(
        method=_name(summary.method),
        options=resolved.get("method", {}),
        sites=resolved.get("sites"),
        settings=settings_of(summary.config, resolved.get("recipe", {})),
    )


def settings_of(config: TrialConfig | None, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a trial by dotted name, those of its schedule that are the default too."""
    found: dict[str, Any] = {} if config is None else config.model_dump(mode="json")
    if config is not None:
        found["schedule"] = dict(config.schedule) | found["schedule"]
    return dict(dotted(found | {"recipe": recipe}))


def versions(kind: PluginKind) -> dict[str, int]:
    """Today's behaviour versions of the plugins of a kind by name."""
    found = (*strangers(kind), *plugins.given(kind))
    return shipped_versions(kind) | {p.name: p.cls.version for p in found if p.cls is not None}


@functools.cache
def shipped_versions(kind: PluginKind) -> dict[str, int]:
    """The `version` that each class of `nas_bench.methods` and so on states, else 1."""
    spec = find_spec(f"nas_bench.{kind}s")
    folders = (spec.submodule_search_locations if spec else None) or ()
    modules = (file for folder in folders for file in sorted(Path(folder).glob("*.py")))
    return dict(pair for file in modules for pair in _of_file(file))


def _of_file(file: Path) -> Iterator[tuple[str, int]]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            stated = dict(_constants(node))
            if isinstance(name := stated.get("name"), str):
                yield name, stated.get("version", 1)


def _constants(cls: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    """What a class says its attributes are."""
    for statement in cls.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                yield name, value


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by dotted name, such as `schedule.where`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _name(spec: str) -> str:
    return spec.partition("[")[0].strip()
