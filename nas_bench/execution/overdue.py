"""Trials that do not end when their time is up, since nothing in them looks at the clock."""

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from nas_bench.trials.messages import Failure, as_dict

GRACE = 60.0
"""Seconds that a trial has to come to a pause once its time is up."""


class OverdueError(BaseException):
    """Raised inside a trial, past whatever catches its exceptions."""


def overdue(timeout: float) -> Failure:
    """The row of a trial that has been ended from outside."""
    message = (
        f"the trial was stuck: it did not pause within {GRACE:g} s of --timeout {timeout:g}, and "
        "was ended"
    )
    return Failure("timeout", "OverdueError", message, "")


def ended_in_time(
    messages: Iterator[dict[str, Any]], timeout: float | None
) -> Iterator[dict[str, Any]]:
    """What a trial says, ended by an alarm where it is stuck; in the main thread alone.

    What is stuck in a single call of a library ends when that call returns.
    """
    if timeout is None or threading.current_thread() is not threading.main_thread():
        yield from messages
        return
    deadline = time.monotonic() + timeout + GRACE
    while True:
        try:
            message = _before(deadline, messages)
        except OverdueError:
            yield as_dict(overdue(timeout))
            return
        if message is None:
            return
        if message["type"] == "loaded":
            deadline = time.monotonic() + timeout + GRACE
        yield message


def _before(deadline: float, messages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """The next message, None after the last.

    Raises:
        OverdueError: if it has not come by then.
    """

    def ring(number: int, frame: Any) -> None:
        raise OverdueError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(1e-3, deadline - time.monotonic()))
    try:
        return next(messages, None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
