"""The cells of a leaderboard as text: the same on the page, in files and on a terminal."""

from nas_bench import text
from nas_bench.report.comparison import Row
from nas_bench.report.contrasts import Contrast
from nas_bench.report.standing import COSTS, Score, Standing
from nas_bench.report.statistics import Interval


def score_parts(score: Score, metric: str) -> tuple[str, str]:
    """The mean, and its interval: `± 0.12`, or its ends where scores cannot be beyond one."""
    mean = score.estimate.mean
    if score.interval is None:
        shown = text.score(mean, None, metric)
    elif score.is_cut:
        shown = text.score_between(mean, _ends(score.interval), metric)
    else:
        shown = text.score(mean, (score.interval.high - score.interval.low) / 2, metric)
    first, _, rest = shown.partition(" ")
    return first, rest


def score(found: Standing, row: Row) -> str:
    """The mean with its interval, † where seeds count as the worst."""
    own = found.scores[row.name]
    shown = " ".join(filter(None, score_parts(own, found.comparison.metric)))
    return f"{shown} †" if own.missing and shown != "–" else shown


def difference_parts(contrast: Contrast, metric: str) -> tuple[str, str]:
    """The mean difference, and the ends of its interval in brackets."""
    ends = contrast.interval and _ends(contrast.interval)
    first, _, rest = text.difference(contrast.difference.mean, ends, metric).partition(" ")
    return first, rest


def difference(contrast: Contrast | None, metric: str) -> str:
    """The difference with its interval, * where it is significant; empty where none was asked."""
    if contrast is None:
        return ""
    shown = " ".join(filter(None, difference_parts(contrast, metric)))
    return f"{shown} *" if contrast.is_significant else shown


def cost(row: Row, name: str) -> str:
    """The mean of a cost over the seeds with a result."""
    mean = row.estimate(COSTS[name]).mean
    return text.duration(mean) if name == "seconds" else text.human(mean)


def growth_share(row: Row) -> str:
    """Growth's part of training and growth."""
    return text.percent(row.growth_share)


def own_neurons(row: Row) -> str:
    """The method's own of the neurons added; empty where none were."""
    return "" if row.own_neurons is None else text.percent(row.own_neurons)


def _ends(interval: Interval) -> text.Ends:
    return interval.low, interval.high
