"""The report of a results folder: one table and three figures for each comparison."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from nas_bench.report import table, text
from nas_bench.report.comparison import Comparison, comparisons
from nas_bench.results import files
from nas_bench.results.files import LedgerError
from nas_bench.results.ledger import Ledger
from nas_bench.results.paths import path_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURES = ("pareto_flops", "pareto_parameters", "learning_curves")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        markdown: the content of `table.md`.
        tables: the same for a rich console, one for each comparison, then the note on them.
        numbers: the rows of `table.csv`.
        paths: every file, tables first.
        problems: damage found in the ledger, one line each.
    """

    markdown: str
    tables: tuple[RenderableType, ...]
    numbers: tuple[dict[str, str | float], ...]
    paths: tuple[Path, ...]
    problems: tuple[str, ...]


class UnwrittenError(LedgerError):
    """A report that could not be written.

    Attributes:
        report: what it says, with the paths of those files that were written.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def write(folder: Path) -> Report:
    """Writes `table.md`, `table.csv` and the figures into the folder's `report/`.

    The same ledger gives the same bytes. Figures of comparisons that are gone are removed.

    Raises:
        LedgerError: if there is nothing to report.
        UnwrittenError: if the report cannot be written; it holds the report.
    """
    runs = Ledger(folder).runs()
    compared = comparisons(runs)
    problems = tuple(table.problems(runs))
    if not compared:
        detail = (
            f"none of its trials can be read; {problems[0]}" if problems else "it has no trials"
        )
        raise LedgerError(f"nothing to report in {folder}: {detail}")
    report = Report(
        markdown=_markdown(compared, problems),
        tables=(*map(table.terminal, compared), Text(table.NOTE, style="dim")),
        numbers=tuple(table.numbers(compared)),
        paths=(),
        problems=problems,
    )
    paths: list[Path] = []
    try:
        for path in _store(Path(folder) / "report", report, compared):
            paths.append(path)
    except LedgerError as error:
        raise UnwrittenError(str(error), replace(report, paths=tuple(paths))) from error
    return replace(report, paths=tuple(paths))


def _store(target: Path, report: Report, compared: Sequence[Comparison]) -> Iterator[Path]:
    """Writes the files, tables first; each path after its file is there."""
    with files.writing(target):
        target.mkdir(exist_ok=True)
        _remove_figures(target)
        for name, content in chain(_tables(report), _figures(compared)):
            files.replace(target / name, content)
            yield target / name


def _tables(report: Report) -> Iterator[tuple[str, bytes]]:
    """Names and contents; pandas is imported only here."""
    import pandas as pd

    yield "table.md", report.markdown.encode()
    csv = pd.DataFrame(list(report.numbers)).to_csv(index=False, lineterminator="\n")
    yield "table.csv", csv.encode()


def _markdown(compared: Sequence[Comparison], problems: Sequence[str]) -> str:
    sections = ["# Results\n", *map(table.markdown, compared), f"{table.NOTE}\n"]
    if problems:
        lines = "\n".join(f"- {text.markdown(line)}" for line in problems)
        sections.append(f"## Problems in the ledger\n\n{lines}\n")
    return "\n".join(sections)


def _remove_figures(target: Path) -> None:
    for name in _FIGURES:
        for suffix in ("png", "svg"):
            for path in (target / f"{name}.{suffix}", *target.glob(f"{name}--*.{suffix}")):
                path.unlink(missing_ok=True)


def _figures(compared: Sequence[Comparison]) -> Iterator[tuple[str, bytes]]:
    """Names and contents; matplotlib is imported only here."""
    from nas_bench.report.curves import curves_figure
    from nas_bench.report.look import style
    from nas_bench.report.pareto import pareto_figure

    for comparison, suffix in zip(compared, _suffixes(compared), strict=True):
        with style():
            drawn = (
                pareto_figure(comparison, lambda record: record.flops, "FLOPs per sample"),
                pareto_figure(comparison, lambda record: record.parameters, "parameters"),
                curves_figure(comparison),
            )
            for name, figure in zip(_FIGURES, drawn, strict=True):
                if figure:
                    yield f"{name}{suffix}.png", _image(figure, "png")
                    yield f"{name}{suffix}.svg", _image(figure, "svg")


def _suffixes(compared: Sequence[Comparison]) -> list[str]:
    """What figures of several comparisons add to their names; nothing for a single one."""
    if len(compared) == 1:
        return [""]
    names = [(c.protocol, c.kind, c.task) for c in compared]
    shared = Counter(names)
    more = [
        (f"v{c.version}", c.budget.replace(" ", "-")) if shared[name] > 1 else ()
        for c, name in zip(compared, names, strict=True)
    ]
    parts = [(*name, *extra) for name, extra in zip(names, more, strict=True)]
    return ["".join(f"--{path_part(part)}" for part in name) for name in parts]


def _image(figure: "Figure", kind: str) -> bytes:
    """The figure's file, without anything that changes from day to day."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
