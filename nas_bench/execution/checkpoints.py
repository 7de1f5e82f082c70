"""The newest state of a trial, kept so that it goes on after its process has ended."""

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from nas_bench.execution.storage import Storage
from nas_bench.text import text_of

_DIGEST = hashlib.sha256().digest_size


def nothing() -> None:
    """Nobody wants to know of pauses."""


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
    trial, and whoever finds another's lease ends. A checkpoint is an insurance: where it cannot
    be written the trial goes on without, and a remark says so.

    Attributes:
        storage: where, or None to keep nothing.
        trial: identity of the trial.
        lease: of the sweep.
        sources: hashes of the code that decides bits; a state of other code is not gone on from.
        every: seconds between checkpoints.
        timeout: seconds that the trial may run in all attempts together, None: any.
        pausing: called at every pause, before anything is kept.
        remarks: what a person should know of, one clause each.
    """

    storage: Storage | None
    trial: str
    lease: str
    sources: dict[str, str]
    every: float
    timeout: float | None = None
    pausing: Callable[[], None] = nothing
    started: float = field(default_factory=time.monotonic)
    earlier: float = 0.0
    saved: float = field(default_factory=time.monotonic)
    remarks: list[str] = field(default_factory=list)
    _claimed: bool = False
    _failing: bool = False

    def claim(self) -> None:
        """Take the trial over."""
        if self.storage:
            self._attempt(self._claim, self.storage)

    def load(self) -> dict[str, Any] | None:
        """See `Keeper`; None too, with a remark, if what was kept is of no use."""
        place = f"{self.trial}/state.pt"
        try:
            content = self.storage.read(place) if self.storage else None
            if content is None:
                return None
            kept = _unpacked(content)
            trial, sources, elapsed = kept["trial"], kept["sources"], kept["elapsed"]
        except Exception as error:  # whatever damage makes of it, the trial begins anew
            self.remarks.append(f"{place} cannot be read ({_said(error)}): the trial begins anew")
            return None
        if (trial, sources) != (self.trial, self.sources):
            origin = "other code, data or device" if trial == self.trial else "another trial"
            self.remarks.append(f"{place} is of {origin}: the trial begins anew")
            return None
        self.earlier = elapsed
        return kept["state"]

    def pause(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save when it is time, and end the trial if it was asked to end or ran out of time.

        Raises:
            PreemptedError: if the sweep shall end; the state is saved.
            OutOfTimeError: if the time is up; the state is saved.
            LeaseLostError: if another sweep holds the trial.
        """
        self.pausing()
        now = time.monotonic()
        elapsed = self.earlier + now - self.started
        stopping = self.storage is not None and asked_to_stop(self.storage, self.lease)
        late = self.timeout is not None and elapsed > self.timeout
        if self.storage and (stopping or late or now - self.saved >= self.every):
            origin = {"trial": self.trial, "sources": self.sources, "elapsed": elapsed}
            self._attempt(self._save, self.storage, _packed(origin | {"state": state()}))
            self.saved = time.monotonic()
        if stopping:
            raise PreemptedError("the sweep was asked to end; the same command goes on from here")
        if late:
            raise OutOfTimeError(
                f"the trial ran for {elapsed:.0f} s, longer than --timeout {self.timeout:g}; "
                "with a longer one, --rerun failed goes on from here"
            )

    def _claim(self, storage: Storage) -> None:
        storage.write(f"{self.trial}/lease", self.lease.encode())
        self._claimed = True

    def _save(self, storage: Storage, content: bytes) -> None:
        if not self._claimed:
            self._claim(storage)
        if storage.read(f"{self.trial}/lease") != self.lease.encode():
            raise LeaseLostError(f"another sweep has taken trial {self.trial} over")
        storage.write(f"{self.trial}/state.pt", content)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do what may fail; the first time is worth a remark."""
        try:
            action(*arguments)
        except OSError as error:
            if not self._failing:
                reason = error.strerror or _said(error)
                self.remarks.append(f"checkpoints cannot be written ({reason}): going on without")
            self._failing = True
        else:
            self._failing = False


def ask_to_stop(storage: Storage, lease: str) -> None:
    """Have the running trials of a sweep keep their state and end.

    Raises:
        OSError: if the storage cannot be written.
    """
    storage.write(_stop(lease), b"")


def forget_stop(storage: Storage, lease: str) -> None:
    """Remove what `ask_to_stop` wrote.

    Raises:
        OSError: if the storage cannot be written.
    """
    storage.remove(_stop(lease))


def asked_to_stop(storage: Storage, lease: str) -> bool:
    """Whether a sweep was asked to end; not if the storage cannot be read just now."""
    try:
        return storage.read(_stop(lease)) is not None
    except OSError:
        return False


def _stop(lease: str) -> str:
    return f"stop-{lease}"


def _packed(values: dict[str, Any]) -> bytes:
    """Values as bytes behind their SHA-256: torch itself does not see a flipped bit."""
    buffer = io.BytesIO()
    torch.save(values, buffer)
    content = buffer.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> dict[str, Any]:
    """What `_packed` packed; nothing in it is executed.

    Raises:
        ValueError: if it is damaged.
        pickle.UnpicklingError: if it holds anything but tensors and plain values.
    """
    digest, packed = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(packed).digest() != digest:
        raise ValueError("it is damaged")
    return torch.load(io.BytesIO(packed), weights_only=True)


def _said(error: Exception) -> str:
    return text_of(error).splitlines()[0]
