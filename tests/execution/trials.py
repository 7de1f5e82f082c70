"""Small trials for the tests of the executors."""

from pathlib import Path
from typing import Any

from nas_bench.execution import Job, Settings
from nas_bench.trials.config import Budget, Schedule, TrialConfig

PLUGIN = Path(__file__).parent / "misbehaving.py"
SETTINGS = Settings(plugins=(PLUGIN,))


def config(
    task: str = "digits", method: str = "fixed", seed: int = 0, **values: Any
) -> TrialConfig:
    schedule = Schedule(growths=2, every=15, unit="steps")
    fields = {"protocol": "test", "version": 1, "kind": "same_target", "schedule": schedule}
    budget = Budget(steps=50)
    return TrialConfig(
        **{**fields, "task": task, "method": method, "seed": seed, "budget": budget, **values}
    )


def job(*arguments: Any, **values: Any) -> Job:
    return Job(config(*arguments, **values))


def without_clocks(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages less what may differ between two runs of one trial."""
    return [
        {key: value for key, value in message.items() if key not in ("seconds", "environment")}
        for message in messages
    ]


class Collector:
    """A sink that keeps what it hears, by trial."""

    def __init__(self) -> None:
        self.heard: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, config: TrialConfig, message: dict[str, Any]) -> None:
        self.heard.setdefault(config.id, []).append(message)

    def of(self, job: Job) -> list[dict[str, Any]]:
        return self.heard[job.config.id]
