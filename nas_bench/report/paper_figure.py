"""The figures of papers, drawn of the trials of the protocols that are named after them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_bench.report.axes import AXES, clock_axis, cost_axis, cost_label, score_axis
from nas_bench.report.comparison import Comparison, Measure, Row
from nas_bench.report.curves import View, curve_rows, draw_curves, legend
from nas_bench.report.direct_labels import label_ends, room
from nas_bench.report.figure_layout import LOOKED_AT, Grid, Layout, sheet
from nas_bench.report.questions import twin_of
from nas_bench.report.standing import COSTS
from nas_bench.report.theme import Look, from_scratch, looks, pale
from nas_bench.results.reading import Run
from nas_bench.trials.messages import Record

X = Literal["seconds", "training_flops", "epochs", "steps", "trained"]
Y = Literal["test", "validation", "train", "flops"]


@dataclass(frozen=True)
class PaperFigure:
    """What a figure of a paper shows.

    Attributes:
        source: its number and paper.
        subject: in a few words.
        panels: what each has on its axes: a clock, or before and after training ("trained");
            the score on a split (papers show the test split, which is scored too seldom for a
            curve), or the network's FLOPs per sample.
        twins: how those are matched that stand for the network from scratch, None if none do.
    """

    source: str
    subject: str
    panels: tuple[tuple[X, Y], ...]
    twins: Literal["steps", "flops"] | None = None

    @property
    def both_splits(self) -> bool:
        """Whether scores of training and validation are to be compared, on one linear scale."""
        return {"train", "validation"} <= {y for _, y in self.panels}


_TINY = "Verbockhaven et al. 2024"
_TIMES: tuple[tuple[X, Y], ...] = (
    ("seconds", "validation"), ("epochs", "validation"), ("training_flops", "validation"),
)  # fmt: skip
_COMPLEXITY: tuple[tuple[X, Y], ...] = (("steps", "validation"), ("steps", "flops"))
_PASSES: tuple[tuple[X, Y], ...] = (("trained", "test"),)
_FIGURE_11 = PaperFigure(
    f"figure 11 of {_TINY}",
    "neurons of TINY against random ones",
    (("seconds", "validation"), ("training_flops", "validation")),
)
_FIGURE_12 = PaperFigure(f"figure 12 of {_TINY}", "grown against large", _TIMES)
_FIGURE_13 = PaperFigure(f"figure 13 of {_TINY}", "grown against from scratch", _TIMES, "steps")
FIGURES: Mapping[str, PaperFigure] = {
    "tiny-fig5": PaperFigure(
        f"figure 5 and Algorithm 3 of {_TINY}", "passes of growth, then training", _PASSES
    ),
    "tiny-fig5-resnet": PaperFigure(
        f"figure 5 of {_TINY}", "growth layer by layer, then training", _PASSES
    ),
    "tiny-fig11": _FIGURE_11,
    "tiny-fig11-summed": _FIGURE_11,
    "tiny-fig12": _FIGURE_12,
    "tiny-fig12-summed": _FIGURE_12,
    "tiny-fig13": _FIGURE_13,
    "tiny-fig13-summed": _FIGURE_13,
    "tiny-fig14": PaperFigure(
        f"figure 14 of {_TINY}",
        "grown against from scratch",
        (("steps", "train"), ("steps", "validation")),
        "steps",
    ),
    "tiny-fig15": PaperFigure(f"figure 15 of {_TINY}", "accuracy and complexity", _COMPLEXITY),
    "tiny-fig16": PaperFigure(f"figure 16 of {_TINY}", "accuracy and complexity", _COMPLEXITY),
    "gradmax-student-teacher": PaperFigure(
        "figure 3a of Evci et al. 2022", "a student that grows", (("steps", "train"),)
    ),
}
"""By protocol."""
_FROM_SCRATCH = (0, (3, 1))
_X: Mapping[X, Measure] = {
    "seconds": COSTS["seconds"],
    "training_flops": COSTS["training_flops"],
    "epochs": lambda record: record.epoch,
    "steps": lambda record: record.step,
    "trained": lambda record: float(record.final),
}
_LABELS: Mapping[X, str] = {"epochs": "epochs", "steps": "training steps"}
_ENDS = ("acc₀, after the last growth", "acc∞, after training")


def paper_figure(comparison: Comparison, layout: Layout = LOOKED_AT) -> Figure | None:
    """The paper's figure of a protocol; None for protocols of no figure and without a curve."""
    paper = FIGURES.get(comparison.protocol)
    rows = curve_rows(comparison)
    if paper is None or not rows:
        return None
    twins = _twins(comparison, rows, paper.twins)
    looked = looks(row.name for row in comparison.rows)
    looked |= {twin.name: _faint(looked[name]) for name, twin in twins.items()}
    shown = [*twins.values(), *rows]
    views = [_view(comparison, *panel) for panel in paper.panels]
    heights = [[height for _, height in view.points(shown)] for view in views]
    if not all(heights):
        return None
    entries = legend(rows, looked)
    if twins and paper.twins:
        grey = {"color": "#777777", "linestyle": _FROM_SCRATCH}
        entries.append(Line2D([], [], label=from_scratch(paper.twins), **grey))
    one_height = len({y for _, y in paper.panels}) == 1
    grid = Grid(len(views), across=0.2 if one_height else 0.72, wide=True)
    if layout.direct:
        grid, entries = replace(grid, right=room(rows)), entries[len(rows) :]
    heading = f"As {paper.source}: {paper.subject}"
    says = "mean ± sd over seeds"
    figure, drawn = sheet(comparison.title, grid, entries, says, heading, layout)
    for index, (axes, (x, y)) in enumerate(zip(drawn, paper.panels, strict=True)):
        ends = draw_curves(axes, shown, views[index], looked)
        _x_axis(axes, comparison, x)
        if y == "flops":
            cost_axis(axes, AXES[y], heights[index], "y")
        elif paper.both_splits:
            score_axis(axes, comparison.metric, [*chain(*heights)], y, linear=True)
        else:
            score_axis(axes, comparison.metric, heights[index], y)
        if index and one_height:
            axes.set_ylabel("")
            axes.tick_params(left=False, labelleft=False)
        if layout.direct and axes is drawn[-1]:
            label_ends(axes, ends[len(twins) :], looked)
    return figure


def _twins(comparison: Comparison, rows: Sequence[Row], match: str | None) -> dict[str, Row]:
    """The twins by the names of their rows; a baseline that serves as one is a row itself."""
    found = {row.name: twin_of(comparison, row, match) for row in rows if match}
    return {
        name: twin
        for name, twin in found.items()
        if twin and twin.role == "twin" and any(run.curve for run in twin.runs)
    }


def _faint(look: Look) -> Look:
    return replace(look, colour=pale(look.colour), dash=_FROM_SCRATCH)


def _view(comparison: Comparison, x: X, y: Y) -> View:
    if y == "flops":
        return View(_X[x], COSTS[y], y, holds=True, measured=False)
    score = partial(comparison.score, split=y)
    if x == "trained":
        return View(_X[x], score, comparison.metric, _ends, measured=False)
    return View(_X[x], score, comparison.metric)


def _ends(run: Run) -> list[Record]:
    """The records of acc₀ and acc∞ of Algorithm 3: after the last growth, and the final one."""
    grown, spent = max((event.step for event in run.growth), default=0), run.curve[-1].growth_flops
    before = [r for r in run.curve if r.step <= grown and r.growth_flops == spent]
    ends = [*before[-1:], *(record for record in run.curve if record.final)]
    return ends or list(run.curve[:1])


def _x_axis(axes: Axes, comparison: Comparison, x: X) -> None:
    """As far as curves are drawn."""
    if x == "trained":
        axes.set(xlim=(-0.15, 1.15), xticks=(0, 1), xticklabels=_ENDS)
    else:
        label = _LABELS.get(x) or cost_label(comparison, x)
        clock_axis(axes, label, axes.dataLim.x1)
