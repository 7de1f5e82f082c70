"""Whether two runs of one trial agree: in every bit, or within a stated tolerance."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from nas_bench.results.reading import Run
from nas_bench.results.summary import Summary
from nas_bench.trials.messages import GrowthRecord, Record

ACCURACY_TOLERANCE = 0.03
"""Largest difference of final test accuracies on other machines or code, in [0, 1]."""
LOSS_TOLERANCE = 0.25
"""The same for test losses, of tasks without accuracy, relative to the larger one."""


def differences(one: Run, other: Run) -> list[str]:
    """What differs between two runs, clocks aside; empty where every bit is the same.

    Args:
        one: read whole.
        other: read whole.
    """
    return [
        *_outcomes(one, other),
        *_lists("record", one.curve, other.curve),
        *_lists("growth event", one.growth, other.growth),
    ]


def beyond_tolerance(one: Run, other: Run) -> list[str]:
    """What differs more than processors, threads and library versions explain."""
    first, second = one.result, other.result
    if first is None or second is None:
        return list(_outcomes(one, other))
    if first.test_accuracy is not None and second.test_accuracy is not None:
        gap = abs(first.test_accuracy - second.test_accuracy)
        if gap > ACCURACY_TOLERANCE:
            return [f"the final test accuracies are {gap:.4f} apart"]
        return []
    mine, theirs = first.test_loss, second.test_loss
    if mine is None or theirs is None:
        return [f"the final test losses are {mine} and {theirs}"]
    scale = max(abs(mine), abs(theirs)) or 1.0
    gap = abs(mine - theirs) / scale
    return [f"the final test losses are {gap:.0%} apart"] if gap > LOSS_TOLERANCE else []


def disagreement(one: Run, other: Run) -> tuple[list[str], list[str]]:
    """What two runs of a trial have in different ways, and what differs in what came of them.

    Bits are compared where all that they depend on is the same, else final test scores within
    the tolerance.
    """
    reasons = unlike(one, other)
    return reasons, beyond_tolerance(one, other) if reasons else differences(one, other)


def unlike(one: Summary, other: Summary) -> list[str]:
    """What bits depend on and the two have in different ways; unknown is different."""
    pairs = ((name, _origin(one, name), _origin(other, name)) for name in _ORIGINS)
    return [name for name, mine, theirs in pairs if mine is None or mine != theirs]


def origin(summary: Summary) -> str:
    """Where and when a trial ran, in one line."""
    environment = summary.environment
    cpu, git = environment.get("cpu") or {}, environment.get("git") or {}
    facts = (
        f"finished {summary.finished or 'never'}",
        f"on {cpu.get('model', 'an unknown processor')} ({environment.get('device', '?')})",
        f"{environment.get('instructions', '?')}, threads {environment.get('threads', '?')}",
        f"torch {_origin(summary, 'torch') or '?'}",
        f"commit {str(git.get('commit', '?'))[:10]}{' + changes' * bool(git.get('dirty'))}",
    )
    return ", ".join(facts)


_ORIGINS = ("instructions", "threads", "torch", "device", "method", "task", "core", "data")


def _origin(summary: Summary, name: str) -> Any:
    environment = summary.environment
    if name == "torch":
        return environment.get("packages", {}).get(name)
    if name in ("method", "task", "core"):
        return environment.get("sources", {}).get(name)
    return environment.get(name)


def _outcomes(one: Run, other: Run) -> Iterator[str]:
    if one.status != other.status:
        reasons = f" ({other.reason or one.reason})" if other.reason or one.reason else ""
        yield f"one is {one.status}, the other {other.status}{reasons}"
    elif one.reason != other.reason:
        yield f"one ended with {one.reason!r}, the other with {other.reason!r}"


def _lists(
    noun: str,
    ones: Sequence[Record] | Sequence[GrowthRecord],
    others: Sequence[Record] | Sequence[GrowthRecord],
) -> Iterator[str]:
    """The first difference of two sequences."""
    for number, (mine, theirs) in enumerate(zip(ones, others, strict=False), start=1):
        a, b = asdict(mine), asdict(theirs)
        names = [name for name in a if name != "seconds" and repr(a[name]) != repr(b[name])]
        if names:
            name = names[0]
            yield f"{noun} {number} has {name} {_short(a[name])} and {_short(b[name])}"
            return
    if len(ones) != len(others):
        yield f"one has {len(ones)} {noun}s, the other {len(others)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
