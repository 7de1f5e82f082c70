"""What the process shows and hears while trials run: stdout stays clean, SIGTERM interrupts."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, TextIO

Say = Callable[[str], None]
GRACE = 60.0
"""Seconds that running trials have to keep their state."""
ECHO = 0.5
"""Seconds in which a signal that comes again is the same one: `timeout` and batch systems send
to a process and to its group."""


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


class Stop:
    """Whether the process was asked to end: the first signal asks, the second insists.

    While somebody listens, the first SIGTERM or Ctrl-C only tells them, so that trials can keep
    their state; when they take longer than the grace, or at the second signal, it is raised.
    """

    def __init__(self, grace: float = GRACE) -> None:
        self.grace = grace
        self.signal: int | None = None
        self._heard = -ECHO
        self._listeners: list[Callable[[], None]] = []
        self._insist: threading.Timer | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have the first signal call the listener instead of being raised; raise it at the end."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
            if self._insist:
                self._insist.cancel()
        if self.requested:
            raise KeyboardInterrupt

    def hear(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if number == self.signal and now - self._heard < ECHO:
            return
        first, self.signal, self._heard = self.signal is None, number, now
        if not first or not self._listeners:
            signal.signal(number, signal.SIG_IGN)  # only once, so that clearing up can end
            raise KeyboardInterrupt
        self._insist = threading.Timer(self.grace, os.kill, (os.getpid(), number))
        self._insist.daemon = True
        self._insist.start()
        try:
            for listener in self._listeners:
                listener()
        except OSError:  # nobody can be told
            raise KeyboardInterrupt from None


@contextmanager
def terminable() -> Iterator[Stop]:
    """Hand out what hears SIGTERM and Ctrl-C, and raise Terminated at the end after a SIGTERM.

    In other threads than the main one nothing is heard.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop.hear) for number in numbers}
    try:
        yield stop
    except KeyboardInterrupt:
        if stop.signal == signal.SIGTERM:  # not raised in the handler: Ray would replace it
            raise Terminated from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
