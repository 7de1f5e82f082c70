"""Growth methods, tasks and triggers by name.

A plugin is a frozen dataclass that subclasses `GrowthMethod`, `Task` or `Trigger`. What cannot be
used is listed as broken, with the reason, and never keeps others from being used.
"""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nas_bench.by_value import pickled
from nas_bench.discovery import Plugin, PluginKind, defined, executed, file_of, in_file, installed
from nas_bench.options import changed_options, validated
from nas_bench.specs import InputError, Spec, parse, real, unknown
from nas_bench.text import shortened

if TYPE_CHECKING:
    from nas_bench.growth.method import GrowthMethod
    from nas_bench.training.task import Task
    from nas_bench.trials.trigger import Trigger

PluginError = InputError
_loaded: dict[Path, list[Plugin]] = {}  # what load_path added to this process
_defined: dict[tuple[PluginKind, str], Plugin] = {}  # by kind and name: what define added


def methods() -> dict[str, Plugin]:
    """All growth methods by name, broken ones included."""
    return plugins("method")


def tasks() -> dict[str, Plugin]:
    """All tasks by name, broken ones included."""
    return plugins("task")


def triggers() -> dict[str, Plugin]:
    """All triggers by name, broken ones included."""
    return plugins("trigger")


def plugins(kind: PluginKind) -> dict[str, Plugin]:
    """All plugins of a kind by name; what cannot be listed by name, by origin.

    Where two share a name, that name is broken; but a built-in plugin keeps its own.
    """
    everything = [*installed(kind), *given(kind)]
    found: dict[str, Plugin] = {}
    for plugin in sorted(everything, key=_is_built_in, reverse=True):
        if plugin.cls is not None:
            other = found.get(plugin.name)
            if other is None or other.cls is plugin.cls:
                found[plugin.name] = plugin
            else:
                key = plugin.origin if _is_built_in(other) else plugin.name
                found[key] = _clash(plugin, other)
    for plugin in everything:
        if plugin.cls is None:
            found[plugin.origin if plugin.name in found else plugin.name] = plugin
    return dict(sorted(found.items()))


def everything() -> dict[str, Plugin]:
    """All plugins by name; of those that share one, the method, then the task."""
    return triggers() | tasks() | methods()


def given(kind: PluginKind) -> list[Plugin]:
    """The plugins of a kind that `load_path` and `define` have added to this process."""
    loaded = [plugin for group in _loaded.values() for plugin in group]
    return [plugin for plugin in (*loaded, *_defined.values()) if plugin.kind == kind]


def method(spec: str) -> "GrowthMethod":
    """The growth method that a spec such as `tiny[projection=false]` names."""
    return cast("GrowthMethod", _instance(parse(spec), "method"))


def task(spec: str) -> "Task":
    """The task that a spec such as `mnist[target_widths=[20,10]]` names."""
    return cast("Task", _instance(parse(spec), "task"))


def trigger(spec: str) -> "Trigger":
    """The trigger that a spec such as `plateau[window=5]` names."""
    return cast("Trigger", _instance(parse(spec), "trigger"))


def canonical(spec: str, kind: PluginKind) -> str:
    """The spec with only the options that differ from their defaults, sorted.

    Raises:
        PluginError: if the name is unknown or broken, or an option does not fit.
    """
    parsed = parse(spec)
    return str(Spec(parsed.name, changed_options(_instance(parsed, kind))))


def load_path(path: Path, content: bytes | None = None) -> list[Plugin]:
    """The plugins of a Python file, from now on known by name in this process.

    Args:
        path: of the file.
        content: of the file, which then need not be there, as on another machine.

    Raises:
        PluginError: if the file is missing, does not import, has no plugin, or a broken one.
    """
    path = real(path)
    if path not in _loaded:
        found = in_file(path, content)
        _refuse_broken(path, found)
        _loaded[path] = found
    return _loaded[path]


def content(path: Path) -> bytes:
    """The content of a plugin file as this process executes it.

    Raises:
        PluginError: as `load_path`.
    """
    return executed(next(p.cls for p in load_path(path) if p.cls is not None))


def make_known(cls: type, kind: PluginKind) -> Plugin:
    """The plugin that a class is: one that is known, of its file, or by itself.

    Raises:
        PluginError: if it cannot be used, has no source, or its name is another's.
    """
    for plugin in plugins(kind).values():
        if plugin.cls is cls:
            return plugin
    if (path := file_of(cls)) is None:
        return define(cls, kind)
    for plugin in load_path(path):
        if plugin.cls and plugin.cls.__qualname__ == cls.__qualname__:
            return plugin
    raise PluginError(f"plugin file {path}: {cls.__qualname__} does not stand alone in it")


def define(cls: type, kind: PluginKind, source: bytes | None = None) -> Plugin:
    """The plugin that a class of a notebook or a script is; it takes the place of an earlier one.

    Args:
        cls: defined in `__main__`.
        kind: of plugin.
        source: of the cell or script; None: as Python remembers it.

    Raises:
        PluginError: if it cannot be used, has no source, or its name is another's.
    """
    plugin = defined(cls, kind, source)
    if plugin.error:
        raise PluginError(f"{kind} class {plugin.error}")
    earlier = _defined.pop((kind, plugin.name), None)
    try:
        _refuse_clash(plugin)
    except PluginError:
        if earlier:
            _defined[kind, plugin.name] = earlier
        raise
    _defined[kind, plugin.name] = plugin
    return plugin


def definitions() -> bytes:
    """The classes of `define`, for another process; empty if there are none."""
    if not _defined:
        return b""
    triples = [(kind, plugin.cls, executed(plugin.cls))
               for (kind, _), plugin in _defined.items() if plugin.cls]  # fmt: skip
    return pickled(triples)


def define_all(sent: bytes) -> None:
    """Make known what `definitions` gave in the process that sent it."""
    if sent:
        for kind, cls, source in pickle.loads(sent):
            define(cls, kind, source)


def _refuse_broken(path: Path, found: list[Plugin]) -> None:
    for plugin in found:
        if plugin.error:
            raise PluginError(f"plugin file {path}: {plugin.error}")
        _refuse_clash(plugin)


def _refuse_clash(plugin: Plugin) -> None:
    other = plugins(plugin.kind).get(plugin.name)
    if other and other.cls is not None:
        raise PluginError(str(_clash(plugin, other).error))


def _instance(spec: Spec, kind: PluginKind) -> Any:
    known = plugins(kind)
    if spec.name not in known:
        raise PluginError(unknown(kind, spec.name, known))
    plugin = known[spec.name]
    if plugin.cls is None:
        raise PluginError(f"{kind} {plugin.name} ({plugin.origin}) is broken: {plugin.error}")
    values = validated(spec.options, plugin.cls, f"{kind} {plugin.name}")
    try:
        return plugin.cls(**values)
    except (ValueError, TypeError) as error:
        raise PluginError(f"{kind} {shortened(str(spec), 120)}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    """What an error says, which may repeat any number of digits."""
    return shortened(str(error), 300)


def is_built_in(cls: type) -> bool:
    """Whether a class comes with the package."""
    return cls.__module__.startswith("nas_bench.")


def _is_built_in(plugin: Plugin) -> bool:
    return plugin.cls is not None and is_built_in(plugin.cls)


def _clash(plugin: Plugin, other: Plugin) -> Plugin:
    origins = f"{other.origin} and {plugin.origin}"
    error = f"both {origins} define a {plugin.kind} named {plugin.name}: rename one"
    return Plugin(plugin.name, plugin.kind, None, origins, error)
