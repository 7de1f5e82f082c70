"""The run ledger: written by the driver alone, readable by everyone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from nas_bench.results import files
from nas_bench.results.files import LedgerError
from nas_bench.results.garbage_collection import no_garbage
from nas_bench.results.layout import Stray, gathered, pack_of, trial_folder
from nas_bench.results.quarantine import make_way
from nas_bench.results.reading import (
    CURVE,
    GROWTH,
    VERIFIED,
    Run,
    checksum,
    glance,
    read_run,
)
from nas_bench.results.sources import Folder, Packs, Source
from nas_bench.results.summary import PluginFile, Summary, read_summary, summary_bytes
from nas_bench.text import without_homes
from nas_bench.trials.config import TrialConfig
from nas_bench.trials.messages import Failure, GrowthRecord, Record, as_dict

__all__ = ["Ledger", "LedgerError"]

_MESSAGES = {
    "record": TypeAdapter(Record),
    "growth": TypeAdapter(GrowthRecord),
    "failure": TypeAdapter(Failure),
}


class Contents(NamedTuple):
    """What a results folder holds.

    Attributes:
        folder: the results folder.
        runs: its trials, sorted by path; what is wrong with one is in its `problems`.
        lost: packs and folders that cannot be read, with the reason.
        strays: what is no part of the ledger, copies of trials too; folders of it once.
    """

    folder: Path
    runs: list[Run]
    lost: list[Stray]
    strays: list[Stray]

    @property
    def damage(self) -> list[str]:
        """What is wrong with its trials and packs and where they lie, one line each."""
        return [*(line for run in self.runs for line in run.damage), *map(self._line, self.lost)]

    @property
    def aside(self) -> list[str]:
        """What is no part of it, one line each."""
        return list(map(self._line, self.strays))

    def place(self, path: Path) -> str:
        """Where something lies, without the results folder; that itself is `.`."""
        return path.relative_to(self.folder).as_posix()

    def _line(self, stray: Stray) -> str:
        return f"{self.place(stray.path)}: {stray.reason}"


class Ledger:
    """A results folder.

    Each trial has a folder with `run.json`, `curve.jsonl` (records) and `growth.jsonl` (growth
    events), or lies in the pack of its protocol and task, which is only read. Every method that
    writes raises a LedgerError if the system refuses.

    Attributes:
        folder: the results folder; made when the first trial begins.
        command: what was typed to run trials, recorded with each that begins.
        set_aside: where `begin` has moved damaged files.
    """

    def __init__(self, folder: Path, command: Sequence[str] = ()) -> None:
        self.folder, self.command = Path(folder), tuple(command)
        self.set_aside: list[Path] = []
        self._open: dict[str, Summary] = {}
        self._packs = Packs(self.folder)

    def begin(self, config: TrialConfig, environment: dict[str, Any] | None = None) -> None:
        """Starts the files of a trial anew; an earlier attempt leaves only its count.

        Damaged files of an earlier attempt are moved out of the way, into `damaged-<n>`.

        Raises:
            LedgerError: if what lies in its place may be whole but cannot be read, is another
                trial's, or is a pack.
        """
        self.refuse_packed([config])
        self.refuse_unreadable([config])
        folder = self.trial_folder(config)
        with files.writing(folder):
            self.set_aside += make_way(self.folder, folder)
            attempts = _attempts(folder, config) + 1
            folder.mkdir(parents=True, exist_ok=True)
            (folder / VERIFIED).unlink(missing_ok=True)
        files.keep_line_ends(self.folder)
        summary = replace(_new_summary(config, attempts, environment or {}), command=self.command)
        if attempts > 1:  # before its lines go, that nobody takes it for one that has ended
            self._store(config, summary)
        for name in (CURVE, GROWTH):
            files.replace(folder / name, b"")
        self._store(config, summary)

    def write(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Stores one message of a begun trial; `started` begins it, `loaded` adds what it knows.

        Raises:
            LedgerError: if the trial was not begun, or is finished.
        """
        environment = message.get("environment") or {}
        if message["type"] == "started":
            self.begin(config, environment)
            return
        if message["type"] == "loaded":
            self._store(config, _with_provenance(self._begun(config), message))
            return
        if message["type"] == "resumed":
            self._resume(config, message["messages"], message["step"])
            return
        if message["type"] == "stopped":
            self._store(config, _with_stop(self._begun(config), message["message"]))
            return
        value = _MESSAGES[message["type"]].validate_python(message)
        summary = self._begun(config)
        if isinstance(value, Failure):
            self._store(config, _with_failure(summary, value))
            return
        if isinstance(value, Record):
            self._open[summary.id] = _with_record(summary, value)
        name, line = _line(value)
        files.append(self.trial_folder(config) / name, line)

    def finish(self, config: TrialConfig) -> None:
        """Closes a trial: ok if its last record was final, else failed."""
        summary = self._begun(config)
        if summary.status == "running":
            if summary.result is None:
                summary = _with_failure(summary, _NOTHING)
            else:
                summary = replace(summary, status="ok")
        self._close(config, summary)

    def interrupt(self, config: TrialConfig) -> None:
        """Closes a trial that was cut off: it can be run again and has no result."""
        summary = self._begun(config)
        if summary.status == "running":
            summary = replace(summary, status="preempted", result=None)
        self._close(config, summary)

    def status(self, config: TrialConfig) -> str | None:
        """The trial's status, None if it was never begun."""
        run = self.glance(config)
        return run.status if run else None

    def glance(self, config: TrialConfig) -> Run | None:
        """The trial with only its last record read, None if it was never begun."""
        source = self._packs.source(self.trial_folder(config))
        return glance(source) if source else None

    def run(self, config: TrialConfig) -> Run | None:
        """The trial read back, None if it was never begun."""
        return self.run_at(self.trial_folder(config))

    def run_at(self, folder: Path) -> Run | None:
        """The trial of a folder inside the results folder, None if there is none."""
        source = self._packs.source(folder)
        return read_run(source) if source else None

    def seeds(self, config: TrialConfig) -> Iterator[Source]:
        """Where the trials lie that are this one but for the seed, itself included."""
        return self._packs.seeds(self.trial_folder(config).parent)

    def refuse_packed(self, configs: Iterable[TrialConfig]) -> None:
        """Refuse to write trials whose protocol and task are packed.

        Raises:
            LedgerError: naming the pack, with what to do.
        """
        for pack in sorted({pack_of(self.trial_folder(config)) for config in configs}):
            if pack.is_file() and not pack.is_symlink():
                protocol, task = pack.parent.name, pack.stem
                raise LedgerError(
                    f"{pack} is packed, so that nothing can be written there: first "
                    f"`nas-bench unpack {self.folder} --protocol {protocol} --task {task}`"
                )

    def refuse_unreadable(self, configs: Iterable[TrialConfig]) -> None:
        """Refuse to go on where trials may be whole and cannot be read.

        Raises:
            LedgerError: naming the first one, with what helps.
        """
        for config in configs:
            run = self.glance(config)
            if run and run.status == "unreadable":
                raise LedgerError(f"{run.folder} is left as it is: {run.reason}")

    def runs(self) -> list[Run]:
        """Every trial of the folder, sorted by path; damage is in its `problems`."""
        return self.contents().runs

    def glances(self) -> list[Run]:
        """The same, but of trials that ended undamaged only the last record is read."""
        return self.contents(glance).runs

    def contents(self, read: Callable[[Source], Run] = read_run) -> Contents:
        """Every trial of the folder, and what else is there.

        A copy of a trial that lies in its own place too is no trial.

        Args:
            read: what reads a trial, `read_run` or `glance`.
        """
        with no_garbage():
            found = self._packs.sources()
            runs = [read(source) for source in found.trials]
        whole = {run.place for run in runs if run.config and run.status != "damaged"}
        copies = {run.folder: f"it is a copy of {run.elsewhere}" for run in runs
                  if run.status == "unreadable" and run.elsewhere in whole}  # fmt: skip
        kept = [run for run in runs if run.folder not in copies]
        strays = [*found.strays, *(Stray(*pair) for pair in copies.items())]
        needed = [*(run.folder for run in kept), *(path for path, _ in found.lost)]
        return Contents(self.folder, kept, found.lost, gathered(strays, needed, self.folder))

    def trial_folder(self, config: TrialConfig) -> Path:
        """Where the files of a trial lie."""
        return self.folder / trial_folder(config)

    def _resume(self, config: TrialConfig, messages: Sequence[dict[str, Any]], step: int) -> None:
        """Lets the files hold what the trial had said when its checkpoint was made."""
        summary, lines = self._begun(config), {CURVE: b"", GROWTH: b""}
        for message in messages:
            value = _MESSAGES[message["type"]].validate_python(message)
            if isinstance(value, Record):
                summary = _with_record(summary, value)
            name, line = _line(value)
            lines[name] += line
        for name, content in lines.items():
            files.replace(self.trial_folder(config) / name, content)
        environment = summary.environment | {"resumed_at_step": step}
        self._store(config, replace(summary, environment=environment))

    def _begun(self, config: TrialConfig) -> Summary:
        identity = config.id
        if identity not in self._open:
            raise LedgerError(
                f"trial {identity} ({config.label}, seed {config.seed}) is not open: "
                "begin it before writing, and write nothing after its end"
            )
        return self._open[identity]

    def _store(self, config: TrialConfig, summary: Summary) -> None:
        files.replace(self.trial_folder(config) / "run.json", summary_bytes(summary))
        self._open[config.id] = summary

    def _close(self, config: TrialConfig, summary: Summary) -> None:
        folder = self.trial_folder(config)
        with files.writing(folder):
            for name in (CURVE, GROWTH):
                files.synchronise(folder / name)
            sums = {name: checksum(Folder(folder).read(name)) for name in (CURVE, GROWTH)}
        self._store(config, replace(summary, finished=_now(), checksums=sums))
        del self._open[config.id]


def _attempts(folder: Path, config: TrialConfig) -> int:
    """How often the trial of this folder was begun."""
    try:
        earlier = read_summary(Folder(folder))
    except ValueError:
        return 0
    if earlier.id != config.id:
        raise LedgerError(
            f"{folder} holds trial {earlier.id}, not {config.id}: "
            "move it away or choose another folder with --results"
        )
    return earlier.attempts


_NOTHING = Failure("failed", "NoResultError", "the trial ended without a result", "")


def _line(value: Record | GrowthRecord) -> tuple[str, bytes]:
    """The file that a message belongs to, and its line there."""
    line = {key: item for key, item in as_dict(value).items() if key != "type"}
    return CURVE if isinstance(value, Record) else GROWTH, files.as_json(line)


def _new_summary(config: TrialConfig, attempts: int, environment: dict[str, Any]) -> Summary:
    return Summary(
        method=config.method,
        task=config.task,
        protocol=config.protocol,
        seed=config.seed,
        status="running",
        id=config.id,
        settings_id=config.settings_id,
        label=config.label,
        kind=config.kind,
        attempts=attempts,
        started=_now(),
        environment=environment,
        config=config,
    )


def _with_provenance(summary: Summary, message: dict[str, Any]) -> Summary:
    """The summary with what a trial found out about itself once it had loaded everything."""
    found = {
        "environment": summary.environment | message["environment"],
        "behaviour": message.get("behaviour", summary.behaviour),
        "resolved": summary.resolved | message.get("resolved", {}),
        "plugins": {
            kind: PluginFile(**file) for kind, file in message.get("plugins", {}).items()
        } or summary.plugins,
    }  # fmt: skip
    return replace(summary, **found)


def _with_record(summary: Summary, record: Record) -> Summary:
    values = as_dict(record)
    sizes = ("parameters", "flops", "widths")
    costs = ("step", "epoch", "samples", "train_flops", "growth_flops", "seconds")
    return replace(
        summary,
        result=record if record.final else None,
        sizes={key: values[key] for key in sizes},
        costs={key: values[key] for key in costs},
    )


def _with_failure(summary: Summary, failure: Failure) -> Summary:
    error = {
        "error": failure.error,
        "message": without_homes(failure.message),
        "traceback": without_homes(failure.traceback),
    }
    return replace(summary, status=failure.status, result=None, error=error)


def _with_stop(summary: Summary, why: str) -> Summary:
    error = {"error": "StoppedEarly", "message": why, "traceback": ""}
    return replace(summary, status="stopped", result=None, error=error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
