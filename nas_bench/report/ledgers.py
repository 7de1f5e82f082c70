"""Trials of several ledgers in one comparison: whose a row is, and what cannot be compared."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas_bench.results.reading import Run
from nas_bench.text import ranges

FIRST = "the first ledger"


def mark(runs: Sequence[Run]) -> str:
    """What the name of a row ends with where none of its trials is of the first ledger."""
    names = sorted({run.ledger for run in runs})
    return "" if "" in names else f" @ {', '.join(names)}"


def of_shared_seeds(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The trials of the seeds that all ledgers have, and what is left out, one line each.

    A seed that one ledger was never asked for would else count as its failure. Where they share
    none, all trials stay.
    """
    seeds: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        seeds[run.ledger].add(run.seed)
    shared = set.intersection(*seeds.values()) if seeds else set()
    if len(seeds) < 2:
        return list(runs), []
    if not shared:
        return list(runs), [f"no seed is in all ledgers ({_whose(seeds)})"]
    left = {name: found - shared for name, found in seeds.items() if found - shared}
    said = [f"seeds {ranges(found)} of {name or FIRST}: others lack them"
            for name, found in sorted(left.items())]  # fmt: skip
    return [run for run in runs if run.seed in shared], said


def elsewhere(key: tuple[Any, ...], groups: Mapping[Any, Sequence[Run]]) -> Iterator[str]:
    """Other ledgers' trials of the protocol and task, of another version, kind or budget."""
    protocol, version, _, task, budget = key
    own = {run.ledger for run in groups[key]}
    for other, runs in groups.items():
        there = {run.ledger for run in runs}
        if (other[0], other[3]) == (protocol, task) and other != key and there.isdisjoint(own):
            names = ", ".join(name or FIRST for name in sorted(there))
            what = f"version {other[1]}, {other[4]}"
            yield f"{protocol} of {names} is of {what} (here version {version}, {budget})"


def _whose(seeds: Mapping[str, set[int]]) -> str:
    return ", ".join(f"{name or FIRST} {ranges(found)}" for name, found in sorted(seeds.items()))
