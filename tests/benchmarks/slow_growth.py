"""A plugin: TINY whose growths take their time, so that something can happen inside of them."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Generator

from nas_bench.growth import NewNeurons, SiteStatistics
from nas_bench.methods.tiny import Tiny

MARKS = "NAS_BENCH_CRASHES"
"""Variable with the folder where every growth leaves a mark when it has begun."""
DWELL = 0.1
"""Seconds that a growth takes more than it needs to."""


@dataclass(frozen=True)
class SlowTiny(Tiny):
    """See `Tiny`."""

    name: ClassVar[str] = "slow_tiny"
    summary: ClassVar[str] = "tiny, but its growths take their time"

    def propose(self, statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
        """See the base class."""
        Path(os.environ[MARKS], f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(DWELL)
        return super().propose(statistics, k, generator)
