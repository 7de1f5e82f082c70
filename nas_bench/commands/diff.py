"""`nas-bench diff RUN RUN`: what two trials differ in."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.ls import aligned
from nas_bench.commands.parameters import (
    OK,
    examples,
    json_option,
    print_json,
    results_folder,
    results_option,
    verbose_option,
)
from nas_bench.commands.printed_table import print_table
from nas_bench.commands.show_run import find_run
from nas_bench.specs import InputError

if TYPE_CHECKING:
    from nas_bench.results.reading import Run

Differences = dict[str, dict[str, tuple[Any, Any]]]

_CLOCKS = "clocks, in seconds"
_RESULTS = (
    "step", "epoch", "train_loss", "validation_loss", "full_validation_loss", "test_loss",
    "train_accuracy", "validation_accuracy", "full_validation_accuracy", "test_accuracy",
    "weights",
)  # fmt: skip
_EPILOG = examples(
    "nas-bench diff 3f2a 91bc",
    "nas-bench diff 3f2a 91bc --results results/published --json",
    "nas-bench diff results/local/smoke/digits/tiny/0f2be8d3/s0 91bc",
)


@click.command(epilog=_EPILOG)
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@results_option()
@json_option()
@verbose_option()
def diff(first: str, second: str, results: Path | None, as_json: bool) -> int:
    """Show what two trials differ in: config, environment, networks, results, growth, costs.

    A trial is named by its folder or its place in the results folder, packed or not, or by the
    first digits of its id.
    """
    from nas_bench.results.agreement import differences

    one, other = (_found(name, results_folder(results)) for name in (first, second))
    found, course = _differences(one, other), differences(one, other)
    if as_json:
        print_json(_values(one, other, found, course))
    else:
        for line in aligned((("first", *_names(one)), ("second", *_names(other)))):
            click.echo(line)
        _print(found, course)
    for run in (one, other):
        for line in run.damage:
            click.echo(f"Warning: {line}", err=True)
    return OK


def _found(name: str, results: Path) -> "Run":
    run = find_run(name, results)
    if run is None:
        raise InputError(
            f"there is no trial {name!r} in {results}: "
            "give its folder, or at least four of the first digits of its id"
        )
    return run


def _names(run: "Run") -> Iterator[str]:
    from nas_bench.text import one_line

    yield run.id or "not known"
    yield from map(one_line, (run.protocol, run.task, run.label, f"seed {run.seed}", run.state))


def _differences(first: "Run", second: "Run") -> Differences:
    """By section, then by name, the two values of what differs; no empty sections."""
    ones, others = _sections(first), _sections(second)
    found = {title: _pairs(ones[title], others[title]) for title in ones}
    return {title: pairs for title, pairs in found.items() if pairs}


def _pairs(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*one, *other])
    pairs = {name: (one.get(name), other.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if repr(pair[0]) != repr(pair[1])}


def _sections(run: "Run") -> dict[str, dict[str, Any]]:
    """What is compared, by dotted names."""
    config = run.config.model_dump(mode="json") if run.config else {}
    last = vars(run.curve[-1]) if run.curve else {}
    return {
        "config": _flat(config),
        "environment": _flat(run.environment),
        "architecture": _architecture(run),
        "result": {"status": run.state, "reason": run.reason or None}
        | {name: last.get(name) for name in _RESULTS},
        "growth events": _growth(run),
        "costs": {name: last.get(name) for name in ("samples", "train_flops", "growth_flops")},
        _CLOCKS: dict(vars(last["seconds"])) if last else {},
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if value and isinstance(value, dict) else {name: value}
    return flat


def _architecture(run: "Run") -> dict[str, Any]:
    """Widths by site, parameters and FLOPs of the last record."""
    from nas_bench.results.grown_sites import site_names

    if not run.curve:
        return {}
    last, names = run.curve[-1], enumerate(site_names([run]), start=1)
    sites = (name or f"site {number}" for number, name in names)
    widths = dict(zip(sites, last.widths, strict=False))
    sizes = {"parameters": last.parameters, "FLOPs per sample": last.flops}
    return {f"width of {name}": width for name, width in widths.items()} | sizes


def _growth(run: "Run") -> dict[str, Any]:
    """By site: neurons added and filled, and what became of how many attempts."""
    counts: dict[str, int] = defaultdict(int)
    for site in dict.fromkeys(event.site for event in run.growth):
        for event in (event for event in run.growth if event.site == site):
            counts[f"{site}: neurons added"] += event.added
            counts[f"{site}: neurons filled"] += event.filled
            counts[f"{site}: attempts {event.status}"] += 1
    return counts


def _print(found: Differences, course: list[str]) -> None:
    from nas_bench.text import one_line

    if not course and found.keys() <= {_CLOCKS}:
        click.echo(f"The two are equal{', clocks aside' * bool(found)}.")
    for title, pairs in found.items():
        rows = [(name, *_shown(*pair)) for name, pair in pairs.items()]
        click.echo()
        print_table(title, ("", "first", "second"), [tuple(map(one_line, row)) for row in rows])
    if course:
        click.echo("\nwhere they part:")
    for line in course:
        click.echo(f"  {one_line(line)}")


def _shown(first: Any, second: Any) -> tuple[str, str]:
    """Two values that differ, with as many digits as it takes to see that they do."""
    for digits in (6, 9, 17):
        one, other = _text(first, digits), _text(second, digits)
        if one != other:
            return one, other
    return repr(first), repr(second)


def _text(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return "–" if value is None else str(value)


def _values(first: "Run", second: "Run", found: Differences, course: list[str]) -> dict[str, Any]:
    """The differences as JSON-able values."""
    return {
        "first": _identity(first),
        "second": _identity(second),
        "equal": not found and not course,
        "equal_but_for_clocks": not course and found.keys() <= {_CLOCKS},
        "differences": found,
        "course": course,
    }


def _identity(run: "Run") -> dict[str, Any]:
    names = ("id", "protocol", "task", "label", "seed", "status", "problems")
    return {name: getattr(run, name) for name in names} | {"folder": str(run.folder)}
