"""The files of all figures: what is drawn of a ledger, under which names."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas_bench.report.comparison import Comparison
from nas_bench.report.for_papers import Paper, caption
from nas_bench.report.standing import COSTS, WITH_TUNING, Standing
from nas_bench.results.layout import path_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nas_bench.report.figure_layout import Layout

FORMATS = ("png", "svg", "pdf")
_COSTS = (*COSTS, WITH_TUNING)
STEMS = (*(f"pareto_{c}" for c in _COSTS), "anytime", "growth", "paper", "critical_differences")
"""What names of figures begin with."""
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""What would change from day to day or between versions."""


def figures(
    standings: Sequence[Standing],
    content: Mapping[str, Any],
    formats: Sequence[str],
    paper: Paper | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files; matplotlib is imported only here.

    Args:
        standings: one for each comparison.
        content: what the report shows.
        formats: of FORMATS.
        paper: what figures are for, which then have captions; None: for looking at.
    """
    if not formats:
        return
    from nas_bench.report.theme import style

    with style():
        for name, figure, said in _drawn(standings, content, paper):
            for kind in formats:
                yield f"{name}.{kind}", _image(figure, kind)
            if said:
                yield f"{name}.txt", f"{said}\n".encode()


def _drawn(
    standings: Sequence[Standing], content: Mapping[str, Any], paper: Paper | None
) -> Iterator[tuple[str, "Figure", str]]:
    """Names, figures and captions, which those for a paper have; the first part is named alone."""
    from nas_bench.report.figure_layout import LOOKED_AT, Layout
    from nas_bench.report.ranks_figure import ranks_figure

    layout = Layout(paper.width, paper.titled, direct=True) if paper else LOOKED_AT
    suffixes = _suffixes([found.comparison for found in standings])
    for found, described, suffix in zip(standings, content["comparisons"], suffixes, strict=True):
        for number, part in enumerate(paper.parts(found) if paper else (found,), start=1):
            named = suffix + f"--part-{number}" * (number > 1)
            for stem, figure in _of(part, described, layout):
                yield stem + named, figure, caption(stem, part) if paper else ""
    groups = [group for group in content["across"] if group["critical_difference"]]
    for group, suffix in zip(groups, _unique(map(_place, groups)), strict=True):
        figure = ranks_figure(group, paper.labels if paper else {}, titled=layout.titled)
        yield f"critical_differences{suffix}", figure, ""


def _of(
    found: Standing, described: Mapping[str, Any], layout: "Layout"
) -> Iterator[tuple[str, "Figure"]]:
    """The figures of a comparison, by what their names begin with."""
    from nas_bench.report.axes import cost_label
    from nas_bench.report.curves import anytime_figure
    from nas_bench.report.growth_figure import growth_figure
    from nas_bench.report.paper_figure import paper_figure
    from nas_bench.report.pareto import pareto_figure

    for cost in _COSTS:
        published = described["published"] if cost == "parameters" else ()
        label = cost_label(found.comparison, cost)
        if figure := pareto_figure(found, cost, label, published, layout):
            yield f"pareto_{cost}", figure
    for stem, draw in (
        ("anytime", anytime_figure),
        ("growth", growth_figure),
        ("paper", paper_figure),
    ):
        if figure := draw(found.comparison, layout):
            yield stem, figure


def _suffixes(compared: Sequence[Comparison]) -> list[str]:
    """What figures of several comparisons add to their names; nothing for a single one."""
    return _unique((*_place(vars(c)), c.task) for c in compared)


def _place(values: Mapping[str, Any]) -> tuple[str, ...]:
    return values["protocol"], values["kind"], f"v{values['version']}", str(values["budget"])


def _unique(places: Iterable[tuple[str, ...]]) -> list[str]:
    """Suffixes of the parts in which the places differ; without version and budget if they can."""
    full = list(places)
    if len(full) == 1:
        return [""]
    short = [(*place[:2], *place[4:]) for place in full]
    shared = Counter(short)
    parts = [
        (*brief, *place[2:4]) if shared[brief] > 1 else brief
        for place, brief in zip(full, short, strict=True)
    ]
    return ["".join(f"--{path_part(part.replace(' ', '-'))}" for part in name) for name in parts]


def _image(figure: "Figure", kind: str) -> bytes:
    """The figure's file, without anything that changes from day to day."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()
