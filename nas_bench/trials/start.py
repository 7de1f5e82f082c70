"""What a trial begins with."""

from dataclasses import dataclass
from pathlib import Path

from nas_bench.growth import GrowthMethod
from nas_bench.training.task import Task
from nas_bench.trials.config import Budget, TrialConfig


@dataclass(frozen=True)
class Start:
    """What a trial begins with; its method is None where nothing grows."""

    config: TrialConfig
    budget: Budget
    task: Task
    method: GrowthMethod | None
    widths: tuple[int, ...]
    folder: Path
    device: str
