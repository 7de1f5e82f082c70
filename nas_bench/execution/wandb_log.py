"""Weights & Biases: a run for every trial, logged by the driver; never a reason to stop."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas_bench.trials.config import TrialConfig

if TYPE_CHECKING:
    from wandb import Run

_CURVE = (
    "step",
    "epoch",
    "train_flops",
    "growth_flops",
    "parameters",
    "flops",
    "train_loss",
    "validation_loss",
    "test_loss",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
)
_PATIENCE = 15.0  # seconds for a server to answer
_GROWTH = ("added", "filled", "amplitude", "predicted", "measured")


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
        self._runs: dict[str, Run] = {}
        self._broken = False

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Hear one message of a trial."""
        self._attempt(lambda: self._hear(config, message))

    def close(self) -> None:
        """End the runs of trials that were cut off."""
        for name in list(self._runs):
            run = self._runs.pop(name)
            self._attempt(lambda run=run: run.finish(exit_code=1))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            action()
        except Exception as error:
            self._broken = True
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.warn(f"Warning: wandb failed and is left out from now on ({reason})")

    def _hear(self, config: TrialConfig, message: dict[str, Any]) -> None:
        if config.id not in self._runs:
            self._runs[config.id] = self._begun(config)
        run = self._runs[config.id]
        if message["type"] == "record":
            run.log(_record(message))
        elif message["type"] == "growth":
            values = {f"growth/{message['site']}/{key}": message[key] for key in _GROWTH}
            run.log({"step": message["step"], **values})
        failed = message["type"] == "failure"
        if failed:
            run.summary.update({"status": message["status"], "error": message["message"]})
        if failed or message.get("final"):
            del self._runs[config.id]
            run.finish(exit_code=int(failed))

    def _begun(self, config: TrialConfig) -> "Run":
        import wandb

        logging.getLogger("wandb").setLevel(logging.ERROR)
        self.folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project="nas-bench",
            group=f"{config.protocol}/{config.task}",
            job_type=config.label,
            name=f"{config.task} {config.label} s{config.seed}",
            config={**config.model_dump(mode="json"), "id": config.id},
            dir=self.folder,
            mode=self.mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                init_timeout=_PATIENCE,
                login_timeout=_PATIENCE,
            ),
        )
        run.define_metric("*", step_metric="step")
        return run


def _record(message: dict[str, Any]) -> dict[str, Any]:
    values = {name: message[name] for name in _CURVE if message[name] is not None}
    widths = {f"width/{index}": width for index, width in enumerate(message["widths"])}
    seconds = {f"seconds/{name}": value for name, value in message["seconds"].items()}
    return values | widths | seconds
