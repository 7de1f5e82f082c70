"""What figures have drawn."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox


def lines(axes: Axes) -> dict[str, list[Line2D]]:
    """The lines of some axes by colour."""
    found: dict[str, list[Line2D]] = {}
    for line in axes.get_lines():
        found.setdefault(str(line.get_color()), []).append(line)
    return found


def ends(axes: Axes) -> list[tuple[float, float]]:
    """Where the lines of some axes end."""
    return [tuple(np.asarray(line.get_xydata())[-1]) for line in axes.get_lines()]


def entries(figure: Figure) -> list[str]:
    """What the legend says."""
    return [entry.get_text() for entry in figure.legends[0].get_texts()]


def assert_tidy(figure: Figure) -> None:
    """The title is above all panels, the legend below, and all of it on the page."""
    figure.canvas.draw()
    page, (title,), (legend,) = figure.bbox, figure.texts, figure.legends
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.axison]
    outer = Bbox.union([box for box in boxes if box])
    title_box, legend_box = title.get_window_extent(), legend.get_window_extent()
    assert legend_box.y1 <= outer.y0
    assert outer.y1 <= title_box.y0
    whole = Bbox.union([outer, title_box, legend_box])
    assert page.x0 <= whole.x0 < whole.x1 <= page.x1
    assert page.y0 <= whole.y0 < whole.y1 <= page.y1
