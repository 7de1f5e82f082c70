"""Which of a network's widths each growth event has changed, and so what the sites are called."""

from collections.abc import Iterable

from nas_bench.results.reading import Run
from nas_bench.trials.messages import GrowthRecord


def changed_places(run: Run) -> list[tuple[GrowthRecord, int | None]]:
    """The growth events, each with the place of the width that it changed; None: not just one."""
    befores = [run.curve[0].widths if run.curve else (), *(event.widths for event in run.growth)]
    found = []
    for event, before in zip(run.growth, befores, strict=False):
        pairs = enumerate(zip(before, event.widths, strict=False))
        changed = [place for place, (old, new) in pairs if old != new]
        found.append((event, changed[0] if len(changed) == 1 else None))
    return found


def site_names(runs: Iterable[Run]) -> list[str | None]:
    """What the sites are called, in the order of the widths; None until one has grown."""
    names: dict[int, str] = {}
    count = 0
    for run in runs:
        count = max(count, len(run.curve[0].widths) if run.curve else 0)
        for event, place in changed_places(run):
            if place is not None:
                names.setdefault(place, event.site)
    return [names.get(place) for place in range(count)]
