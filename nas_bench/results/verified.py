"""`verified.json`: that a trial was run again, and what came of it."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from nas_bench.results import files
from nas_bench.results.layout import CURVE, VERIFIED
from nas_bench.results.packing import store
from nas_bench.results.reading import Run, checksum


@dataclass(frozen=True)
class Verified:
    """The outcome of running a trial again.

    Attributes:
        id: of the trial.
        curve: SHA-256 of the curve that was compared with.
        reproduced: whether the second run agrees.
        compared: every bit, or final scores within the tolerance.
        because: what differed between the runs' code and machines, if bits were not compared.
        differences: what did not agree.
        when: the second run ended.
        environment: of the second run.
    """

    id: str
    curve: str
    reproduced: bool
    compared: Literal["bits", "tolerance"]
    because: tuple[str, ...]
    differences: tuple[str, ...]
    when: str
    environment: dict[str, Any]


_VERIFIED = TypeAdapter(Verified)


def write_verified(run: Run, verified: Verified) -> None:
    """Store the outcome beside a trial's `run.json`; a pack is written anew with it.

    Raises:
        LedgerError: if it cannot be written.
    """
    content = files.as_json(_VERIFIED.dump_python(verified, mode="json"), indent=1)
    store(run.source, VERIFIED, content)


def read_verified(run: Run) -> Verified | None:
    """The outcome for the result that is there now; None without one, or if it is damaged."""
    try:
        found = _VERIFIED.validate_json(run.source.read(VERIFIED))
        same = found.id == run.id and found.curve == checksum(run.source.read(CURVE))
    except (OSError, ValidationError, ValueError, RecursionError):
        return None
    return found if same else None
