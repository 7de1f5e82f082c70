"""Where plugins come from: entry points, and files that someone names."""

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from nas_bench.options import options_without_default
from nas_bench.specs import NAME, InputError

PluginKind = Literal["method", "task"]


@dataclass(frozen=True)
class Plugin:
    """One growth method or task, usable or broken.

    Attributes:
        name: what users type.
        kind: method or task.
        cls: its class, None if broken.
        origin: where it comes from: module and class, or the file.
        error: why it is broken, or None.
    """

    name: str
    kind: PluginKind
    cls: type | None
    origin: str
    error: str | None = None


def installed(kind: PluginKind) -> Iterator[Plugin]:
    """The plugins of all entry points of a kind."""
    entries = {entry.value: entry for entry in entry_points(group=f"nas_bench.{kind}s")}
    for _, entry in sorted(entries.items()):
        yield from _of_entry(entry, kind)


def in_file(path: Path) -> list[Plugin]:
    """The plugins of a Python file, imported under a name that depends on its path alone.

    Raises:
        InputError: if the file is missing, does not import or has no plugin.
    """
    if not path.is_file():
        raise InputError(f"plugin file {path} is not there: give the path of a Python file")
    module = _imported(path)
    kinds: tuple[PluginKind, ...] = ("method", "task")
    found = [plugin for kind in kinds for plugin in _in_module(module, kind, str(path))]
    if not found:
        raise InputError(f"plugin file {path} defines no subclass of GrowthMethod or Task")
    return found


def module_name(path: Path) -> str:
    """The name under which a plugin file is imported."""
    digest = hashlib.sha256(str(path.expanduser().resolve()).encode()).hexdigest()[:8]
    return f"nas_bench_plugin_{path.stem}_{digest}"


def base(kind: PluginKind) -> type:
    """The class that plugins of a kind extend."""
    if kind == "method":
        from nas_bench.growth.method import GrowthMethod

        return GrowthMethod
    from nas_bench.training.task import Task

    return Task


def _of_entry(entry: EntryPoint, kind: PluginKind) -> Iterator[Plugin]:
    try:
        target = entry.load()
    except Exception as error:
        yield Plugin(entry.name, kind, None, entry.value, _said(error))
        return
    if inspect.isclass(target):
        yield _of_class(target, kind, entry.value)
    elif hasattr(target, "__path__"):
        yield from _in_package(target, kind)
    else:
        yield from _in_module(target, kind, entry.value)


def _in_package(package: ModuleType, kind: PluginKind) -> Iterator[Plugin]:
    yield from _in_module(package, kind, package.__name__)
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        origin = f"{package.__name__}.{found.name}"
        try:
            module = importlib.import_module(origin)
        except Exception as error:
            yield Plugin(found.name, kind, None, origin, _said(error))
        else:
            yield from _in_module(module, kind, origin)


def _in_module(module: ModuleType, kind: PluginKind, origin: str) -> Iterator[Plugin]:
    """The concrete subclasses defined in a module."""
    for cls in list(vars(module).values()):
        if not inspect.isclass(cls) or cls.__module__ != module.__name__:
            continue
        if issubclass(cls, base(kind)) and not inspect.isabstract(cls):
            yield _of_class(cls, kind, f"{origin}:{cls.__name__}")


def _of_class(cls: type, kind: PluginKind, origin: str) -> Plugin:
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        error = f"its name is {name!r}: use letters, digits and _, beginning with a letter"
        return Plugin(cls.__name__, kind, None, origin, error)
    error = _flaw(cls, kind)
    return Plugin(name, kind, None if error else cls, origin, error)


def _flaw(cls: type, kind: PluginKind) -> str | None:
    """What keeps a class from being a plugin."""
    if not issubclass(cls, base(kind)):
        return f"{cls.__name__} is not a subclass of {base(kind).__name__}"
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"{cls.__name__} does not define {missing}"
    if "__dataclass_params__" not in vars(cls):
        return f"{cls.__name__} is not decorated with @dataclass(frozen=True)"
    bare = options_without_default(cls)
    return f"{cls.__name__} has options without default: {', '.join(bare)}" if bare else None


def _imported(path: Path) -> ModuleType:
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"plugin file {path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"plugin file {path} does not import: {_said(error)}") from error
    return module


def _said(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
