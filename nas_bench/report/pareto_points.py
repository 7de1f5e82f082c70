"""What Pareto figures show: the methods of a comparison against one cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nas_bench.report.comparison import Comparison, Row
from nas_bench.report.questions import MATCHES, twin_of
from nas_bench.report.standing import Standing, costs
from nas_bench.report.theme import Look, neighbours

_EQUAL = 1.005  # costs whose ratio is below this are called equal


@dataclass(frozen=True)
class Point:
    """One method.

    Attributes:
        row: with its runs.
        cost: mean of the seeds with a result.
        score: mean of the seeds asked.
        low, high: ends of the score's 95 % confidence interval; the score for one seed.
    """

    row: Row
    cost: float
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Plot:
    """What a figure shows: the methods of a comparison against one cost.

    Attributes:
        found: the comparison with its scores.
        cost: name of the cost.
        label: of its axis.
        points: the methods, in the order of the legend.
        twins: by method and match, the same networks trained from scratch.
        published: cost and score of what papers report.
    """

    found: Standing
    cost: str
    label: str
    points: tuple[Point, ...]
    twins: Mapping[tuple[str, str], Point]
    published: tuple[tuple[float, float], ...]

    @property
    def comparison(self) -> Comparison:
        """The comparison shown."""
        return self.found.comparison

    def costs(self, view: Sequence[Point]) -> list[float]:
        """Costs of the view's seeds and of their twins."""
        means = [point.cost for point in self.with_twins(view)]
        return [costs(p.row)[self.cost](r) for p in view for r in p.row.results] + means

    def scores(self, view: Sequence[Point], near: Sequence[Point]) -> list[float]:
        """Scores of the view's seeds and ends of the near points' bars."""
        logarithmic = self.comparison.metric == "loss"
        ends = [end for p in near for end in (p.low, p.high) if end > 0 or not logarithmic]
        means = [point.score for point in self.with_twins(view)]
        return [self.comparison.score(r) for p in view for r in p.row.results] + means + ends

    def with_twins(self, view: Sequence[Point]) -> list[Point]:
        """The points and their twins."""
        names = {point.row.name for point in view}
        return [*view, *(twin for (name, _), twin in self.twins.items() if name in names)]


def are_equal(points: Sequence[Point]) -> bool:
    """Whether costs agree, so that an axis of them would say nothing."""
    costs = [point.cost for point in points]
    return max(costs) < _EQUAL * min(costs)


def agreeing(points: Sequence[Point], point: Point) -> list[Point]:
    """The points whose costs agree with that of one of them, by name and not by score."""
    equal = [p for p in points if are_equal((p, point))]
    return sorted(equal, key=lambda p: p.row.name)


def plotted(
    found: Standing, cost: str, label: str, published: Sequence[Mapping[str, Any]]
) -> Plot:
    """The points of a comparison."""
    rows = [row for row in neighbours(found.comparison.rows) if row.role != "twin"]
    points = tuple(point for row in rows if (point := _point(found, row, cost)))
    twins = {
        (p.row.name, match): point
        for p in points
        for match in MATCHES
        if (point := _twin(found, p.row, match, cost))
    }
    known = tuple((p[cost], p["score"]) for p in published if p.get(cost))
    return Plot(found, cost, label, points, twins, known)


def _point(found: Standing, row: Row, cost: str) -> Point | None:
    """None where there is no result, no such cost, or nothing that a logarithmic axis can show."""
    measure = costs(row).get(cost)
    spent = [measure(record) for record in row.results] if measure else []
    score = found.scores[row.name]
    mean, interval = score.estimate.mean, score.interval
    if not spent or min(spent) <= 0 or not math.isfinite(mean):
        return None
    low, high = (interval.low, interval.high) if interval else (mean, mean)
    return Point(row, fmean(spent), mean, low, high)


def _twin(found: Standing, row: Row, match: str, cost: str) -> Point | None:
    """Where the row's twin is; a baseline that serves as one is a point of its own."""
    twin = twin_of(found.comparison, row, match)
    return _point(found, twin, cost) if twin and twin.role == "twin" else None


def mark(look: Look, size: float = 5.5) -> dict[str, Any]:
    """A row's marker, of about so many points."""
    return {
        "linestyle": "none",
        "marker": look.marker,
        "color": look.colour,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "markersize": size * look.size,
    }
