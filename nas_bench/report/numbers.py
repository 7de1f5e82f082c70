"""Every row of every comparison in plain numbers: `leaderboard.csv`."""

import math
from collections.abc import Iterable

from nas_bench.report.comparison import Row, estimate
from nas_bench.report.contrasts import Contrast
from nas_bench.report.standing import COSTS, WITH_TUNING, Score, Standing, costs
from nas_bench.report.statistics import Interval

Value = str | float | None
_DIFFERENCES = {
    "grown_minus_scratch_steps": "equal steps",
    "grown_minus_scratch_flops": "equal flops",
    "minus_fixed": "against fixed",
    "minus_random_growth": "against random_growth",
}
"""What differences are called, by the question that they answer."""
_NO_SCORE = Score({}, (), estimate([]), None, is_cut=False)


def numbers(standings: Iterable[Standing]) -> list[dict[str, Value]]:
    """One dictionary for each row, twins too: accuracies in percent, shares in [0, 1].

    `test_score` counts seeds without a result as the worst, `test_score_of_results` leaves them
    out; costs are of those with a result. What is not known is None.
    """
    return [
        values
        for found in standings
        for values in (
            *(_numbers(found, row) for row in found.comparison.rows),
            *(_refused(found, row) for row in found.comparison.refused),
        )
    ]


def _refused(found: Standing, row: Row) -> dict[str, Value]:
    """The same of a method that is not applicable: why, and no number."""
    values = _numbers(found, row)
    shared = ("protocol", "version", "kind", "task", "budget", "metric")
    own: dict[str, Value] = {
        "method": row.name,
        "role": row.role,
        "settings_id": row.runs[0].settings_id,
        "seeds": len(row.asked),
        "not_applicable": row.refusal,
    }
    return {name: values[name] if name in shared else own.get(name) for name in values}


def _numbers(found: Standing, row: Row) -> dict[str, Value]:
    comparison, rank = found.comparison, found.ranks.get(row.name)
    score = found.scores.get(row.name, _NO_SCORE)
    twin = row.config.twin if row.config else None
    values: dict[str, Value] = {
        "protocol": comparison.protocol,
        "version": comparison.version,
        "kind": comparison.kind,
        "task": comparison.task_name,
        "budget": str(comparison.budget),
        "method": row.name,
        "role": row.role,
        "twin": twin.match if twin else None,
        "settings_id": row.runs[0].settings_id,
        "rank_best": rank.best if rank else None,
        "rank_worst": rank.worst if rank else None,
        "metric": comparison.metric,
        "test_score": _known(score.estimate.mean),
        "test_score_sd": _known(score.estimate.sd),
        **_ends("test_score", score.interval),
        "test_score_of_results": _known(row.estimate(comparison.score).mean),
        "seeds_ok": len(row.results),
        "seeds": len(row.asked),
        "seeds_counted_as_worst": len(score.missing),
        "shared_device": row.shared,
        "not_applicable": None,
    }
    measures = costs(row)
    for name in (*COSTS, WITH_TUNING):
        value = row.estimate(measures[name]) if name in measures else estimate([])
        values |= {name: _known(value.mean), f"{name}_sd": _known(value.sd)}
    values |= {"growth_share": _known(row.growth_share), "own_neurons": row.own_neurons}
    contrasts = {(c.question, c.first): c for c in (*found.growing, *found.against)}
    for name, question in _DIFFERENCES.items():
        values |= _contrast(name, contrasts.get((question, row.name)))
    return values


def _contrast(name: str, contrast: Contrast | None) -> dict[str, Value]:
    return {
        name: _known(contrast.difference.mean) if contrast else None,
        **_ends(name, contrast.interval if contrast else None),
        f"{name}_p_adjusted": contrast.adjusted if contrast else None,
    }


def _ends(name: str, interval: Interval | None) -> dict[str, Value]:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {f"{name}_ci_low": low, f"{name}_ci_high": high}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
