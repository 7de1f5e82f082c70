"""Comparison tables: numbers as CSV, text as Markdown and on the terminal."""

from collections.abc import Iterable, Sequence

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


NOTE = (
    "Test accuracy or loss: mean ± sd over seeds with a result, at the end of the budget, "
    "never the best of the curve. Seeds: with a result / asked of any method of the table. "
    "One multiply-add is one FLOP (fvcore). FLOPs: one sample at inference. "
    "Training FLOPs: training and growth (growth's share). "
    "Seconds: training and growth, without evaluation; * where trials shared a device, so that "
    "they cannot be compared."
)
"""What the numbers of every table are."""


def numbers(comparisons: Iterable[Comparison]) -> list[dict[str, str | float]]:
    """Every row of every comparison in plain numbers: accuracies in percent, shares in [0, 1]."""
    return [_numbers(comparison, row) for comparison in comparisons for row in comparison.rows]


def markdown(comparison: Comparison) -> str:
    """The comparison as a section of Markdown, with its failures and warnings."""
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
    ]
    failures = [f"- {text.markdown(line)}" for line in _failures(comparison)]
    if failures:
        lines += ["Without a result:", "", *failures, ""]
    lines += [line for warning in _warnings(comparison) for line in (text.markdown(warning), "")]
    return "\n".join(lines)


def terminal(comparison: Comparison) -> Group:
    """The comparison for a rich console."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    method, *numbers = _header(comparison)
    table.add_column(method, overflow="fold", min_width=10)
    for name in numbers:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(*map(Text, _cells(comparison, row)), style="" if row.complete else "yellow")
    remarks = [
        Text(line, style="yellow") for line in _failures(comparison) + _warnings(comparison)
    ]
    return Group(Text(comparison.title, style="bold"), table, *remarks, *([""] if remarks else []))


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
    share = f" ({text.percent(means['growth_share'])})" if row.results else ""
    return [
        text.one_line(row.name),
        text.score(row.estimate(comparison.score), comparison.metric),
        row.seeds,
        text.human(means["parameters"]),
        text.human(means["flops"]),
        f"{text.human(means['training_flops'])}{share}",
        text.duration(means["seconds"]) + "*" * row.shared,
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
        "seeds": len(row.asked),
        "shared_device": row.shared,
    }
    for name, measure in {"test_score": comparison.score, **_MEASURES}.items():
        value = row.estimate(measure)
        numbers |= {name: value.mean, f"{name}_sd": value.sd}
    return numbers


def _failures(comparison: Comparison) -> list[str]:
    """One line for each trial without a result, and for each row that lacks seeds of others."""
    failed = [_failure(row, run) for row, run in comparison.without_result]
    return failed + [_missing(row) for row in comparison.rows if row.not_run]


def _missing(row: Row) -> str:
    seeds = f"seed{'s' * (len(row.not_run) > 1)} {', '.join(map(str, row.not_run))}"
    return text.one_line(f"{row.name}, {seeds}: not run")


def _warnings(comparison: Comparison) -> list[str]:
    """What makes the numbers of a table hard to compare, one line each."""
    mixed = ", ".join(text.one_line(row.name) for row in comparison.rows if row.mixed)
    return [f"Seeds from different versions of the code or the data: {mixed}."] if mixed else []


def _failure(row: Row, run: Run) -> str:
    reason = f": {run.reason}" if run.reason else ""
    return text.one_line(f"{row.name}, seed {run.seed}: {run.state}{reason}")


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
