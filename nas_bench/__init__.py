"""A benchmark harness for neural networks that grow while they train.

`run`, `plan`, `report` and `compare` do what the commands of these names do; docs/api.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_bench.api.planning import Plan
    from nas_bench.api.results import Results
    from nas_bench.api.verbs import compare, plan, report, run
    from nas_bench.results.frame import load_results
    from nas_bench.specs import CannotRunError, InputError

__all__ = [
    "CannotRunError",
    "InputError",
    "Plan",
    "Results",
    "compare",
    "load_results",
    "plan",
    "report",
    "run",
]
_PLACES = {
    "CannotRunError": "specs",
    "InputError": "specs",
    "Plan": "api.planning",
    "Results": "api.results",
    "compare": "api.verbs",
    "load_results": "results.frame",
    "plan": "api.verbs",
    "run": "api.verbs",
}


def __getattr__(name: str) -> Any:
    """The names above and `__version__`, imported only when they are used."""
    if name == "report":  # the package of this name, which can be called
        return importlib.import_module("nas_bench.report")
    if name in _PLACES:
        return getattr(importlib.import_module(f"nas_bench.{_PLACES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("nas-bench")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
