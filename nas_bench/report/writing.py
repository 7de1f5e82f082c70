"""The report of a results folder: leaderboards, figures, the page and what they show as JSON."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from nas_bench import text
from nas_bench.report import latex, markdown
from nas_bench.report.comparison import comparisons
from nas_bench.report.content import content
from nas_bench.report.figures import FORMATS, STEMS, figures
from nas_bench.report.for_papers import Paper
from nas_bench.report.numbers import Value, numbers
from nas_bench.report.reproduce import script
from nas_bench.report.standing import Standing, standing
from nas_bench.report.table import ACROSS_NOTE, NOTE, Table, across_tables, leaderboard
from nas_bench.report.terminal_table import Shown
from nas_bench.results import files
from nas_bench.results.files import LedgerError
from nas_bench.results.garbage_collection import no_garbage
from nas_bench.results.gathering import Gathered, gathered
from nas_bench.text import harmless

_FORMER = ("table", "pareto_flops", "pareto_parameters", "learning_curves")
"""What names of files in `report/` began with in earlier versions."""


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        markdown: the content of `leaderboard.md`.
        tables: the same for a rich console, one for each comparison, then those across tasks.
        notes: on all of them.
        numbers: the rows of `leaderboard.csv`.
        content: what `report.json` and the page hold.
        paths: every file, tables first.
        problems: damage found in the ledger, one line each.
        strays: what in the folder is no part of the ledger, one line each.
        heads: what to know of the ledgers before any table, one sentence each.
        left_out: what was not drawn and how to get it; empty if nothing.
    """

    markdown: str
    tables: tuple[RenderableType, ...]
    notes: tuple[str, ...]
    numbers: tuple[dict[str, Value], ...]
    content: dict[str, Any]
    paths: tuple[Path, ...]
    problems: tuple[str, ...]
    strays: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    left_out: str = ""


class NothingToReportError(LedgerError):
    """A results folder without a comparison.

    Attributes:
        problems, strays: as of a report.
        searched: whether it has trials of a search.
    """

    def __init__(self, message: str, found: Gathered, *, searched: bool) -> None:
        super().__init__(message)
        self.problems, self.strays, self.searched = found.damage, found.aside, searched


class UnwrittenError(LedgerError):
    """A report that could not be written.

    Attributes:
        report: what it says, with the paths of those files that were written.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def write(
    folder: Path,
    formats: Sequence[str] | None = None,
    ledgers: Sequence[Path] = (),
    paper: Paper | None = None,
) -> Report:
    """Writes tables, figures, the page and `report.json` into the folder's `report/`.

    The same ledger gives the same bytes. Files of earlier reports are removed.

    Args:
        folder: of the results.
        formats: of the figures, any of `FORMATS`; None: as many as take seconds, see `unasked`.
        ledgers: results folders and packs that are read; none: the folder itself.
        paper: what figures are for, which then have captions.

    Raises:
        InputError: if the paper's rows are none of the folder.
        NothingToReportError: if there is nothing to report.
        UnwrittenError: if the report cannot be written; it holds the report.
    """
    with no_garbage():
        found = gathered(ledgers or [folder])
        standings = [standing(comparison) for comparison in comparisons(found.runs)]
        shown = content(found.runs, found.name, standings, found.damage)
        if found.checks:
            shown["reference"] = [
                {**vars(check), "reproduced": check.reproduced, "sentence": check.sentence}
                for check in found.checks
            ]
    if not standings:
        searched = any(run.config for run in found.runs)
        detail = "no trial in it can be read" if found.runs else "it has no trials"
        if searched:
            detail = "it has no trials but those of a search: nas-bench tune goes on with it"
        raise NothingToReportError(
            f"nothing to report in {', '.join(map(str, ledgers or [folder]))}: {detail}",
            found,
            searched=searched,
        )
    if paper:
        paper.require(standings)
    tables = [*map(leaderboard, standings), *across_tables(shown)]
    report = replace(_report(tables, standings, shown), strays=tuple(found.aside))
    usual = unasked(len(standings)) or ("pdf",) * (paper is not None)
    drawn = usual if formats is None else formats
    if formats is None and drawn != FORMATS:
        report = replace(report, left_out=_left_out(len(standings), drawn))
    paths: list[Path] = []
    try:
        for path in _store(Path(folder) / "report", report, tables, standings, drawn, paper):
            paths.append(path)
    except LedgerError as error:
        raise UnwrittenError(str(error), replace(report, paths=tuple(paths))) from error
    return replace(report, paths=tuple(paths))


def unasked(comparisons: int) -> tuple[str, ...]:
    """The formats of figures that nobody asked for: fewer of more comparisons, for speed."""
    return FORMATS if comparisons <= 4 else ("png",) if comparisons <= 10 else ()


def _left_out(comparisons: int, drawn: Sequence[str]) -> str:
    formats = " and ".join(kind for kind in FORMATS if kind not in drawn)
    what = f"written as {formats}" if drawn else "drawn"
    cure = f"nas-bench report --figures {','.join(FORMATS)} does it"
    return f"Figures of {comparisons} comparisons are not {what} unasked; {cure}"


def _report(
    tables: Sequence[Table], standings: Sequence[Standing], shown: dict[str, Any]
) -> Report:
    problems = tuple(shown["problems"])
    heads = tuple(check["sentence"] for check in shown.get("reference", ()))
    said = [f"{text.markdown(head)}\n" for head in heads]
    sections = [
        "# Results\n",
        *said,
        *map(markdown.section, tables),
        *(f"{n}\n" for n in _notes(tables)),
    ]
    if problems:
        sections.append(markdown.listed("Problems in the ledger", problems))
    return Report(
        markdown="\n".join(sections),
        tables=tuple(map(Shown, tables)),
        notes=tuple(_notes(tables)),
        numbers=tuple(numbers(standings)),
        content=shown,
        paths=(),
        problems=problems,
        heads=heads,
    )


def _notes(tables: Sequence[Table]) -> list[str]:
    ranked = any(table.columns[0].title == "mean rank" for table in tables)
    return [NOTE, ACROSS_NOTE] if ranked else [NOTE]


def _store(
    target: Path,
    report: Report,
    tables: Sequence[Table],
    standings: Sequence[Standing],
    formats: Sequence[str],
    paper: Paper | None,
) -> Iterator[Path]:
    """Writes the files, tables first; each path after its file is there."""
    files.own_folder(target.parent, target.name, "figures")
    written = set()
    with files.writing(target):
        drawn = figures(standings, report.content, formats, paper)
        named = ((f"figures/{name}", image) for name, image in drawn)
        for name, image in chain(_files(report, tables, standings), named):
            files.replace(target / name, image)
            written.add(target / name)
            yield target / name
        _remove_earlier(target, written)


def _files(
    report: Report, tables: Sequence[Table], standings: Sequence[Standing]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all but the figures; pandas and jinja2 are imported only here."""
    import pandas as pd

    from nas_bench.report.html import page

    yield "leaderboard.md", report.markdown.encode()
    rows = [{name: _cell(value) for name, value in row.items()} for row in report.numbers]
    csv = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    yield "leaderboard.csv", csv.encode()
    notes = (*report.heads, *_notes(tables))
    yield "leaderboard.tex", latex.document(tables, notes).encode()
    yield "reproduce.sh", script(found.comparison for found in standings).encode()
    compact = json.dumps(report.content, separators=(",", ":"), allow_nan=False)
    yield "report.json", compact.encode()
    yield "report.html", page(report.content)


def _cell(value: Value) -> Value:
    return harmless(value) if isinstance(value, str) else value


def _remove_earlier(target: Path, written: Collection[Path]) -> None:
    """Removes what earlier reports have left, and nothing else.

    Now, and not before: another report that is being written writes the same files.
    """
    found = (*target.iterdir(), *(target / "figures").iterdir())
    for path in (path for path in found if path not in written):
        stems = STEMS if path.parent.name == "figures" else _FORMER
        stem, _, kind = path.name.rpartition(".")
        if stem.partition("--")[0] in stems and kind in (*FORMATS, "md", "csv", "txt"):
            path.unlink(missing_ok=True)
