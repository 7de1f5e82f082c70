"""The newest state of a trial, kept so that it goes on after its process has ended."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from nas_bench.execution.storage import Storage

STOP = "stop"
"""File whose content is the lease of the sweep that shall end."""


class PreemptedError(RuntimeError):
    """The trial was asked to end; it goes on from its checkpoint."""


class OutOfTimeError(RuntimeError):
    """The trial has run for longer than it may."""


class LeaseLostError(RuntimeError):
    """Another sweep has taken this trial over."""


@dataclass
class Checkpoints:
    """Keeps one trial's state in a storage; a `Keeper` of trials.

    Two processes never write the same trial: each sweep has a lease, the newest one holds the
    trial, and whoever finds another's lease ends.

    Attributes:
        storage: where, or None to keep nothing.
        trial: identity of the trial.
        lease: of the sweep.
        sources: hashes of the code that decides bits; a state of other code is not gone on from.
        every: seconds between checkpoints.
        timeout: seconds that the trial may run in all attempts together, None: any.
    """

    storage: Storage | None
    trial: str
    lease: str
    sources: dict[str, str]
    every: float
    timeout: float | None = None
    started: float = field(default_factory=time.monotonic)
    earlier: float = 0.0
    saved: float = field(default_factory=time.monotonic)

    def claim(self) -> None:
        """Take the trial over."""
        if self.storage:
            self.storage.write(f"{self.trial}/lease", self.lease.encode())

    def load(self) -> dict[str, Any] | None:
        """See `Keeper`; None too if what was kept is damaged or was made by other code."""
        content = self.storage.read(f"{self.trial}/state.pt") if self.storage else None
        if content is None:
            return None
        try:
            kept = torch.load(io.BytesIO(content), weights_only=True)
            usable = kept["sources"] == self.sources
        except Exception:  # whatever damage makes of it, the trial begins anew
            return None
        if not usable:
            return None
        self.earlier = kept["elapsed"]
        return kept["state"]

    def pause(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save when it is time, and end the trial if it was asked to end or ran out of time.

        Raises:
            PreemptedError: if the sweep shall end; the state is saved.
            OutOfTimeError: if the time is up; the state is saved.
            LeaseLostError: if another sweep holds the trial.
        """
        now = time.monotonic()
        elapsed = self.earlier + now - self.started
        stopping = self._stopping()
        late = self.timeout is not None and elapsed > self.timeout
        if stopping or late or now - self.saved >= self.every:
            self._save(state(), elapsed)
            self.saved = time.monotonic()
        if stopping:
            raise PreemptedError("the sweep was asked to end; the same command goes on from here")
        if late:
            raise OutOfTimeError(
                f"the trial ran for {elapsed:.0f} s, longer than --timeout {self.timeout:g}; "
                "with a longer one, --rerun failed goes on from here"
            )

    def _stopping(self) -> bool:
        return self.storage is not None and self.storage.read(STOP) == self.lease.encode()

    def _save(self, state: dict[str, Any], elapsed: float) -> None:
        if self.storage is None:
            return
        holder = self.storage.read(f"{self.trial}/lease")
        if holder != self.lease.encode():
            raise LeaseLostError(f"another sweep has taken trial {self.trial} over")
        buffer = io.BytesIO()
        torch.save({"sources": self.sources, "elapsed": elapsed, "state": state}, buffer)
        self.storage.write(f"{self.trial}/state.pt", buffer.getvalue())
