"""Weights & Biases: a run for every trial, logged by the driver; never a reason to stop."""

import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas_bench.results import files
from nas_bench.results.summary import ENDED_WELL
from nas_bench.text import text_of
from nas_bench.trials.config import TrialConfig

if TYPE_CHECKING:
    from wandb import Run

_SCORES = (
    "train_loss",
    "validation_loss",
    "test_loss",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
    "full_validation_loss",
    "full_validation_accuracy",
)
_CURVE = ("step", "epoch", "train_flops", "growth_flops", "parameters", "flops", *_SCORES)
_GROWTH = ("added", "filled", "amplitude", "predicted", "measured", "score")
_PATIENCE = 15.0  # seconds for a server to answer
_LAST_WORDS = 60.0  # seconds for a server to take the end of a run
_IDENTITY = re.compile(r"[a-z0-9-]+")


@dataclass
class _Logged:
    """A run of wandb and how far it is.

    Attributes:
        run: the run.
        rows: how many it has.
        place: of the next message among all that the trial says.
    """

    run: "Run"
    rows: int
    place: int = 0


class WandbLog:
    """Hears the messages of trials and logs them; after an error it says so once and is silent.

    Attributes:
        mode: offline keeps everything in the folder, for `wandb sync`.
        folder: in whose `wandb` folder everything is written.
        warn: takes the sentence about an error.
    """

    def __init__(
        self, mode: Literal["offline", "online"], folder: Path, warn: Callable[[str], None]
    ) -> None:
        self.mode: Literal["offline", "online"] = mode
        self.folder = folder
        self.warn = warn
        self._trials: dict[str, _Logged] = {}
        self._begun_any, self._broken = False, False

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Hear one message of a trial."""
        self._attempt(lambda: self._hear(config, message))

    def close(self) -> None:
        """End the runs of trials that were cut off."""
        cut_off, self._trials = self._trials, {}
        for logged in cut_off.values():
            self._attempt(lambda run=logged.run: _end(run, "preempted"))

    def summarise(
        self, protocol: str, table: Sequence[Mapping[str, Any]], figures: Sequence[Path]
    ) -> None:
        """Log the final table and figures as a run of their own, if trials were logged.

        Args:
            protocol: whose trials were run.
            table: rows with the same names of columns.
            figures: images.
        """
        if self._begun_any:
            self._attempt(lambda: self._summarise(protocol, table, figures))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            action()
        except (Exception, SystemExit) as error:
            self._broken = True
            self._trials.clear()
            _silence()
            reason = text_of(error).splitlines()[0]
            self.warn(f"Warning: wandb failed and is left out from now on ({reason})")

    def _hear(self, config: TrialConfig, message: dict[str, Any]) -> None:
        kind, logged = message["type"], self._trials.get(config.id)
        if kind in ("started", "loaded"):
            if logged and kind == "started":
                logged.place = 0  # another attempt, which says the same again
            return
        if logged is None:
            logged = self._trials[config.id] = self._begun(config, resumed=kind == "resumed")
        if kind == "resumed":
            logged.place = 0
        for each in message["messages"] if kind == "resumed" else [message]:
            _log(logged, each)
        if kind == "failure" or message.get("final"):
            del self._trials[config.id]
            _end(logged.run, message.get("status"), message.get("message"))

    def _summarise(
        self, protocol: str, table: Sequence[Mapping[str, Any]], figures: Sequence[Path]
    ) -> None:
        import pandas as pd
        import wandb

        name = f"{protocol} summary"
        run = self._run(secrets.token_hex(8), group=protocol, job_type="summary", name=name)
        rows = wandb.Table(dataframe=pd.DataFrame(list(table)))
        run.log({"table": rows} | {path.stem: wandb.Image(str(path)) for path in figures})
        run.finish()

    def _begun(self, config: TrialConfig, resumed: bool) -> _Logged:
        """A new run; online, that of the earlier attempt if the trial goes on."""
        note = self.folder / "wandb" / "runs" / config.id
        earlier = _noted(note) if resumed else ""
        known = self.mode == "online" and _IDENTITY.fullmatch(earlier)
        identity = earlier if known else f"{config.id}-{secrets.token_hex(4)}"
        run = self._run(
            identity,
            group=f"{config.protocol}/{config.task}",
            job_type=config.label,
            name=f"{config.task} {config.label} s{config.seed}",
            config={**config.model_dump(mode="json"), "id": config.id},
            resume="allow" if known else None,
        )
        files.own_folder(self.folder, "wandb", "runs")
        files.replace(note, identity.encode())
        self._begun_any = True
        run.define_metric("*", step_metric="step")
        run.define_metric("by_flops/*", step_metric="spent_flops")
        return _Logged(run, run.starting_step)

    def _run(self, identity: str, **values: Any) -> "Run":
        import wandb

        logging.getLogger("wandb").setLevel(logging.ERROR)
        if self.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise PermissionError("no key: log in with wandb login, or use --wandb offline")
        files.own_folder(self.folder, "wandb")
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "nas-bench",
            id=identity,
            dir=self.folder,
            mode=self.mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                init_timeout=_PATIENCE,
                login_timeout=_PATIENCE,
                finish_timeout=_LAST_WORDS,
                finish_timeout_raises=True,
            ),
            **values,
        )


def _noted(note: Path) -> str:
    """What the run of an earlier attempt is called, empty if that is not known."""
    try:
        return files.read(note, 1000).decode(errors="replace")
    except OSError:
        return ""


def _silence() -> None:
    """Keep wandb from writing its own log, which on a full disk would say so until the end."""
    logger = logging.getLogger("wandb")
    logger.setLevel(logging.CRITICAL + 1)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)


def _log(logged: _Logged, message: dict[str, Any]) -> None:
    """Add a row, unless an earlier attempt has logged the same message."""
    if message["type"] not in ("record", "growth"):
        return
    logged.place += 1
    if logged.place > logged.rows:
        logged.run.log(_record(message) if message["type"] == "record" else _growth(message))
        logged.rows += 1


def _end(run: "Run", status: str | None = None, reason: str | None = None) -> None:
    """Finish a run; without a status its trial is ok."""
    if status == "preempted":
        run.mark_preempting()
    run.summary.update({"status": status or "ok", "error": reason})
    run.finish(exit_code=int(status not in (None, *ENDED_WELL)))


def _record(message: dict[str, Any]) -> dict[str, Any]:
    values = {name: message[name] for name in _CURVE if message[name] is not None}
    widths = {f"width/{index}": width for index, width in enumerate(message["widths"])}
    seconds = {f"seconds/{name}": value for name, value in message["seconds"].items()}
    spent = {"spent_flops": message["train_flops"] + message["growth_flops"]}
    by_flops = {f"by_flops/{name}": values[name] for name in _SCORES if name in values}
    return values | widths | seconds | spent | by_flops


def _growth(message: dict[str, Any]) -> dict[str, Any]:
    known = {key: message[key] for key in _GROWTH if message[key] is not None}
    site = {f"growth/{message['site']}/{key}": value for key, value in known.items()}
    return {"step": message["step"], **site}
