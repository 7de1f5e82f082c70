"""What an executor is given, and what it gives back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nas_bench.execution.asha import EarlyStopping
from nas_bench.trials.config import Budget, TrialConfig

if TYPE_CHECKING:
    from nas_bench.execution.devices import Gpus

Sink = Callable[[TrialConfig, dict[str, Any]], None]
"""Takes the messages of trials as they arrive, always in the driver."""
Stopping = Callable[[], bool]
"""Whether no further trial shall begin."""


def never() -> bool:
    """Nobody asks a sweep to end."""
    return False


@dataclass(frozen=True)
class Job:
    """A trial to run.

    Attributes:
        config: what identifies it.
        widths: of a twin: the final hidden widths of its original.
        budget: of a twin: what its original spent.
        device: that trains.
        gpus: it occupies under Ray, fractions allowed.
    """

    config: TrialConfig
    widths: tuple[int, ...] | None = None
    budget: Budget | None = None
    device: str = "cpu"
    gpus: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON-able values."""
        return {
            "config": self.config.model_dump(mode="json"),
            "widths": None if self.widths is None else list(self.widths),
            "budget": None if self.budget is None else self.budget.model_dump(mode="json"),
            "device": self.device,
            "gpus": self.gpus,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Job":
        """The job that `as_dict` wrote."""
        widths, budget = values["widths"], values["budget"]
        return cls(
            TrialConfig.model_validate(values["config"]),
            None if widths is None else tuple(widths),
            None if budget is None else Budget.model_validate(budget),
            values["device"],
            values["gpus"],
        )


@dataclass(frozen=True)
class Settings:
    """How trials run; nothing here changes their results, but whether there is one.

    Attributes:
        data: folder of data sets; None: what each machine's environment says.
        plugins: files of plugins, loaded where trials run.
        contents: of these files, for machines that do not have them; empty: all have.
        definitions: of the plugins that stand in no file, for other processes.
        cpus_per_trial: processors each trial occupies.
        device: that trains: auto, which is decided for each task, or as torch spells it.
        gpus_per_trial: GPUs each trial on a GPU occupies, fractions allowed; None: what its task
            declares.
        max_concurrent: trials at a time, None: as many as there are resources for.
        address: of a running Ray cluster, None: Ray is started on this machine.
        storage: folder or address of checkpoints, None: none are kept.
        lease: of the sweep, which only holds trials that nobody has taken over since.
        checkpoint_every: seconds between checkpoints of a trial.
        timeout: seconds that a trial may run, None: any.
        retries: how often a trial goes on after its machine has failed it.
        early_stopping: of trials that lag behind others of their search; None: all run on.
    """

    data: Path | None = None
    plugins: tuple[Path, ...] = ()
    contents: tuple[bytes, ...] = ()
    definitions: bytes = b""
    cpus_per_trial: float = 1.0
    device: str = "auto"
    gpus_per_trial: float | None = None
    max_concurrent: int | None = None
    address: str | None = None
    storage: str | None = None
    lease: str = ""
    checkpoint_every: float = 60.0
    timeout: float | None = None
    retries: int = 0
    early_stopping: EarlyStopping | None = None

    @property
    def plugin_files(self) -> Iterator[tuple[Path, bytes | None]]:
        """Files of plugins, with their content if it came along."""
        return zip(self.plugins, self.contents or repeat(None), strict=False)

    def shares_device(self, gpus: float) -> bool:
        """Whether trials of so many GPUs may run beside each other on one device.

        Seconds mislead then.
        """
        return self.max_concurrent != 1 and gpus < 1


def is_last(message: dict[str, Any]) -> bool:
    """Whether a trial has ended with this message."""
    return message["type"] in ("failure", "stopped") or bool(message.get("final"))


class Executor(Protocol):
    """Runs jobs; the modules `inline` and `ray_tune` are executors.

    Attributes:
        BEGINNING: what is said before a session, empty where nothing takes time.
    """

    BEGINNING: str

    def session(self, settings: Settings) -> AbstractContextManager[None]:
        """Start what several calls of `execute` share, and stop it at the end."""
        ...

    def gpus(self, settings: Settings) -> "Gpus":
        """The GPUs that trials can get; asked inside a session."""
        ...

    def execute(self, jobs: Sequence[Job], settings: Settings, sink: Sink, stop: Stopping) -> None:
        """Run jobs, handing every message to the sink, until stop says that it is enough.

        The last message of every job that has begun is a record with `final` set, a failure, or
        that it was stopped.

        Raises:
            ExecutionError: if no trial can run at all.
        """
        ...


class ExecutionError(Exception):
    """Why trials cannot run at all, as one clear sentence."""
