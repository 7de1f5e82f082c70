"""What growing costs: FLOPs and seconds, by part.

FLOPs are multiply-adds at the prices that training has too, decompositions included, so that no
growth is free: an operator without a price is refused.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from nas_bench.training.flop_meter import FlopMeter


def synchronize() -> None:
    """Wait for what GPUs still have to do, so that clocks measure it."""
    if torch.cuda.is_initialized():
        for number in range(torch.cuda.device_count()):
            if torch.cuda.memory_reserved(number):  # of others waiting would claim some
                torch.cuda.synchronize(number)


@dataclass
class CostMeter:
    """Running totals of FLOPs (multiply-adds) and seconds by part of the work."""

    flops: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def charge(self, part: str) -> Iterator[None]:
        """Count what runs inside and book it under a part."""
        synchronize()
        start = time.perf_counter()
        with FlopMeter() as counter:
            yield
        synchronize()
        self.book(part, counter.flops, time.perf_counter() - start)

    def book(self, part: str, flops: float, seconds: float) -> None:
        """Add to the totals of a part."""
        self.flops[part] = self.flops.get(part, 0.0) + flops
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
