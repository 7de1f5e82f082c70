"""What a person sees of a growth while it works, on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Said = Callable[[str], None]


def silent(text: str) -> None:
    """Show nothing."""


@contextmanager
def shown(*, wanted: bool) -> Iterator[Said]:
    """Takes what is being done now: one live line on a terminal, else a line each."""
    if not wanted:
        yield silent
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status("") as status:
            yield lambda text: status.update(escape(text))
    else:
        yield line


def line(text: str) -> None:
    """A line that stays."""
    print(text, file=sys.stderr, flush=True)
