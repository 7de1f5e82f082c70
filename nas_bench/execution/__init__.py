"""Where trials run: in this process or under Ray Tune, with the same bits."""

import importlib
from typing import Literal, cast

from nas_bench.execution.job import ExecutionError, Executor, Job, Settings, Sink

ExecutorName = Literal["ray", "inline"]
_MODULES = {"ray": "nas_bench.execution.ray_tune", "inline": "nas_bench.execution.inline"}


def executor(name: ExecutorName) -> Executor:
    """The executor of this name, imported only now."""
    if name not in _MODULES:
        raise ExecutionError(f"unknown executor {name!r}: choose ray or inline")
    return cast(Executor, importlib.import_module(_MODULES[name]))


__all__ = ["ExecutionError", "Executor", "ExecutorName", "Job", "Settings", "Sink", "executor"]
