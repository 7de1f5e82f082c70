"""What a trial has used of its budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_bench.trials.config import Budget
from nas_bench.trials.messages import Seconds


@dataclass
class Spent:
    """Running totals of a trial; FLOPs are multiply-adds, seconds are by clock."""

    step: int = 0
    samples: int = 0
    train_flops: float = 0.0
    growth_flops: float = 0.0
    trigger_flops: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    def book(self, clock: str, seconds: float) -> None:
        """Add to a clock."""
        self.seconds[clock] = self.seconds.get(clock, 0.0) + seconds

    def book_growth(self, flops: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """Add what a growth cost, by part."""
        self.growth_flops += sum(flops.values())
        for part, duration in seconds.items():
            self.book(part, duration)

    def book_look(self, flops: float, seconds: float) -> None:
        """Add what a look of the trigger cost, which is a part of growth."""
        self.growth_flops += flops
        self.trigger_flops += flops
        self.book("trigger", seconds)

    @property
    def flops(self) -> float:
        """Training and growth."""
        return self.train_flops + self.growth_flops

    def fraction(self, budget: Budget, epoch: float) -> float:
        """How much of a budget is spent, from 0 to 1 (and a last step beyond)."""
        seconds = Seconds(**self.seconds).charged if budget.seconds else 0.0
        return budget.share(epoch=epoch, step=self.step, flops=self.flops, seconds=seconds)

    def exhausts(self, budget: Budget, epoch: float, next_step: float) -> bool:
        """Whether a budget is spent, or a step of so many FLOPs would exceed it."""
        if budget.flops is not None:
            return self.flops + next_step > budget.flops
        return self.fraction(budget, epoch) >= 1 - 1e-9
