"""When a trial grows and towards which widths."""

from collections.abc import Sequence
from itertools import pairwise

from nas_bench.specs import spelled
from nas_bench.trials.config import Schedule


def milestones(
    schedule: Schedule, seed: Sequence[int], target: Sequence[int]
) -> list[tuple[int, ...]]:
    """The widths after each growth of a same-target experiment.

    They rise linearly from seed to target, rounded to whole neurons, unless the schedule names
    them; the last ones are the target.

    Raises:
        ValueError: if widths would shrink, or do not match the task's.
    """
    if schedule.widths is not None:
        steps = [tuple(seed), *schedule.widths]
        for before, after in pairwise(steps):
            if len(after) != len(seed):
                raise ValueError(
                    f"schedule.widths has a step {_spelled(after)}: expected {len(seed)} widths, "
                    "one for every hidden layer that grows"
                )
            if _shrink(before, after):
                raise ValueError(
                    f"schedule.widths shrink from {_spelled(before)} to {_spelled(after)}"
                )
        if steps[-1] != tuple(target):
            raise ValueError(
                f"schedule.widths ends at {_spelled(steps[-1])}, but the target is "
                f"{_spelled(target)}: make them equal"
            )
        return list(schedule.widths)
    if _shrink(seed, target):
        raise ValueError(
            f"the target widths {_spelled(target)} are below the seed widths {_spelled(seed)}"
        )
    growths = schedule.growths or 1
    return [
        tuple(s + round((t - s) * j / growths) for s, t in zip(seed, target, strict=True))
        for j in range(1, growths + 1)
    ]


def growth_time(schedule: Schedule, done: int) -> float:
    """When the next growth is due after so many, in the schedule's unit."""
    first = schedule.every if schedule.first is None else schedule.first
    return first + done * schedule.every


def _shrink(before: Sequence[int], after: Sequence[int]) -> bool:
    return any(b > a for b, a in zip(before, after, strict=True))


def _spelled(widths: Sequence[int]) -> str:
    return spelled(list(widths))
