"""How networks grew: the width of every site over training, and the attempts to grow it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.comparison import Comparison, Row
from nas_bench.report.figure_layout import LOOKED_AT, Grid, Layout, sheet
from nas_bench.report.theme import caption, neighbours
from nas_bench.results.grown_sites import changed_places, site_names
from nas_bench.results.reading import Run

_ACCEPTED: dict[str, Any] = {
    "marker": "o", "markersize": 3.2, "markeredgecolor": "white", "markeredgewidth": 0.3,
    "linestyle": "none",
}  # fmt: skip
_REFUSED: dict[str, Any] = {
    "marker": "x", "markersize": 3.4, "markeredgewidth": 0.8, "linestyle": "none",
}  # fmt: skip
_COLUMNS = 3
_DASHES = ("-", (0, (4, 1.2)), (0, (1.2, 1)))
_NOT_REFUSED = ("not chosen", "updated")  # another site was grown, or the weights changed


def growth_figure(comparison: Comparison, layout: Layout = LOOKED_AT) -> Figure | None:
    """One panel for each grown method: mean width of each site over the seeds with a result.

    Discs mark growths and crosses refused ones, fainter where fewer seeds agree; twins do not
    grow. None if nothing grew.
    """
    rows = [row for row in neighbours(comparison.rows) if row.role != "twin"]
    grown = [(row, runs) for row in rows if (runs := _grown(row))]
    if not grown:
        return None
    sites = _sites(run for _, runs in grown for run in runs)
    columns = min(_COLUMNS, len(grown))
    grid = Grid(columns, -(-len(grown) // columns), height=1.5, titled=True)
    says = "mean width over seeds"
    figure, panels = sheet(comparison.title, grid, _entries(sites), says, layout=layout)
    top = max(max(record.widths) for _, runs in grown for run in runs for record in run.curve)
    end = max(run.curve[-1].step for _, runs in grown for run in runs)
    for index, axes in enumerate(panels):
        if index >= len(grown):
            axes.set_axis_off()
            continue
        row, runs = grown[index]
        axes.set(xlim=(-0.02 * end, 1.02 * end), ylim=(0, 1.06 * top))
        axes.set_title(caption(row.label or row.name, 40), fontsize=7.5, pad=3)
        for place in range(len(sites)):
            _draw(axes, runs, place, len(sites))
        lowest = index + columns >= len(grown)
        axes.tick_params(labelleft=index % columns == 0, labelbottom=lowest)
        axes.set_ylabel("width" if index % columns == 0 else "")
        axes.set_xlabel("training steps" if lowest else "")
    return figure


def mean_widths(runs: Sequence[Run], place: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps at which any run's width changes or training ends, and the mean width from each on."""
    paths = [_path(run, place) for run in runs]
    steps = np.unique(np.concatenate([path[0] for path in paths]))
    widths = [w[np.searchsorted(at, steps, side="right") - 1] for at, w in paths]
    return steps, np.mean(widths, axis=0)


def _grown(row: Row) -> list[Run]:
    """The runs with a result that tried to grow."""
    return [run for run in row.runs if run.status == "ok" and run.curve and run.growth]


def _path(run: Run, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and the width of one site from each on."""
    start, end = run.curve[0], run.curve[-1]
    changes = {start.step: start.widths[place]}
    changes |= {event.step: event.widths[place] for event in run.growth}
    changes[end.step] = end.widths[place]
    return np.array(list(changes)), np.array(list(changes.values()))


def _sites(runs: Iterable[Run]) -> list[str]:
    """What the sites are called, in the order of the widths; a number until one has grown."""
    return [name or f"({place})" for place, name in enumerate(site_names(runs), start=1)]


def _draw(axes: Axes, runs: Sequence[Run], place: int, sites: int) -> None:
    runs = [run for run in runs if place < len(run.curve[0].widths)]
    if not runs:
        return
    style = _style(place, sites)
    steps, widths = mean_widths(runs, place)
    axes.plot(steps, widths, drawstyle="steps-post", **style)
    name = _sites(runs)[place]
    growths = Counter(
        event.step for run in runs for event, at in changed_places(run) if at == place
    )
    refused = Counter(
        event.step
        for run in runs
        for event in run.growth
        if event.site == name and not event.added and event.status not in _NOT_REFUSED
    )
    for counts, mark in ((growths, _ACCEPTED), (refused, _REFUSED)):
        for step, seeds in counts.items():
            height = widths[np.searchsorted(steps, step, side="right") - 1]
            opacity = 0.4 + 0.6 * min(1.0, seeds / len(runs))
            axes.plot(step, height, color=style["color"], alpha=opacity, **mark)


def _style(place: int, sites: int) -> dict[str, Any]:
    """From the first site, dark, to the last one, light."""
    share = place / max(sites - 1, 1)
    return {"color": colormaps["viridis"](0.85 * share), "linestyle": _DASHES[place % 3]}


def _entries(sites: Sequence[str]) -> list[Line2D]:
    lines = [
        Line2D([], [], label=f"site {caption(name)}", **_style(place, len(sites)))
        for place, name in enumerate(sites)
    ]
    grey = "#555555"
    lines.append(Line2D([], [], label="grown", color=grey, **_ACCEPTED))
    lines.append(Line2D([], [], label="refused", color=grey, **_REFUSED))
    return lines
