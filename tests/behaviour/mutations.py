"""Small changes of the engine, made to running functions, and the fingerprint that sees each."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """One change.

    Attributes:
        name: what it does.
        function: that is changed.
        old: a part of its source that stands there once.
        new: in its place.
        seen_by: the fingerprint whose numbers move.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seen_by: str


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """The function computes something else inside, wherever it was imported."""
    function = mutation.function
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutation.old) == 1, f"{mutation.name}: {mutation.old!r} is not there once"
    names: dict[str, Any] = {}
    exec(source.replace(mutation.old, mutation.new), function.__globals__, names)
    before = function.__code__
    changed = names[function.__name__]
    while not isinstance(changed, FunctionType):  # behind a decorator
        changed = changed.__wrapped__
    function.__code__ = changed.__code__
    try:
        yield
    finally:
        function.__code__ = before
