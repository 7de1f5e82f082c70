"""Names of rows where they are drawn, instead of a legend."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from nas_bench.report.comparison import Row
from nas_bench.report.figure_layout import inches
from nas_bench.report.pareto_points import Point
from nas_bench.report.theme import Look, legend_name

_LINE, _GAP = 0.125, 0.06  # inches: from a name to the next one, and from a mark to its name
_TEXT = {"fontsize": 7.5, "path_effects": [withStroke(linewidth=2, foreground="white")]}


def room(rows: Iterable[Row]) -> float:
    """Inches that the names need beside the panels."""
    return 2 * _GAP + max(inches(legend_name(row)) for row in rows)


def label_ends(
    axes: Axes, ends: Sequence[tuple[Row, float, float]], looked: Mapping[str, Look]
) -> None:
    """Names to the right of the axes, at the heights where lines end, none on another."""
    height = _size(axes)[1]
    places = {row.name: _share(axes, x, y)[1] * height for row, x, y in ends}
    above = height + _LINE
    for row, _, _ in sorted(ends, key=lambda end: -places[end[0].name]):
        least = _LINE * sum(places[r.name] < places[row.name] for r, _, _ in ends)
        above = max(min(places[row.name], above - _LINE), min(least, above - _LINE))
        _write(axes, row, looked, (1 + _GAP / _size(axes)[0], above / height))


def label_points(axes: Axes, points: Sequence[Point], looked: Mapping[str, Look]) -> None:
    """Names beside their points, where no point and no other name is."""
    width, height = _size(axes)
    centres = [_share(axes, point.cost, point.score) for point in points]
    taken = [_box(x * width, y * height, 0.09, 0.09) for x, y in centres]
    for point, (x, y) in zip(points, centres, strict=True):
        length = inches(legend_name(point.row))
        choices = list(_places(x * width, y * height, length))
        free = [box for box in choices if _is_inside(box, width, height)]
        best = min(free or choices, key=lambda box: sum(box.overlaps(other) for other in taken))
        taken.append(best)
        middle = best.x0 / width, (best.y0 + best.y1) / 2 / height
        _write(axes, point.row, looked, middle)


def _places(x: float, y: float, length: float) -> Iterator[Bbox]:
    """Where a name may stand, the best place first: right, left, above and below its point."""
    right, left = x + _GAP + length / 2, x - _GAP - length / 2
    for up in (0.0, 1.0, -1.0, 2.0, -2.0):
        for centre in (right, left, x) if up else (right, left):
            yield _box(centre, y + up * _LINE, length, _LINE)


def _box(x: float, y: float, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def _is_inside(box: Bbox, width: float, height: float) -> bool:
    return 0 <= box.x0 <= box.x1 <= width and 0 <= box.y0 <= box.y1 <= height


def _size(axes: Axes) -> tuple[float, float]:
    """Width and height in inches."""
    box = axes.get_window_extent()
    return box.width / axes.figure.dpi, box.height / axes.figure.dpi


def _share(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Where something lies, from (0, 0) at the lower left of the axes to (1, 1)."""
    place = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
    return float(place[0]), float(place[1])


def _write(axes: Axes, row: Row, looked: Mapping[str, Look], place: tuple[float, float]) -> None:
    style = {"ha": "left", "va": "center", "color": looked[row.name].colour, **_TEXT}
    axes.annotate(legend_name(row), place, xycoords="axes fraction", **style)
