"""Everything a report shows, as JSON-able values: what `report.json` and the page hold."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas_bench.report import cells
from nas_bench.report.answer import answer
from nas_bench.report.comparison import (
    Row,
    comparisons,
    estimate,
)
from nas_bench.report.contrasts import Contrast, settings_apart
from nas_bench.report.curve_content import AXES, curve
from nas_bench.report.footnotes import notes
from nas_bench.report.json_values import interval, number
from nas_bench.report.profiles import profile, relative
from nas_bench.report.published import published_points
from nas_bench.report.questions import twin_of
from nas_bench.report.settings import settings
from nas_bench.report.shipped import departures
from nas_bench.report.standing import (
    Standing,
    costs,
    standing,
    telling_cost,
)
from nas_bench.report.statistics import (
    TESTABLE,
    critical_difference,
    mean_ranks,
)
from nas_bench.report.targets import reached, targets
from nas_bench.report.theme import looks
from nas_bench.report.trial_content import EVENT, STATUSES, Environments, trial
from nas_bench.results.grown_sites import site_names
from nas_bench.results.layout import path_part
from nas_bench.results.reading import Run
from nas_bench.results.staleness import is_stale, newest_data
from nas_bench.results.verified import read_verified
from nas_bench.tuning.history import settings as tuned_settings

SCHEMA = 2


def content(
    runs: Sequence[Run],
    name: str,
    standings: Sequence[Standing] | None = None,
    problems: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What a report of these runs shows.

    Args:
        runs: of a results folder, read whole.
        name: of the folder.
        standings: of the runs' comparisons, where they are known already.
        problems: what is damaged in the folder, one line each; None: what is of the runs.
    """
    environments, data = Environments(), newest_data(runs)
    if standings is None:
        standings = [standing(comparison) for comparison in comparisons(runs)]
    return {
        "schema": SCHEMA,
        "results": name,
        "event_columns": list(EVENT),
        "event_statuses": list(STATUSES),
        "testable_from": TESTABLE,
        "comparisons": [
            _comparison(identity, found, environments, data)
            for identity, found in zip(slugs(standings), standings, strict=True)
        ],
        "across": [_across(group) for group in _groups(standings)],
        "environments": environments.found,
        "problems": _problems(runs) if problems is None else list(problems),
    }


def slugs(standings: Sequence[Standing]) -> list[str]:
    """What links call comparisons, whatever others there are: `lite.v1.free.mnist.9-epochs`."""
    compared = (found.comparison for found in standings)
    parts = ((c.protocol, f"v{c.version}", c.kind, c.task, str(c.budget)) for c in compared)
    return [".".join(path_part(part.replace(" ", "-")) for part in place) for place in parts]


def _problems(runs: Iterable[Run]) -> list[str]:
    return [line for run in runs for line in run.damage]


def _comparison(
    identity: str, found: Standing, environments: Environments, data: Mapping[str, str]
) -> dict[str, Any]:
    comparison = found.comparison
    looked = looks(row.name for row in comparison.rows)
    shared, own = settings(comparison.rows)
    wanted = targets(comparison)
    return {
        "id": identity,
        "title": comparison.title,
        "protocol": comparison.protocol,
        "version": comparison.version,
        "kind": comparison.kind,
        "task": comparison.task,
        "task_name": comparison.task_name or comparison.task,
        "budget": str(comparison.budget),
        "metric": comparison.metric,
        "higher": comparison.higher,
        "seeds": sorted(set().union(*(row.asked for row in comparison.rows))),
        "worst": number(comparison.worst),
        "lacking": list(found.lacking),
        "differing": list(comparison.differing),
        "detectable_gap": number(found.detectable),
        "answer": answer(found),
        "notes": [{"sentence": n.sentence, "items": list(n.items)} for n in notes(found)],
        "best": found.best,
        "cost": telling_cost(comparison),
        "targets": list(wanted),
        "shared_settings": shared,
        "rows": [
            _row(found, row, wanted, environments, data)
            | {"colour": looked[row.name].colour, "marker": looked[row.name].marker}
            | {"own_settings": own_settings}
            for row, own_settings in zip(comparison.rows, own, strict=True)
        ],
        "refused": [{"name": row.name, "reason": row.refusal} for row in comparison.refused],
        **{
            family: [_contrast(found, contrast) for contrast in getattr(found, family)]
            for family in ("pairs", "growing", "against", "attribution")
        },
        "published": published_points(comparison),
        "departures": [departure.model_dump() for departure in departures(comparison)],
    }


def _row(
    found: Standing,
    row: Row,
    wanted: Sequence[float],
    environments: Environments,
    data: Mapping[str, str],
) -> dict[str, Any]:
    comparison, score = found.comparison, found.scores[row.name]
    config = row.config
    of_results = row.estimate(comparison.score)
    return {
        "name": row.name,
        "role": row.role,
        "match": config.twin.match if config and config.twin else None,
        "twins": {
            match: twin.name
            for match in ("steps", "flops")
            if row.role in ("method", "control") and (twin := twin_of(comparison, row, match))
        },
        "settings": row.runs[0].settings_id,
        "rank": [rank.best, rank.worst] if (rank := found.ranks.get(row.name)) else None,
        "is_ranked": row.name in found.ranks,
        "leads": found.leads(row),
        "score": {
            "mean": number(score.estimate.mean),
            "sd": number(score.estimate.sd),
            "interval": interval(score.interval),
            "mean_of_results": number(of_results.mean),
            "text": list(cells.score_parts(score, comparison.metric)),
        },
        "seeds_ok": len(row.results),
        "seeds": len(row.asked),
        "counted_as_worst": list(score.missing),
        "not_run": list(row.not_run),
        "badges": _badges(row, data),
        "costs": {
            name: {"mean": number(value.mean), "sd": number(value.sd)}
            for name, value in ((name, row.estimate(m)) for name, m in costs(row).items())
        },
        "growth_share": number(row.growth_share),
        "own_neurons": number(row.own_neurons),
        "front": {name: found.front[name].get(row.name) for name in costs(row)},
        **_tuning(row),
        "spent": _spent(row),
        "curve": curve(comparison, row),
        "reached": {
            axis: [vars(reached(comparison, row, target, measure)) for target in wanted]
            for axis, measure in AXES.items()
        },
        "site_names": site_names(row.runs),
        "trials": [trial(comparison, run, environments) for run in row.runs],
    }


def _tuning(row: Row) -> dict[str, Any]:
    """The search behind a row, if there was one; FLOPs are those of all its trials."""
    if row.tuning is None or row.config is None:
        return {}
    return {
        "tuning": {
            "configurations": row.tuning.configurations,
            "flops": number(row.tuning.flops),
            "settings": tuned_settings(row.config),
        }
    }


def _badges(row: Row, data: Mapping[str, str]) -> list[str]:
    """What a reader should know before trusting or comparing a row."""
    verified = [found for run in row.runs if run.result and (found := read_verified(run))]
    known = {
        "reproduced": verified and all(found.reproduced for found in verified),
        "not reproduced": any(not found.reproduced for found in verified),
        "incomplete": not row.complete,
        "stale": any(is_stale(run, data) for run in row.runs),
        "mixed behaviour or data": row.mixed,
        "shared device": row.shared,
    }
    return [name for name, holds in known.items() if holds]


def _spent(row: Row) -> dict[str, dict[str, float | None]]:
    """Mean cost by part: FLOPs of training and of growth's parts, and all clocks."""
    done = [run for run in row.runs if run.status == "ok" and run.result]
    flops: dict[str, float] = defaultdict(float)
    clocks: dict[str, float] = defaultdict(float)
    for run in done:
        if run.result:
            flops["train"] += run.result.train_flops / len(done)
            for name, value in vars(run.result.seconds).items():
                clocks[name] += value / len(done)
        for event in run.growth:
            for name, value in event.flops.items():
                flops[name] += value / len(done)
    return {
        "flops": {name: number(value) for name, value in flops.items()},
        "seconds": {name: number(value) for name, value in clocks.items()},
    }


def _contrast(found: Standing, contrast: Contrast) -> dict[str, Any]:
    difference = contrast.difference
    return {
        "question": contrast.question,
        "first": contrast.first,
        "second": contrast.second,
        "pairs": difference.pairs,
        "difference": number(difference.mean),
        "interval": interval(contrast.interval),
        "p": number(difference.p),
        "adjusted": number(contrast.adjusted),
        "detectable": number(contrast.detectable),
        "settings_apart": list(settings_apart(found.comparison, contrast)),
        "text": list(cells.difference_parts(contrast, found.comparison.metric)),
    }


def _groups(standings: Iterable[Standing]) -> list[list[Standing]]:
    """Comparisons that differ in their task alone, where there are several."""
    groups: dict[tuple[Any, ...], list[Standing]] = defaultdict(list)
    for found in standings:
        c = found.comparison
        groups[c.protocol, c.version, c.kind, c.budget].append(found)
    return [group for group in groups.values() if len(group) > 1]


def _across(group: Sequence[Standing]) -> dict[str, Any]:
    """Mean ranks over tasks, of the rows that every task has."""
    first = group[0].comparison
    ranked = [set(found.ranks) for found in group]
    shared = sorted(set.intersection(*ranked))
    higher = {s.comparison.task: s.comparison.higher for s in group}
    scores = {name: {s.comparison.task: s.scores[name].values for s in group} for name in shared}
    known = {n: v for n, v in scores.items() if all(map(_is_known, v.values()))}
    ranks = mean_ranks(known, higher) if len(known) > 1 else {}
    means = {
        name: {task: estimate(list(values.values())).mean for task, values in tasks.items()}
        for name, tasks in known.items()
    }
    distance = critical_difference(means, higher) if len(known) > 1 else None
    return {
        "protocol": first.protocol,
        "version": first.version,
        "kind": first.kind,
        "budget": str(first.budget),
        "budget_name": first.budget_name,
        "tasks": list(higher),
        "ranks": [
            {"name": n, "mean": number(rank.mean), "interval": interval(rank.interval)}
            for n, rank in sorted(ranks.items(), key=lambda item: (item[1].mean, item[0]))
        ],
        "critical_difference": distance
        and {
            "friedman_p": number(distance.friedman_p),
            "distance": number(distance.distance),
            "groups": [list(group) for group in distance.groups],
        },
        "profile": profile(group, list(known)),
        "relative": relative(group, list(known)),
        "not_everywhere": sorted(set.union(*ranked) - set(known)),
    }


def _is_known(values: Mapping[int, float]) -> bool:
    return bool(values) and all(map(math.isfinite, values.values()))
