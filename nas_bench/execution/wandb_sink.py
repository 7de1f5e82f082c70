"""Weights & Biases: one run per trial, logged from the driver, never fatal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas_bench.execution.job import Sink
from nas_bench.trials.config import TrialConfig

if TYPE_CHECKING:
    from wandb import Run

PROJECT = "nas-bench"


@contextmanager
def wandb_sink(mode: Literal["offline", "online"], folder: Path) -> Iterator[Sink]:
    """A sink that logs to wandb; its first error is one warning on stderr, and its last act.

    Args:
        mode: offline writes into the folder only, for `wandb sync`.
        folder: under which wandb makes its own folder `wandb`.
    """
    sink = _WandbSink(mode, folder)
    try:
        yield sink
    finally:
        sink.close()


class _WandbSink:
    def __init__(self, mode: Literal["offline", "online"], folder: Path) -> None:
        self._mode: Literal["offline", "online"] = mode
        self._folder = folder
        self._runs: dict[str, Run] = {}
        self._works = True

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        """Log one message of a trial."""
        if not self._works:
            return
        try:
            self._log(config, message)
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """End the runs of trials that did not end."""
        for run in self._runs.values():
            try:
                run.finish(exit_code=1)
            except Exception as error:
                self._give_up(error)
        self._runs.clear()

    def _log(self, config: TrialConfig, message: dict[str, Any]) -> None:
        if config.id not in self._runs:
            self._runs[config.id] = self._start(config)
        run = self._runs[config.id]
        match message["type"]:
            case "record":
                run.log(_flat(message))
            case "growth":
                run.log({"step": message["step"]} | _flat({"growth": _values(message)}))
            case "failure":
                run.summary.update({key: message[key] for key in ("status", "error", "message")})
        if message["type"] == "failure" or message.get("final"):
            self._runs.pop(config.id).finish(exit_code=0 if message.get("final") else 1)

    def _start(self, config: TrialConfig) -> "Run":
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        run = wandb.init(
            project=PROJECT,
            dir=str(self._folder),
            mode=self._mode,
            group=f"{config.protocol}/{config.task}",
            name=f"{config.label} seed {config.seed}",
            config=config.model_dump(mode="json") | {"trial": config.id},
            reinit="create_new",
            settings=quiet,
        )
        run.define_metric("*", step_metric="step")
        return run

    def _give_up(self, error: Exception) -> None:
        if self._works:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"warning: wandb is off from now on: {reason}", file=sys.stderr)
        self._works = False


def _values(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "type"}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under names such as seconds/train; None and lists of nothing left out."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}/")
        elif value is not None and key != "type":
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
