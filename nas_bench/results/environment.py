"""Where and with what a trial ran, so that someone else can tell why theirs differs."""

import ast
import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas_bench.discovery import executed

_PACKAGES = ("torch", "torchvision", "ray", "fvcore", "numpy", "pandas")
_FLAGS = ("avx2", "avx512f", "amx_tile", "asimd", "sve")


def environment() -> dict[str, Any]:
    """Versions, checkout and processor, as JSON-able values; imports nothing heavy."""
    model, flags = _processor()
    return {
        "nas_bench": version("nas-bench"),
        "git": _checkout(Path(__file__).parents[2]),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu": {"model": model, "flags": flags, "cores": os.cpu_count()},
    }


def device_class(device: str) -> str:
    """cpu, cuda or mps, of an environment's `device`, which names a GPU by its model."""
    return device if device in ("cpu", "mps") else "cuda"


def source_hash(cls: type) -> str:
    """Sixteen digits for a plugin's module as it was imported; comments and layout don't count.

    Raises:
        ValueError: if it has no source.
    """
    return code_hash(executed(cls))


def code_hash(source: str | bytes) -> str:
    """Sixteen digits for Python code; comments, layout and docstrings don't count."""
    return hashlib.sha256(_code(source).encode()).hexdigest()[:16]


@functools.cache
def core_hash() -> str:
    """Sixteen digits for what decides results besides methods and tasks."""
    package = Path(__file__).parents[1]
    files = [f for part in ("growth", "training", "trials") for f in (package / part).glob("*.py")]
    code = (f"{file.relative_to(package)}\n{_code(file.read_bytes())}" for file in sorted(files))
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]


def _code(source: str | bytes) -> str:
    """The source without comments, layout and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = _without_docstring(node.body)
    return ast.unparse(tree)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest or [ast.Pass()]
    return body


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _checkout(root: Path) -> dict[str, Any] | None:
    """Commit of the checkout the package runs from, and whether its code was changed."""
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if not commit:
        return None
    code = ("nas_bench", "methods", "tasks", "pyproject.toml")
    changes = _git(root, "status", "--porcelain", "--", *code)
    return {"commit": commit, "dirty": bool(changes)}


def _git(root: Path, *arguments: str) -> str | None:
    command = ("git", "-C", str(root), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()


def _processor() -> tuple[str, list[str]]:
    """The CPU's model and those of its instruction sets that change results."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or platform.machine(), []
    lines = [line.partition(":") for line in text.splitlines()]
    facts = {key.strip().lower(): value.strip() for key, _, value in reversed(lines)}
    present = facts.get("flags", facts.get("features", "")).split()
    model = facts.get("model name") or platform.processor() or platform.machine()
    return model, [flag for flag in _FLAGS if flag in present]
