"""What `run.json` says of a trial: written by the driver, checked whenever it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError
from pydantic_core import from_json

from nas_bench.behaviour import earlier
from nas_bench.results import files
from nas_bench.results.files import DamagedFileError
from nas_bench.results.layout import RUN, trial_folder
from nas_bench.results.limits import (
    refuse_implausible,
    refuse_implausible_parts,
    refuse_odd_numbers,
    sentence,
)
from nas_bench.results.sources import Source
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Record

Status = Literal[
    "running", "ok", "stopped", "failed", "oom", "timeout", "diverged", "preempted",
    "not applicable", "damaged", "unreadable",
]  # fmt: skip
ENDED_WELL: tuple[Status, ...] = ("ok", "stopped", "not applicable")
"""Of trials that ended, those that are no failures."""
SCHEMA = 2
MACHINE_FAULTS = (
    "DataMissingError", "NoGpuError", "OriginalError", "OtherCopyError", "StorageError",
)  # fmt: skip
"""Errors that say nothing about the method: what they ended is unfinished, not failed."""
_DERIVED = ("label", "method", "task", "protocol", "seed", "kind")


@dataclass(frozen=True)
class PluginFile:
    """A plugin's file: SHA-256 of its bytes, and these as Base64."""

    sha256: str
    base64: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `run.json` holds; the first five fields stay as they are in every version.

    Attributes:
        method: canonical spec of the method, a twin's original's.
        label: what tables call the method; it tells twins apart.
        status: "stopped" early, in a search; "not applicable", as the method refuses a site of
            the task's network, which is no failure. Never written, only read are "damaged" (its
            files are not as a driver wrote them) and "unreadable" (they may be, for others or
            elsewhere).
        result: the record at the end of the budget, only of a trial that is ok.
        sizes: parameters, FLOPs and widths of the last record.
        costs: train and growth FLOPs and the clocks of the last record.
        error: error, message and traceback of a trial without a result.
        attempts: how often the trial was begun.
        behaviour: the versions of core, method and task that ran.
        resolved: every option of method and task and every field of the recipe, defaults too, and
            the kinds of sites of the network.
        command: what was typed.
        plugins: of a method or task that does not come with the package: SHA-256 and content of
            the file as it was executed.
        checksums: SHA-256 of the curve's and the growth events' file when the trial ended.
    """

    method: str
    task: str
    protocol: str
    seed: int
    status: Status
    id: str
    settings_id: str
    label: str
    kind: str
    schema: int = SCHEMA
    attempts: int = 1
    started: str | None = None
    finished: str | None = None
    result: Record | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    behaviour: dict[str, PositiveInt] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    plugins: dict[str, PluginFile] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    config: TrialConfig | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the trial was cut off or could not be tried: the same command runs it again."""
        faulty = self.error is not None and self.error.get("error") in MACHINE_FAULTS
        return faulty or self.status in ("running", "preempted", "damaged")


_SUMMARY = TypeAdapter(Summary)


def summary_bytes(summary: Summary) -> bytes:
    """The content of `run.json`."""
    return files.as_json(_SUMMARY.dump_python(summary, mode="json"), indent=1)


class UnreadableError(ValueError):
    """A `run.json` that may be whole, but cannot be read here; the message says what helps."""


class MisplacedError(ValueError):
    """A `run.json` that is whole and another trial's.

    Attributes:
        summary: what it says.
        place: where it belongs.
    """

    def __init__(self, summary: Summary, place: str) -> None:
        super().__init__(f"run.json is that of another trial, whose place is {place}")
        self.summary, self.place = summary, place


def read_summary(source: Source) -> Summary:
    """The trial's `run.json`.

    Raises:
        UnreadableError: if another version wrote it, or the system refuses.
        MisplacedError: if it is another trial's.
        ValueError: if it is missing or damaged; the message is one sentence.
    """
    try:
        content = source.read(RUN)
        values = upgraded(from_json(content, allow_inf_nan=False))
        refuse_odd_numbers(values)
        summary = _SUMMARY.validate_python(values)
        _refuse_contradictions(summary)
    except FileNotFoundError:
        raise ValueError("run.json is missing") from None
    except DamagedFileError as error:
        raise ValueError(f"run.json cannot be read: {error.strerror}") from None
    except OSError as error:
        raise UnreadableError(f"run.json cannot be read: {error.strerror or error}") from None
    except UnreadableError:
        raise
    except (ValidationError, ValueError, RecursionError) as error:
        raise ValueError(f"run.json is damaged: {sentence(error)}") from None
    if (place := trial_folder(summary)).parts != source.path.parts[-5:]:
        raise MisplacedError(summary, place.as_posix())
    return summary


def _with_behaviour(values: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 has hashes of source text only: what is known of them stands in a table."""
    environment = values.get("environment")
    sources = environment.get("sources") if isinstance(environment, dict) else None
    known, task = earlier(), str(values.get("task")).partition("[")[0]
    core = known.core.get(str(sources.get("core"))) if isinstance(sources, dict) else None
    behaviour = {} if core is None else {"core": core, "method": 1, "task": 1}
    sites = known.sites.get(task)
    return {
        **values,
        "behaviour": behaviour,
        "resolved": {} if sites is None else {"sites": list(sites)},
    }


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _with_behaviour}
"""For each older schema, what turns its values into those of the next one."""


def upgraded(values: Any) -> dict[str, Any]:
    """The values of any schema up to today's, as today's.

    Raises:
        ValueError: if they are of a newer schema, or none at all.
    """
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    schema = values.get("schema", SCHEMA)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ValueError("its schema is not a whole number")
    if schema > SCHEMA or (schema < SCHEMA and schema not in UPGRADES):
        raise UnreadableError(
            f"run.json has schema {schema}, but this nas-bench reads {SCHEMA}: update it"
        )
    while schema < SCHEMA:
        values = UPGRADES[schema](values)
        schema += 1
    return {**values, "schema": SCHEMA}


def _refuse_contradictions(summary: Summary) -> None:
    """Refuse what no driver writes.

    Raises:
        ValueError: naming the field.
    """
    if summary.config is None:
        raise ValueError("it has no config")
    derived = {name: getattr(summary.config, name) for name in _DERIVED}
    derived |= zip(("id", "settings_id"), summary.config.identities(), strict=True)
    for name, value in derived.items():
        if getattr(summary, name) != value:
            raise ValueError(f"its {name} is not that of its config")
    if summary.status in ("damaged", "unreadable"):
        raise ValueError(f"its status is {summary.status}, which is never written")
    if (summary.status == "ok") != (summary.result is not None):
        there = "without" if summary.result is None else "with"
        raise ValueError(f"its status is {summary.status} {there} a result")
    if summary.result:
        refuse_implausible(summary.result)
    refuse_implausible_parts("sizes", summary.sizes)
    refuse_implausible_parts("costs", summary.costs)
    for name, known in (("environment", _Machine), ("resolved", _Resolved)):
        try:
            known.model_validate(getattr(summary, name))
        except ValidationError as error:
            raise ValueError(f"its {name}.{sentence(error)}") from None


class _Machine(BaseModel):
    """What is read of an environment; anything else may be there, too."""

    model_config = ConfigDict(extra="allow", strict=True)

    sources: dict[str, str | None] = {}
    packages: dict[str, str | None] = {}
    cpu: dict[str, Any] | None = None
    git: dict[str, Any] | None = None
    data: str | None = None
    device: str = ""
    instructions: str | None = None
    threads: int | None = None
    shared_device: bool = False


class _Resolved(BaseModel):
    """What is read of a resolved configuration."""

    model_config = ConfigDict(extra="allow", strict=True)

    method: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    sites: list[str] | None = None
