"""When a trial grows and towards which widths."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nas_bench.options import WIDEST
from nas_bench.specs import spelled
from nas_bench.trials.config import First, Schedule

if TYPE_CHECKING:
    from nas_bench.growth import GrowthMethod
    from nas_bench.training.task import Task


def start_widths(task: "Task", first: First) -> tuple[int, ...]:
    """The hidden widths of a task from which networks grow."""
    return task.quarter_widths if first == "quarter" else task.seed_widths


def first_widths(task: "Task", method: "GrowthMethod", first: First = "seed") -> tuple[int, ...]:
    """The hidden widths with which a trial of a method begins.

    Args:
        task: whose networks they are.
        method: of the trial.
        first: what stands for the seed network.

    Raises:
        ValueError: if the method names others than the task has.
    """
    start = method.starts_from
    if isinstance(start, str):
        return task.target_widths if start == "target" else start_widths(task, first)
    if len(start) != len(task.seed_widths) or not all(0 < w <= WIDEST for w in start):
        raise ValueError(
            f"{method.name} has the widths {_spelled(start)}, expected {len(task.seed_widths)} "
            f"whole numbers from 1 to {WIDEST}, one for every hidden layer"
        )
    return start


def milestones(
    schedule: Schedule, seed: Sequence[int], target: Sequence[int]
) -> list[tuple[int, ...]]:
    """The widths after each growth of a same-target experiment.

    They rise linearly from seed to target, rounded to whole neurons, unless the schedule names
    them; the last ones are the target. Where sites grow in turn, each growth takes one of them
    a round further.

    Raises:
        ValueError: if widths would shrink, do not match the task's, or sites that grow in turn
            would not grow equally often.
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
    growths, sites = schedule.growths or 1, len(seed)
    if schedule.where != "turn":
        return [_between(seed, target, [j] * sites, growths) for j in range(1, growths + 1)]
    rounds, left = divmod(growths, sites)
    if left:
        raise ValueError(
            f"schedule.growths is {growths}, but {sites} sites grow in turn: take a multiple of "
            f"{sites}"
        )
    done = [[(j + sites - site) // sites for site in range(sites)] for j in range(growths)]
    return [_between(seed, target, counts, rounds) for counts in done]


def first_look(schedule: Schedule) -> float:
    """When the schedule's first look is, in its unit."""
    return schedule.every if schedule.first is None else schedule.first


def growth_time(schedule: Schedule, done: int) -> float:
    """When the next growth is due after so many, in the schedule's unit, at one each look."""
    return first_look(schedule) + done * schedule.every


def _between(
    seed: Sequence[int], target: Sequence[int], done: Sequence[int], rounds: int
) -> tuple[int, ...]:
    """Widths after each site has done so many of its rounds."""
    return tuple(
        s + round((t - s) * j / rounds) for s, t, j in zip(seed, target, done, strict=True)
    )


def _shrink(before: Sequence[int], after: Sequence[int]) -> bool:
    return any(b > a for b, a in zip(before, after, strict=True))


def _spelled(widths: Sequence[int]) -> str:
    return spelled(list(widths))
