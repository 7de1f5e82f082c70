"""The contract of triggers."""

import math
from itertools import pairwise
from typing import get_args

from torch import nn

from nas_bench.contract.declarations import require_frozen, require_words
from nas_bench.contract.finding import Check, require, run_checks
from nas_bench.contract.settings import random_state
from nas_bench.contract.stages import stages
from nas_bench.growth import Need, measure
from nas_bench.trials.trigger import Growth, Look, Progress, Reading, Trigger, decision

_LOOKS = 60


def check_trigger(trigger: Trigger) -> list[Check]:
    """What a trigger must do on made-up progress and small networks."""
    return run_checks(_CHECKS, trigger)


def _declares_itself(trigger: Trigger) -> None:
    require_words(trigger)
    require_frozen(trigger, "trigger")
    for reading in trigger.reads:
        known = ", ".join(get_args(Reading))
        require(reading in get_args(Reading), f"it reads {reading!r}: choose from {known}")
    require(trigger.samples >= 1, f"its samples are {trigger.samples}, expected at least 1")


def _looks_later_and_later(trigger: Trigger) -> None:
    times = [trigger.time(done, 2.0, 1.0) for done in range(_LOOKS)]
    require(all(map(math.isfinite, times)), "a time of a look is not finite")
    require(times[0] >= 0, f"its first look is at {times[0]:g}, before the start")
    for before, after in pairwise(times):
        require(after > before, f"the look after the one at {before:g} is at {after:g}, not later")


def _measures_what_it_needs(trigger: Trigger) -> None:
    for stage in stages():
        need = trigger.needs(stage.site)
        if need == Need.NOTHING:
            continue
        statistics = measure(
            stage.model, [stage.site], stage.batches, nn.MSELoss(), {stage.site.name: need}
        )[stage.site.name]
        first, second = (float(trigger.measured(statistics)) for _ in range(2))
        require(math.isfinite(first), f"it measured {first} ({stage.name})")
        require(first == second, f"it measured {first}, then {second} of the same ({stage.name})")


def _decides_purely(trigger: Trigger) -> None:
    for progress in _stories(trigger):
        state = random_state()
        first, second = decision(trigger, progress), decision(trigger, progress)
        require(first == second, f"it decided {first}, then {second} after the same progress")
        require(state == random_state(), "it drew from a global generator: use none")


_CHECKS = {
    "declares name, summary, options and readings": _declares_itself,
    "looks later and later": _looks_later_and_later,
    "measures the same finite number twice": _measures_what_it_needs,
    "decides the same twice, True, False or neurons by site": _decides_purely,
}


def _stories(trigger: Trigger) -> list[Progress]:
    """Progress of trials that learn, stand still and have grown, after one look and after many."""
    falling = [1 / (1 + number) for number in range(_LOOKS)]
    found: list[Progress] = []
    for values in (falling, [0.5] * _LOOKS):
        looks = tuple(
            Look(
                trigger.time(number, 2.0, 1.0),
                dict.fromkeys(trigger.reads, value),
                {"first": 4.0, "second": 1.0 + number},
                {"first": 4, "second": 5},
            )
            for number, value in enumerate(values)
        )
        grown = (Growth(looks[5].at, 3), Growth(looks[9].at, 0))
        found += [Progress(looks[:1], ()), Progress(looks, ()), Progress(looks, grown)]
    return found
