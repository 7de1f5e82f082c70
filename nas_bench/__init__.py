"""A benchmark harness for neural networks that grow while they train."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_bench.results.frame import load_results

__all__ = ["load_results"]


def __getattr__(name: str) -> Any:
    """`load_results` and `__version__`, imported only when they are used."""
    if name == "load_results":
        from nas_bench.results.frame import load_results

        return load_results
    if name == "__version__":
        from importlib.metadata import version

        return version("nas-bench")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
