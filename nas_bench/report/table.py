"""Comparison tables: numbers as CSV, text as Markdown and on the terminal."""

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from nas_bench.report import text
from nas_bench.report.comparison import (
    Comparison,
    Measure,
    Row,
    growth_share,
    seconds,
    training_flops,
)
from nas_bench.results.run import Run

_MEASURES: dict[str, Measure] = {
    "parameters": lambda record: record.parameters,
    "flops": lambda record: record.flops,
    "training_flops": training_flops,
    "growth_share": growth_share,
    "seconds": seconds,
}


def frame(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """Every row of every comparison in plain numbers: accuracies in percent, shares in [0, 1]."""
    return pd.DataFrame([_numbers(c, row) for c in comparisons for row in c.rows])


def markdown(comparison: Comparison) -> str:
    """The comparison as a section of Markdown, with its note and its failures."""
    header = _header(comparison)
    lines = [
        f"## {text.markdown(comparison.title)}",
        "",
        _markdown_row(header),
        _markdown_row([":--"] + ["--:"] * (len(header) - 1)),
        *(
            _markdown_row([text.markdown(c) for c in _cells(comparison, row)])
            for row in comparison.rows
        ),
        "",
        note(comparison),
    ]
    failures = [f"- {text.markdown(line)}" for line in _failures(comparison)]
    return "\n".join([*lines, *(["", "Without a result:", "", *failures] if failures else []), ""])


def terminal(comparison: Comparison) -> Group:
    """The comparison for a rich console."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    method, *numbers = _header(comparison)
    table.add_column(method, overflow="fold", min_width=10)
    for name in numbers:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(*map(Text, _cells(comparison, row)), style="" if row.complete else "yellow")
    failures = [Text(line, style="yellow") for line in _failures(comparison)]
    title, small = Text(comparison.title, style="bold"), Text(note(comparison), style="dim")
    return Group(title, table, *failures, small)


def note(comparison: Comparison) -> str:
    """What the numbers of a table are."""
    return (
        f"Test {comparison.metric}: mean ± sd over seeds with a result, at the end of the budget, "
        "never the best of the curve. One multiply-add is one FLOP (fvcore). FLOPs: one sample "
        "at inference. Training FLOPs: training and growth (growth's share). "
        "Seconds: training and growth, without evaluation."
    )


def problems(runs: Iterable[Run]) -> list[str]:
    """What is wrong with the ledger's files, one line each."""
    places = ((run, "/".join(run.folder.parts[-5:])) for run in runs)
    return [f"{place}: {problem}" for run, place in places for problem in run.problems]


def _header(comparison: Comparison) -> list[str]:
    score = "test accuracy (%)" if comparison.metric == "accuracy" else "test loss"
    return [
        "method",
        score,
        "seeds",
        "parameters",
        "FLOPs",
        "training FLOPs (growth)",
        "seconds",
    ]


def _cells(comparison: Comparison, row: Row) -> list[str]:
    means = {name: row.estimate(measure).mean for name, measure in _MEASURES.items()}
    return [
        text.one_line(row.name),
        text.score(row.estimate(comparison.score), comparison.metric),
        row.seeds,
        text.human(means["parameters"]),
        text.human(means["flops"]),
        f"{text.human(means['training_flops'])} ({text.percent(means['growth_share'])})",
        text.duration(means["seconds"]),
    ]


def _numbers(comparison: Comparison, row: Row) -> dict[str, str | float]:
    numbers: dict[str, str | float] = {
        "protocol": comparison.protocol,
        "version": comparison.version,
        "kind": comparison.kind,
        "task": comparison.task,
        "budget": comparison.budget,
        "method": row.name,
        "settings_id": row.runs[0].settings_id,
        "metric": comparison.metric,
        "seeds_ok": len(row.results),
        "seeds": len(row.runs),
    }
    for name, measure in {"test_score": comparison.score, **_MEASURES}.items():
        value = row.estimate(measure)
        numbers |= {name: value.mean, f"{name}_sd": value.sd}
    return numbers


def _failures(comparison: Comparison) -> list[str]:
    return [_failure(row, run) for row, run in comparison.without_result]


def _failure(row: Row, run: Run) -> str:
    reason = f": {run.reason}" if run.reason else ""
    return text.one_line(f"{row.name}, seed {run.seed}: {run.status}{reason}")


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
