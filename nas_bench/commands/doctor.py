"""`nas-bench doctor`: can trials run on this machine?"""

import importlib
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from nas_bench.commands.parameters import (
    BROKEN,
    OK,
    data_option,
    examples,
    json_option,
    print_json,
    results_folder,
    results_option,
    try_to_write,
    verbose_option,
)
from nas_bench.specs import said

if TYPE_CHECKING:
    from nas_bench.training.task import Task

_EPILOG = examples(
    "nas-bench doctor", "nas-bench doctor --data datasets", "nas-bench doctor --json"
)
_LIBRARIES = ("torch", "torchvision", "ray.tune", "fvcore.nn", "pandas", "matplotlib", "sklearn")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `ok` is None where it is only worth knowing."""

    name: str
    ok: bool | None
    message: str


@click.command(epilog=_EPILOG)
@results_option()
@data_option()
@json_option()
@verbose_option()
def doctor(results: Path | None, data: Path | None, as_json: bool) -> int:
    """Look whether trials can run here, and say what is missing."""
    findings = list(_findings(results_folder(results), data))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        marks = {True: "ok    ", False: "FAILED", None: "      "}
        for finding in findings:
            click.echo(f"{marks[finding.ok]} {finding.name}: {finding.message}")
    return BROKEN if any(finding.ok is False for finding in findings) else OK


def _findings(results: Path, data: Path | None) -> Iterator[Finding]:
    yield Finding("nas-bench", True, f"{version('nas-bench')} in {Path(__file__).parents[1]}")
    python = f"{platform.python_version()} at {sys.executable}"
    yield Finding("python", sys.version_info >= (3, 11), python)
    yield from (_library(name) for name in _LIBRARIES)
    yield _attempt("devices", _devices)
    yield _attempt("wandb", _wandb)
    yield from _plugins()
    yield from _datasets(data)
    yield _writable(results)


def _library(name: str) -> Finding:
    package = name.partition(".")[0]
    try:
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module(name)
    except Exception as error:
        return Finding(name, False, f"does not import ({said(error)})")
    try:
        return Finding(name, True, version({"sklearn": "scikit-learn"}.get(package, package)))
    except PackageNotFoundError:
        return Finding(name, True, "version unknown")


def _attempt(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, None, look())
    except Exception as error:
        return Finding(name, False, said(error))


def _devices() -> str:
    import torch

    count = torch.cuda.device_count()
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count)) or "no GPU"
    return f"{os.cpu_count()} processors, {torch.get_num_threads()} torch threads, {names}"


def _wandb() -> str:
    from importlib.util import find_spec

    if find_spec("wandb") is None:
        return "not installed; only needed for --wandb"
    key = "WANDB_API_KEY" in os.environ or (Path.home() / ".netrc").exists()
    return f"{version('wandb')}, {'a key may be set' if key else 'no key: use --wandb offline'}"


def _plugins() -> Iterator[Finding]:
    from nas_bench import plugins
    from nas_bench.discovery import PluginKind

    for kind in get_args(PluginKind):
        found = plugins.plugins(kind)
        working = [name for name, plugin in found.items() if plugin.cls is not None]
        yield Finding(f"{kind}s", bool(working), ", ".join(working) or "none works")
        for name, plugin in found.items():
            if plugin.error:
                yield Finding(f"{plugin.kind} {name}", None, f"broken: {plugin.error}")


def _datasets(data: Path | None) -> Iterator[Finding]:
    from nas_bench import plugins
    from nas_bench.training.cifar import Cifar
    from nas_bench.training.data import data_folder

    folder = data_folder(data)
    if data is not None and not folder.is_dir():
        yield Finding("data folder", False, f"{folder} is not there: make it, or name another")
    else:
        yield Finding("data folder", None, str(folder))
    read: dict[object, Finding] = {}
    for name, plugin in plugins.tasks().items():
        if plugin.cls is not None:
            task = plugins.task(name)
            same = (type(task).load, task.files) if isinstance(task, Cifar) else task
            if same not in read:
                read[same] = _dataset(task, folder)
            yield replace(read[same], name=f"data of {name}")


def _dataset(task: "Task", folder: Path) -> Finding:
    """Whether a task's data is there, and can be read."""
    from nas_bench.contract import is_present
    from nas_bench.training.soundness import loaded
    from nas_bench.training.task import DataMissingError

    name = f"data of {task.name}"
    if not is_present(task, folder):
        return Finding(name, None, "not there yet")
    try:
        train, test = loaded(task, folder)
    except DataMissingError as error:
        return Finding(name, False, str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # tasks of others may do anything
        return Finding(name, False, said(error))
    return Finding(name, None, f"{len(train)} training and {len(test)} test samples")


def _writable(folder: Path) -> Finding:
    try:
        try_to_write(folder)
    except OSError as error:
        return Finding("results folder", False, f"cannot write {folder}: {error.strerror}")
    return Finding("results folder", True, f"{folder} is writable")
