"""Figures as a paper needs them: its width, the rows it speaks of, its names, and captions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nas_bench import text
from nas_bench.report import cells
from nas_bench.report.comparison import Comparison, Row, kind_name
from nas_bench.report.contrasts import Contrast
from nas_bench.report.questions import RANDOM
from nas_bench.report.standing import Standing
from nas_bench.specs import InputError, unknown

_MOST = 6  # rows that a panel can name at the ends of their lines
_PARETO = "Means over seeds with 95 % intervals (Student's t); single seeds faint"
_ANYTIME = "Mean ± one standard deviation over the seeds with a result; a dot is an evaluation"
_GROWTH = (
    "Mean width of every site over the seeds with a result; discs are growths, crosses refused"
)
_SUBJECTS = {"anytime": _ANYTIME, "paper": _ANYTIME, "growth": _GROWTH}


@dataclass(frozen=True)
class Paper:
    """What figures for a paper are to look like.

    Attributes:
        width: in inches; None: one or two columns of 3.5 and 7.2 inches.
        rows: names of those shown; empty: all.
        labels: what rows are called, by name.
        titled: whether titles are drawn.
    """

    width: float | None = None
    rows: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    titled: bool = True

    def require(self, standings: Sequence[Standing]) -> None:
        """Refuses names that no comparison has.

        Raises:
            InputError: if there is one.
        """
        known = {row.name for found in standings for row in found.comparison.rows}
        for name in (*self.rows, *self.labels):
            if name not in known:
                raise InputError(unknown("row", name, known))

    def parts(self, found: Standing) -> Iterator[Standing]:
        """The rows shown, at most six at once, controls apart, with their labels.

        The statistics are those of all rows.
        """
        rows = [row for row in found.comparison.rows if not self.rows or row.name in self.rows]
        ranked = [row for row in rows if row.role in ("method", "baseline")]
        controls = [row for row in rows if row.role == "control"]
        twins = [row for row in found.comparison.rows if row.role == "twin"]
        for group in (ranked, controls):
            for start in range(0, len(group), _MOST):
                shown = [*group[start : start + _MOST], *twins]
                named = (replace(row, label=self.labels.get(row.name, "")) for row in shown)
                yield replace(found, comparison=replace(found.comparison, rows=tuple(named)))


def caption(stem: str, found: Standing) -> str:
    """What is under a figure: what it shows, n, the interval, and the tests of what is in it.

    Args:
        stem: what the name of the figure begins with.
        found: with the rows that are shown.
    """
    comparison = found.comparison
    shown = [row for row in comparison.rows if row.role != "twin"]
    says = f"{_place(comparison)}. {_SUBJECTS.get(stem, _PARETO)}; {_seeds(shown)}."
    return " ".join((says, *_tests(found, {row.name for row in shown})))


def _place(comparison: Comparison) -> str:
    where = f"{comparison.protocol} v{comparison.version}, {kind_name(comparison.kind)}"
    return f"{comparison.task_name or comparison.task} ({where}, {comparison.budget_name})"


def _seeds(rows: Sequence[Row]) -> str:
    """`n = 10 seeds, of gradmax 9 with a result`."""
    asked = max((len(row.asked) for row in rows), default=0)
    few = [f"of {_name(row)} {len(row.results)}" for row in rows if not row.complete]
    return ", ".join((f"n = {text.counted(asked, 'seed')}", *few)) + " with a result" * bool(few)


def _tests(found: Standing, names: set[str]) -> Iterator[str]:
    """The differences of the rows shown, with the test that all rows of the comparison had."""
    rows = {row.name: row for row in found.comparison.rows}
    asked: dict[str, list[Contrast]] = {}
    known = set()
    for contrast in (*found.growing, *found.against):
        pair = contrast.first, contrast.second
        if contrast.first in names and contrast.adjusted is not None and pair not in known:
            known.add(pair)
            asked.setdefault(contrast.question, []).append(contrast)
    for question, contrasts in asked.items():
        said = "; ".join(_said(found, c, rows) for c in contrasts)
        title = question.replace("equal flops", "equal FLOPs").replace("against ", "minus ")
        title = title.replace(RANDOM, "random neurons added in the same way")
        title = f"Grown − scratch, {title}" if title.startswith("equal") else title.capitalize()
        yield (
            f"{title}, paired by seed (sign flips, max-T over all rows, simultaneous 95 % "
            f"intervals): {said}."
        )


def _said(found: Standing, contrast: Contrast, rows: Mapping[str, Row]) -> str:
    shown = " ".join(cells.difference_parts(contrast, found.comparison.metric))
    p = text.p_equals(contrast.adjusted if contrast.adjusted is not None else 1.0)
    return f"{_name(rows[contrast.first])} {shown}, {p}"


def _name(row: Row) -> str:
    return row.label or text.one_line(row.name)
