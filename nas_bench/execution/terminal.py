"""What the process shows and hears while trials run: stdout stays clean, SIGTERM interrupts."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, TextIO

Say = Callable[[str], None]


class Terminated(KeyboardInterrupt):
    """SIGTERM, as batch systems send it before they kill; like Ctrl-C in all else."""


@contextmanager
def clean_stdout(*, quiet: bool = False) -> Iterator[Say]:
    """Lead what anything prints to stderr, also from C++; hands out what says a line there.

    Args:
        quiet: hide everything that is not said through it, on stderr too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with ExitStack() as stack:
        voice: TextIO | None = None
        if quiet:
            voice = stack.enter_context(os.fdopen(os.dup(2), "w"))
            nowhere = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123 (not a Path)
            stack.enter_context(_led(2, nowhere.fileno()))
        stack.enter_context(_led(1, 2))
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.callback(sys.stderr.flush)
        yield lambda line: print(line, file=voice or sys.stderr, flush=True)


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated at SIGTERM inside; only the first, so that clearing up can end.

    In other threads than the main one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        heard.append(number)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if heard:  # not raised in the handler: Ray would replace it by a KeyboardInterrupt
            raise Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _led(descriptor: int, target: int) -> Iterator[None]:
    """Let one file descriptor be another inside."""
    kept = os.dup(descriptor)
    os.dup2(target, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
