"""A figure of one or two columns of a paper: panels, with title above and legend below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_bench.report.theme import caption

ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2
"""Widths in inches of one and of two columns of a paper."""
_TOP, _BOTTOM, _LEFT, _RIGHT = 0.28, 0.42, 0.62, 0.16  # inches around the panels
_LINE, _HANDLE, _BETWEEN = 0.145, 0.42, 0.12  # inches of a legend's entries


@dataclass(frozen=True)
class Grid:
    """How the panels of a sheet lie, in inches.

    Attributes:
        columns: panels beside each other.
        rows: panels above each other.
        height: of a panel.
        across: room between columns.
        down: room between rows.
        left: room for the labels of the y axis.
        right: room beside the last column.
        titled: whether panels have titles of their own.
        wide: whether a single panel takes two columns of the paper.
    """

    columns: int = 1
    rows: int = 1
    height: float = 2.2
    across: float = 0.2
    down: float = 0.3
    left: float = _LEFT
    right: float = _RIGHT
    titled: bool = False
    wide: bool = False

    @property
    def width(self) -> float:
        """That of the whole sheet."""
        return TWO_COLUMNS if self.wide or self.columns > 1 else ONE_COLUMN


@dataclass(frozen=True)
class Layout:
    """What a paper asks of a sheet.

    Attributes:
        width: in inches, None: that of the grid.
        titled: whether the sheet has its title and heading; a remark is left to the caption.
        direct: whether rows are named where they are drawn and not in the legend.
    """

    width: float | None = None
    titled: bool = True
    direct: bool = False


LOOKED_AT = Layout()
"""That of figures which are for no paper."""


def sheet(
    title: str,
    grid: Grid,
    entries: Sequence[Artist],
    remark: str = "",
    heading: str = "",
    layout: Layout = LOOKED_AT,
) -> tuple[Figure, list[Axes]]:
    """A figure with its panels, row by row.

    Positions are computed, since matplotlib's own layouts draw everything once more.

    Args:
        title: above all panels; shortened to fit.
        grid: of the panels.
        entries: of the legend, with labels.
        remark: the legend's title.
        heading: a line above the title.
        layout: what a paper asks.
    """
    width = layout.width or grid.width
    remark = "" if layout.direct else remark
    texts = [text for text in (heading, title) if text and layout.titled]
    columns = _legend_columns([str(entry.get_label()) for entry in entries], width)
    lines = math.ceil(len(entries) / columns) + (1 + remark.count("\n")) * bool(remark)
    below = _BOTTOM + lines * _LINE + 0.06
    above = _TOP + _LINE * (len(texts) - 1) if texts else 0.08
    panels = grid.rows * grid.height + (grid.rows - 1) * grid.down
    height = above + 0.16 * grid.titled + panels + below
    figure = Figure(figsize=(width, height))
    inner = width - grid.left - grid.right - (grid.columns - 1) * grid.across
    size = inner / grid.columns, grid.height
    axes = [
        figure.add_axes(
            (
                (grid.left + column * (size[0] + grid.across)) / width,
                (below + (grid.rows - 1 - row) * (size[1] + grid.down)) / height,
                size[0] / width,
                size[1] / height,
            )
        )
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]
    shown = "\n".join(caption(text, round(16 * width)) for text in texts)
    figure.text(0.06 / width, 1 - 0.06 / height, shown, ha="left", va="top", fontsize=8)
    if entries:
        figure.legend(
            handles=entries,
            loc="lower left",
            bbox_to_anchor=(0.06 / width, 0.03 / height),
            borderaxespad=0,
            borderpad=0,
            ncols=columns,
            title=remark or None,
            alignment="left",
            columnspacing=1.2,
            labelspacing=0.3,
            handlelength=2.4,
        )
    return figure, axes


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """The most columns, filled one after the other, in which the labels fit into the width."""
    widths = [_HANDLE + _BETWEEN + inches(label) for label in labels]
    for columns in range(min(len(labels), 6), 1, -1):
        parts = np.array_split(widths, columns)  # as matplotlib fills them
        if sum(map(max, parts)) <= width - 0.1:
            return columns
    return 1


def inches(label: str) -> float:
    """The width of a label, in the size that legends have."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    font.set_size(rcParams["legend.fontsize"], 72)
    font.set_text(label)
    return font.get_width_height()[0] / 64 / 72
