"""What the process hears while a verb runs: SIGTERM, SIGHUP and Ctrl-C interrupt."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

GRACE = 60.0
"""Seconds that running trials have to keep their state."""
ECHO = 0.5
"""Seconds in which a signal that comes again is the same one: `timeout` and batch systems send
to a process and to its group."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as batch systems send it before they kill, or SIGHUP, when a terminal goes away.

    Its text is the name of the signal; like Ctrl-C in all else.
    """


class Stop:
    """Whether the process was asked to end: the first signal asks, the second insists.

    While somebody listens, the first SIGTERM, SIGHUP or Ctrl-C only tells them, so that trials
    can keep their state; when they take longer than the grace, or at the second signal, it is
    raised.
    """

    def __init__(self, grace: float = GRACE) -> None:
        self.grace = grace
        self.signal: int | None = None
        self._heard = -ECHO
        self._listeners: list[Callable[[], None]] = []
        self._insist: threading.Timer | None = None
        self._other = sys.unraisablehook

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @property
    def error(self) -> KeyboardInterrupt:
        """As what the signal that has come is raised in the end."""
        if self.signal in (None, signal.SIGINT):
            return KeyboardInterrupt()
        return Terminated(signal.Signals(self.signal).name)

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have the first signal call the listener instead of being raised; raise it at the end."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
            self.forget()
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
        self._send_after(self.grace, number)
        try:
            for listener in self._listeners:
                listener()
        except OSError:  # nobody can be told
            raise KeyboardInterrupt from None

    def lost(self, ignored: Any) -> None:
        """Send the signal again that was raised where nothing can be, as in `__del__`."""
        if self.signal is None or not isinstance(ignored.exc_value, KeyboardInterrupt):
            self._other(ignored)
            return
        signal.signal(self.signal, self.hear)
        self._send_after(ECHO, self.signal)

    def forget(self) -> None:
        """Send no signal that was to be sent later."""
        if self._insist:
            self._insist.cancel()

    def _send_after(self, seconds: float, number: int) -> None:
        self.forget()
        self._insist = threading.Timer(seconds, os.kill, (os.getpid(), number))
        self._insist.daemon = True
        self._insist.start()


@contextmanager
def terminable() -> Iterator[Stop]:
    """Hand out what hears SIGTERM, SIGHUP and Ctrl-C, and raise Terminated after the first two.

    In other threads than the main one nothing is heard, nor is a SIGHUP that the process was
    started to ignore, as by `nohup`.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,)))
    before = {number: signal.signal(number, stop.hear) for number in numbers}
    sys.unraisablehook, unraisable = stop.lost, sys.unraisablehook
    try:
        yield stop
        if stop.signal not in (None, signal.SIGINT):  # and was lost, or ended a watch
            raise stop.error
    except (KeyboardInterrupt, TypeError, SystemError):  # compiled code makes these of the first
        if stop.requested:
            raise stop.error from None  # not in the handler: Ray would replace it
        raise
    finally:
        stop.forget()
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)
