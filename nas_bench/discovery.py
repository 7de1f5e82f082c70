"""Where plugins come from: entry points, and files that someone names."""

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args
from weakref import WeakKeyDictionary

from nas_bench.options import options_without_default
from nas_bench.specs import NAME, InputError, real, said

PluginKind = Literal["method", "task", "trigger"]
_KINDS: tuple[PluginKind, ...] = get_args(PluginKind)
_executed: dict[str, bytes] = {}  # content of plugins' modules when they were imported, by name
_sources: "WeakKeyDictionary[type, bytes]" = WeakKeyDictionary()  # of classes in no file


@dataclass(frozen=True)
class Plugin:
    """One growth method, task or trigger, usable or broken.

    Attributes:
        name: what users type.
        kind: method, task or trigger.
        cls: its class, None if broken.
        origin: where it comes from: module and class, or the file.
        error: why it is broken, or None.
    """

    name: str
    kind: PluginKind
    cls: type | None
    origin: str
    error: str | None = None


def installed(kind: PluginKind) -> tuple[Plugin, ...]:
    """The plugins of all entry points of a kind."""
    return _installed(kind, tuple(sys.path))


def strangers(kind: PluginKind) -> tuple[Plugin, ...]:
    """The plugins of entry points that do not come with the package; only these are imported."""
    return _strangers(kind, tuple(sys.path))


def in_file(path: Path, content: bytes | None = None) -> list[Plugin]:
    """The plugins of a Python file, imported under a name that depends on its path alone.

    Args:
        path: of the file.
        content: of the file, which then need not be there.

    Raises:
        InputError: if the file is missing, does not import or has no plugin.
    """
    if content is None and path.is_dir():
        raise InputError(f"plugin file {path} is a folder: give the path of a .py file")
    if content is None and path.exists() and not path.is_file():
        raise InputError(f"plugin file {path} is no regular file: give the path of a .py file")
    if content is None and not path.is_file():
        raise InputError(f"plugin file {path} is not there: give the path of a Python file")
    try:
        module = _imported(path, path.read_bytes() if content is None else content)
    except OSError as error:
        raise InputError(f"cannot read plugin file {path}: {error.strerror}") from None
    found = [plugin for kind in _KINDS for plugin in _in_module(module, kind, str(path))]
    if not found:
        flaws = [_flaw(cls, kind) for kind in _KINDS for cls in _subclasses(module, kind)]
        missing = "it defines no subclass of GrowthMethod, Task or Trigger"
        raise InputError(f"plugin file {path}: {next(filter(None, flaws), missing)}")
    return found


def module_name(path: Path) -> str:
    """The name under which a plugin file is imported."""
    digest = hashlib.sha256(str(real(path)).encode()).hexdigest()[:8]
    return f"nas_bench_plugin_{path.stem}_{digest}"


def executed(cls: type) -> bytes:
    """The content of a plugin's module as it was when it was imported.

    Raises:
        ValueError: if the module has no source.
    """
    if cls in _sources:
        return _sources[cls]
    name = cls.__module__
    if name not in _executed:
        _keep(name)
    if name not in _executed:
        raise ValueError(f"no source of {name}.{cls.__qualname__} was found")
    return _executed[name]


def file_of(cls: type) -> Path | None:
    """The file of a class, None if it stands in a notebook or in the script that runs."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file) if file and cls.__module__ != "__main__" else None


def defined(cls: type, kind: PluginKind, source: bytes | None = None) -> Plugin:
    """The plugin that a class of a notebook or a script is.

    Args:
        cls: the class.
        kind: of plugin.
        source: of the cell or script; None: as Python remembers it.

    Raises:
        InputError: if there is no source to be recorded.
    """
    content = _remembered(cls) if source is None else source
    try:
        ast.parse(content)
    except (SyntaxError, ValueError):
        content = b""
    if not content.strip():
        raise InputError(
            f"no source of {kind} {cls.__qualname__} was found, which its results have to name: "
            "define it in a notebook cell, a script or a plugin file"
        )
    _sources[cls] = content
    return _of_class(cls, kind, f"{cls.__module__}:{cls.__qualname__}")


def _remembered(cls: type) -> bytes:
    """The script or cell, the newest one, in which a class stands; empty if nothing is known."""
    codes = [value.__code__ for value in vars(cls).values() if inspect.isfunction(value)]
    own = [c.co_filename for c in codes if c.co_qualname.startswith(f"{cls.__qualname__}.")]
    script = getattr(sys.modules.get(cls.__module__), "__file__", None)
    cells = [name for name, entry in linecache.cache.items() if entry[1:2] == (None,)]
    places = own or [*filter(None, [script]), *reversed(cells)]
    sources = ("".join(linecache.getlines(place)) for place in places)
    return next((s for s in sources if s and (own or _defines(s, cls.__name__))), "").encode()


def _defines(source: str, name: str) -> bool:
    """Whether a class of this name stands in a source; where no method tells its place."""
    try:
        nodes = ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.ClassDef) and node.name == name for node in nodes)


def base(kind: PluginKind) -> type:
    """The class that plugins of a kind extend."""
    if kind == "method":
        from nas_bench.growth.method import GrowthMethod

        return GrowthMethod
    if kind == "trigger":
        from nas_bench.trials.trigger import Trigger

        return Trigger
    from nas_bench.training.task import Task

    return Task


@functools.cache  # by the search path: reading the metadata of all packages takes 10 ms
def _entries(kind: PluginKind, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    entries = {entry.value: entry for entry in entry_points(group=f"nas_bench.{kind}s")}
    return tuple(entry for _, entry in sorted(entries.items()))


@functools.cache
def _installed(kind: PluginKind, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    return tuple(found for entry in _entries(kind, path) for found in _of_entry(entry, kind))


@functools.cache
def _strangers(kind: PluginKind, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    others = (e for e in _entries(kind, path) if not e.value.startswith("nas_bench."))
    return tuple(found for entry in others for found in _of_entry(entry, kind))


def _keep(module: str) -> None:
    """Remember the content of a module that has just been imported."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file and module not in _executed:
        with suppress(OSError):
            _executed[module] = Path(file).read_bytes()


def _of_entry(entry: EntryPoint, kind: PluginKind) -> Iterator[Plugin]:
    try:
        target = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        yield Plugin(entry.name, kind, None, entry.value, said(error))
        return
    _keep(entry.module)
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            yield Plugin(found.name, kind, None, origin, said(error))
        else:
            _keep(origin)
            yield from _in_module(module, kind, origin)


def _in_module(module: ModuleType, kind: PluginKind, origin: str) -> Iterator[Plugin]:
    """The plugins defined in a module, without the classes that they extend."""
    for cls in _subclasses(module, kind):
        if not _is_a_base(cls):
            yield _of_class(cls, kind, f"{origin}:{cls.__name__}")


def _subclasses(module: ModuleType, kind: PluginKind) -> list[type]:
    """The classes that a module itself defines."""
    classes = [cls for cls in vars(module).values() if inspect.isclass(cls)]
    own = [cls for cls in classes if cls.__module__ == module.__name__]
    return [cls for cls in own if issubclass(cls, base(kind))]


def _is_a_base(cls: type) -> bool:
    """Whether a class is there to be extended: two of abstract, nameless and extended."""
    signs = inspect.isabstract(cls), not hasattr(cls, "name"), bool(cls.__subclasses__())
    return sum(signs) >= 2


def _of_class(cls: type, kind: PluginKind, origin: str) -> Plugin:
    name, error = getattr(cls, "name", None), _flaw(cls, kind)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        name = cls.__name__
    return Plugin(name, kind, None if error else cls, origin, error)


def _flaw(cls: type, kind: PluginKind) -> str | None:
    """What keeps a class from being a plugin."""
    if not issubclass(cls, base(kind)):
        return f"{cls.__name__} is not a subclass of {base(kind).__name__}"
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"{cls.__name__} does not define {missing}"
    return _flaw_of_words(cls) or _flaw_of_options(cls)


def _flaw_of_words(cls: type) -> str | None:
    version = getattr(cls, "version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return f"its version is {version!r}: use a whole number of at least 1"
    for word, example in (("name", _snake_case(cls.__name__)), ("summary", "one line")):
        if not hasattr(cls, word):
            return f'{cls.__name__} has no {word}: add {word}: ClassVar[str] = "{example}"'
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"its name is {name!r}: use letters, digits and _, beginning with a letter"
    return None


def _flaw_of_options(cls: type) -> str | None:
    if "__dataclass_params__" not in vars(cls):
        return f"{cls.__name__} is not decorated with @dataclass(frozen=True)"
    try:
        if bare := options_without_default(cls):
            return f"{cls.__name__} has options without default: {', '.join(bare)}"
        cls()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"{cls.__name__} cannot be made with its default options: {said(error)}"
    return None


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class _Given(SourceLoader):
    """Imports a file whose content is at hand; nothing is written."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = str(path), content

    def get_filename(self, fullname: str) -> str:
        """See the base class."""
        return self.path

    def get_data(self, path: str | bytes) -> bytes:
        """See the base class."""
        if path != self.path:
            raise FileNotFoundError(path)  # there is no bytecode
        return self.content


def _imported(path: Path, content: bytes) -> ModuleType:
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path, loader=_Given(path, content))
    if path.suffix != ".py" or spec is None or spec.loader is None:
        raise InputError(f"plugin file {path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        reason = f"{said(error)}{_hint(error, path)}"
        raise InputError(f"plugin file {path} does not import: {reason}") from error
    _executed[name] = content
    return module


def _hint(error: BaseException, path: Path) -> str:
    """What to do where a plugin file imports one that lies beside it."""
    if not isinstance(error, ImportError):
        return ""
    sibling = path.parent / (error.name or "").partition(".")[0]
    beside = error.name and (sibling.is_dir() or sibling.with_suffix(".py").is_file())
    if not beside and "relative import" not in str(error):
        return ""
    return "; a plugin file stands alone: put all into one file, or make an installed package"
