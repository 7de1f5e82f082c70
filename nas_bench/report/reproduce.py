"""`reproduce.sh`: what was typed for the trials of each table."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from nas_bench.report.comparison import Comparison
from nas_bench.results.reading import Run
from nas_bench.text import counted, one_line

_HEAD = """#!/bin/sh
# What was typed for the trials of each table, to be typed again from the folder where it was
# typed. Commands that end with exit code 1 have measured trials that failed. Files of plugins
# are stored in each trial's run.json, as Base64 beside their SHA-256.
"""


def script(compared: Iterable[Comparison]) -> str:
    """A shell script with the commands of each comparison, first typed first."""
    return "\n".join([_HEAD, *("\n".join(_section(found)) for found in compared)])


def _section(found: Comparison) -> Iterator[str]:
    runs = [run for row in (*found.rows, *found.refused) for run in row.runs]
    yield f"# {one_line(found.title)}"
    yield from _origins(runs)
    told = sorted((run for run in runs if run.command), key=lambda run: run.started or "")
    for command in dict.fromkeys(run.command for run in told):
        yield _line(command)
    if untold := len(runs) - len(told):
        does = "does" if untold == 1 else "do"
        yield f"# {counted(untold, 'trial')} {does} not say what was typed."
    yield ""


def _line(command: Sequence[str]) -> str:
    """A command that can be typed; one of several lines is a comment."""
    typed = shlex.join(command)
    return typed if typed.isprintable() else f"# {one_line(typed)}"


def _origins(runs: Sequence[Run]) -> Iterator[str]:
    """The versions that ran, and the files of plugins."""
    versions = sorted({_version(run) for run in runs if run.environment})
    yield from (f"# measured with {version}" for version in versions)
    files = {
        f"# {kind} {one_line(getattr(run, kind, ''))}: plugin file, SHA-256 {file.sha256}"
        for run in runs
        for kind, file in run.plugins.items()
        if kind in ("method", "task")
    }
    yield from sorted(files)


def _version(run: Run) -> str:
    environment = run.environment
    commit = str((environment.get("git") or {}).get("commit") or "")[:10]
    version = one_line(str(environment.get("nas_bench", "an unknown version")))
    return f"nas-bench {version}{f', commit {one_line(commit)}' if commit else ''}"
