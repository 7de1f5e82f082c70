"""What a report shows of a single trial, and of where trials ran, as JSON-able values."""

import math
from collections.abc import Mapping
from typing import Any, get_args

from nas_bench.report.comparison import Comparison
from nas_bench.report.json_values import all_drawn, drawn, number
from nas_bench.report.standing import COSTS
from nas_bench.results.grown_sites import changed_places
from nas_bench.results.reading import Run
from nas_bench.results.verified import read_verified
from nas_bench.trials.messages import GrowthRecord, Record, SiteStatus

_OF_ONE_TRIAL = ("shared_device", "resumed_at_step", "peak_memory")
"""What an environment says of a trial and not of where it ran."""
_POINTS = 4000
"""Of a curve on the page."""
EVENT = (
    "step", "site", "status", "asked", "proposed", "added", "filled", "gain", "threshold",
    "amplitude", "predicted", "measured", "flops", "index", "width",
)  # fmt: skip
"""Columns of a growth event: site and status are places in their lists, index that of the width
which has changed, gain the largest λ."""
STATUSES: tuple[str, ...] = get_args(SiteStatus)
"""Of growth events."""


class Environments:
    """Where trials ran, each once."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}

    def index(self, environment: Mapping[str, Any]) -> int:
        """The number of an environment, less what it says of one trial alone."""
        kept = {k: v for k, v in environment.items() if k not in (*_OF_ONE_TRIAL, "sources")}
        key = repr(sorted(kept.items()))
        if key not in self._index:
            self._index[key] = len(self.found)
            self.found.append(kept)
        return self._index[key]


def trial(comparison: Comparison, run: Run, environments: Environments) -> dict[str, Any]:
    """Identity, outcome, sizes, costs, validation curve and growth events of one trial."""
    last = run.result or (run.curve[-1] if run.curve else None)
    shown = [*run.curve[: -1 : 1 + len(run.curve) // _POINTS], *run.curve[-1:]]
    return {
        "id": run.id,
        "seed": run.seed,
        "status": run.state,
        "reason": run.reason,
        "folder": run.place,
        "score": number(comparison.score(run.result)) if run.result else None,
        "finished": run.finished,
        "attempts": run.attempts,
        "environment": environments.index(run.environment),
        "sources": run.environment.get("sources", {}),
        "verified": _verified(run),
        **(_measured(last) if last else {}),
        "curve": {
            "step": [record.step for record in shown],
            "score": all_drawn([comparison.score(record, "validation") for record in shown], 4),
        },
        "start": list(run.curve[0].widths) if run.curve else [],
        **_growth(run),
    }


def _verified(run: Run) -> str | None:
    found = read_verified(run) if run.result else None
    if found is None:
        return None
    return f"{'reproduced' if found.reproduced else 'not reproduced'} ({found.compared})"


def _measured(record: Record) -> dict[str, Any]:
    return {
        "steps": record.step,
        "epoch": number(record.epoch),
        "parameters": record.parameters,
        "flops": number(record.flops),
        "train_flops": number(record.train_flops),
        "growth_flops": number(record.growth_flops),
        "seconds": number(COSTS["seconds"](record)),
        "widths": list(record.widths),
    }


def _growth(run: Run) -> dict[str, Any]:
    """Growth events as rows of `event_columns`, and the sites that they name."""
    sites = list(dict.fromkeys(event.site for event in run.growth))
    return {
        "sites": sites,
        "events": [
            _event(event, sites.index(event.site), place) for event, place in changed_places(run)
        ],
    }


def _event(event: GrowthRecord, site: int, changed: int | None) -> list[Any]:
    values = {
        "step": event.step,
        "site": site,
        "status": STATUSES.index(event.status),
        "asked": event.asked,
        "proposed": event.proposed,
        "added": event.added,
        "filled": event.filled,
        "gain": drawn(max(event.gains, default=math.nan)),
        "threshold": drawn(event.threshold),
        "amplitude": drawn(event.amplitude),
        "predicted": drawn(event.predicted),
        "measured": drawn(event.measured),
        "flops": number(math.fsum(event.flops.values())),
        "index": changed,
        "width": None if changed is None else event.widths[changed],
    }
    return [values[column] for column in EVENT]
