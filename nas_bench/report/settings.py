"""The settings of a comparison's rows: what all share, and what is each one's own."""

from collections.abc import Sequence
from typing import Any

from nas_bench.report.comparison import Row
from nas_bench.results.staleness import dotted, settings_of

Settings = dict[str, Any]
_OF_ALL = ("protocol", "version", "kind", "task", "method", "seed", "budget", "twin")
"""What makes the comparison or names the row, and is no setting of its own."""


def settings(rows: Sequence[Row]) -> tuple[Settings, list[Settings]]:
    """What all rows have set alike, by dotted name, and what each has set otherwise.

    Recipes and options of methods are the resolved ones, where trials say them; what is not set,
    and so is the protocol's or the task's, is left out.
    """
    found = [_settings(row) for row in rows]
    known = [own for own in found if own]
    first = known[0] if known else {}
    shared = {n: v for n, v in first.items() if all(own.get(n) == v for own in known)}
    return shared, [{n: v for n, v in own.items() if n not in shared} for own in found]


def _settings(row: Row) -> Settings:
    config = row.config
    if config is None:
        return {}
    resolved = next((run.resolved for run in row.runs if run.resolved), {})
    options = dict(dotted(resolved.get("method", {}), "method."))
    recipe = config.recipe | resolved.get("recipe", {})
    values = settings_of(config, recipe)
    kept = {n: v for n, v in values.items() if n.partition(".")[0] not in _OF_ALL}
    return {name: value for name, value in (kept | options).items() if value is not None}
