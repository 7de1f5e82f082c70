"""The standard streams of a command: closed, full or narrow ones never decide how it ends."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any, TextIO, cast

Say = Callable[[str], None]
_voices: list[Say] = []  # of the blocks of `clean_stdout` that are open


class OutputError(Exception):
    """Why what was to be printed cannot be, as one clear sentence."""


def prepare() -> None:
    """Open streams that are closed, and have `?` stand for what an encoding lacks.

    Files that are opened later would otherwise get the numbers of closed streams, and what
    anything prints would end there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the least free number
    sys.stdout = cast("TextIO", Output(_lenient(sys.stdout, 1)))
    sys.stderr = cast("TextIO", Remarks(_lenient(sys.stderr, 2)))


def finish() -> None:
    """Lead what others print at the very end, when everything of ours is written, to stderr."""
    with suppress(OutputError):
        sys.stdout.flush()
    os.dup2(2, 1)


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
            spoken = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace")
            voice = cast("TextIO", Remarks(stack.enter_context(spoken)))
            nowhere = stack.enter_context(open(os.devnull, "wb"))  # noqa: PTH123
            stack.enter_context(_led(2, nowhere.fileno()))
        stack.enter_context(_led(1, 2))
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.callback(sys.stderr.flush)

        def say(line: str) -> None:
            print(line, file=voice or sys.stderr, flush=True)

        _voices.append(say)
        stack.callback(_voices.pop)
        yield say


def last_words(line: str) -> None:
    """Say a line on stderr from any thread, before the process ends at once."""
    say = _voices[-1] if _voices else lambda line: print(line, file=sys.stderr, flush=True)
    say(line)


class Remarks:
    """A text stream for what is only worth knowing: once it cannot be written it is lost.

    Attributes:
        lost: whether that has happened.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.lost = stream, False

    def write(self, text: str) -> int:
        """Write, or lose what was to be written."""
        if text == "":  # click tries this out, and /dev/full takes not even nothing
            return 0
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or lose what waited."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.lost = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # past this stream, where click writes if its encoding is ASCII
            raise AttributeError(name)
        return getattr(self._stream, name)


class Output(Remarks):
    """A text stream for what was asked for: that it cannot be written is said once.

    Where nobody reads it any more, as behind `head`, it is lost.
    """

    def _fail(self, error: OSError) -> None:
        super()._fail(error)
        if not isinstance(error, BrokenPipeError):
            reason = f"what was to be printed cannot be written: {error.strerror}"
            raise OutputError(reason) from error


def _lenient(stream: TextIO | None, descriptor: int) -> TextIO:
    """The stream, or a new one, which shows `?` for what it cannot."""
    if stream is None:
        return open(descriptor, "w", encoding="utf-8", closefd=False)
    cast("Any", stream).reconfigure(errors="replace")
    return stream


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
