"""Which results come from other code than today's, without importing that code."""

import ast
import functools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from nas_bench.results.environment import code_hash, core_hash
from nas_bench.results.summary import Summary


def is_stale(summary: Summary) -> bool:
    """Whether a trial's method, task or the core was edited since.

    Only the methods and tasks that come with the package can be told; of others, the core.
    """
    stored = summary.environment.get("sources", {})
    if summary.status != "ok" or not stored:
        return False
    today = {
        "core": core_hash(),
        "method": hashes("methods").get(_name(summary.method)),
        "task": hashes("tasks").get(_name(summary.task)),
    }
    return any(stored.get(part, value) != value for part, value in today.items() if value)


@functools.cache
def hashes(package: str) -> dict[str, str]:
    """The hash of the module of each plugin of `nas_bench.methods` or `nas_bench.tasks`."""
    spec = find_spec(f"nas_bench.{package}")
    folders = (spec.submodule_search_locations if spec else None) or ()
    files = (file for folder in folders for file in sorted(Path(folder).glob("*.py")))
    return {name: digest for file in files for name, digest in _of_file(file)}


def _of_file(file: Path) -> Iterator[tuple[str, str]]:
    try:
        source = file.read_text()
        tree = ast.parse(source)
    except (OSError, ValueError, SyntaxError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for name in _names(node):
                yield name, code_hash(source)


def _names(cls: ast.ClassDef) -> Iterator[str]:
    """What a class says its plugin is called."""
    for statement in cls.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name))):
                yield name
            case ast.AnnAssign(target=ast.Name(id="name"), value=ast.Constant(value=str(name))):
                yield name


def _name(spec: str) -> str:
    return spec.partition("[")[0].strip()
