"""When a trial grows and towards which widths."""

from collections.abc import Sequence
from itertools import pairwise

from nas_bench.trials.config import Schedule


def milestones(
    schedule: Schedule, seed: Sequence[int], target: Sequence[int]
) -> list[tuple[int, ...]]:
    """The widths after each growth of a same-target experiment.

    They rise linearly from seed to target, rounded to whole neurons, unless the schedule names
    them; the last ones are the target.

    Raises:
        ValueError: if the schedule's widths shrink or do not match the task's.
    """
    if schedule.widths is not None:
        steps = [tuple(seed), *schedule.widths]
        if any(len(w) != len(seed) for w in steps):
            raise ValueError(
                f"schedule.widths has {sorted({len(w) for w in schedule.widths})} widths in a "
                f"step; this task's networks have {len(seed)}"
            )
        for before, after in pairwise(steps):
            if any(b > a for b, a in zip(before, after, strict=True)):
                raise ValueError(f"schedule.widths shrink from {before} to {after}")
        return list(schedule.widths)
    growths = schedule.growths or 1
    return [
        tuple(s + round((t - s) * j / growths) for s, t in zip(seed, target, strict=True))
        for j in range(1, growths + 1)
    ]


def growth_time(schedule: Schedule, done: int) -> float:
    """When the next growth is due after so many, in the schedule's unit."""
    first = schedule.every if schedule.first is None else schedule.first
    return first + done * schedule.every
