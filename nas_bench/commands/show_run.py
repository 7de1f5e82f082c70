"""`nas-bench show RUN`: everything about one trial of a results folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.ls import aligned
from nas_bench.commands.printed_table import print_table
from nas_bench.specs import InputError

if TYPE_CHECKING:
    from nas_bench.results.reading import Run

_FILES = ("run.json", "curve.jsonl", "growth.jsonl", "verified.json")
_POINTS = 12
"""Rows of the summary of a curve."""
_UNDONE = "too expensive"
"""Of growths whose values are those of what was tried, but did not stay."""
_PLACE = re.compile(r"(?:.*/)?(?:[^/]+/){4}s\d+/?")
_PATH = re.compile(r"[^\[]*/[^\[]*(?<!\.yaml)(?<!\.yml)")


def is_run(name: str) -> bool:
    """Whether a name can be that of a trial: of its folder or a file, or the start of its id."""
    can_be_id = re.fullmatch(r"[0-9a-f]{4,16}", name) is not None
    return can_be_id or _PATH.fullmatch(name) is not None or _is_folder(Path(name))


def find_run(name: str, results: Path) -> "Run | None":
    """The trial whose folder or place this is, or whose id begins so; None without one.

    A packed trial is named as if it had a folder; places are those inside the results folder, and
    that of a trial's file or of a folder with a single trial will do.

    Raises:
        InputError: if several ids begin so, or several trials lie there.
    """
    from nas_bench.results.ledger import Ledger
    from nas_bench.results.reading import read_run

    name = name.rpartition("/")[0] if Path(name).name in _FILES else name
    if _is_folder(Path(name)):
        return read_run(Path(name).absolute())
    if _PLACE.fullmatch(name):
        return _at(Path(name).absolute()) or _at(results / name)
    if not is_run(name):
        return None
    runs = Ledger(results).glances()
    if "/" in name:
        place = _inside(name, results)
        found = [run for run in runs if f"{run.place}/".startswith(f"{place}/")]
        said = f"trials lie at {name}"
    else:
        found = [run for run in runs if run.id.startswith(name)]
        said = f"trials have ids that begin with {name}"
    if len(found) > 1:
        places = ", ".join(run.place for run in found[:5])
        raise InputError(f"{len(found)} {said}: name one of them, such as {places}")
    return read_run(found[0].source) if found else None


def _inside(name: str, results: Path) -> str:
    """The place inside the results folder that a path means: of a trial, a pack, or a folder."""
    path = Path(name)
    for root in (Path.cwd() / path, results / path):
        if root.is_relative_to(results):
            path = root.relative_to(results)
            break
    return path.as_posix().removesuffix(".zip")


def _at(folder: Path) -> "Run | None":
    from nas_bench.results.ledger import Ledger

    parents = folder.parents
    return Ledger(parents[4]).run_at(folder) if len(parents) > 4 else None


def run_values(run: "Run") -> dict[str, Any]:
    """A trial as JSON-able values."""
    from dataclasses import asdict, replace

    from nas_bench.results.sources import Folder
    from nas_bench.results.verified import read_verified

    checked = read_verified(run)
    config = run.config.model_dump(mode="json") if run.config else None
    values = asdict(replace(run, config=None, source=Folder(run.folder)))
    return {
        "what": "trial",
        **{name: value for name, value in values.items() if name != "source"},
        "folder": str(run.folder),
        "pack": str(run.pack) if run.pack else None,
        "config": config,
        "verified": asdict(checked) if checked else None,
    }


def print_run(run: "Run") -> None:
    """Identity, outcome, configuration, environment, curve, growth, traceback and problems."""
    from nas_bench.text import escaped, one_line

    for line in _lines(run):
        click.echo(line)
    print_table("curve", _CURVE, [_record(record) for record in _thinned(run.curve)])
    print_table("growth events", _GROWTH, [_event(event) for event in run.growth])
    for event in run.growth:
        if event.warning and event.status != _UNDONE:
            click.echo(one_line(f"step {event.step}: {event.warning}"))
    for line in (run.error or {}).get("traceback", "").splitlines():
        click.echo(escaped(line))
    for problem in run.problems:
        click.echo(one_line(f"problem: {problem}"))


_CURVE = ("step", "epoch", "train + growth FLOPs", "parameters", "widths", "validation", "test")
_GROWTH = (
    "step", "site", "asked", "added", "filled", "status", "δW* amplitude", "amplitude", "loss drop"
)  # fmt: skip


def _is_folder(path: Path) -> bool:
    return (
        path.is_dir()
        and re.fullmatch(r"s\d+", path.absolute().name) is not None
        and (len(path.absolute().parts) > 5)
    )


def _lines(run: "Run") -> Iterator[str]:
    from nas_bench.results.agreement import origin
    from nas_bench.results.staleness import outdated
    from nas_bench.results.verified import read_verified

    checked = read_verified(run)
    facts = {
        "trial": run.id or "not known",
        "folder": str(run.folder),
        "packed in": str(run.pack or ""),
        "method": run.label,
        "task": run.task,
        "protocol": f"{run.protocol} ({run.kind})",
        "seed": str(run.seed),
        "status": f"{run.state}{f': {run.reason}' if run.reason else ''}",
        "attempts": str(run.attempts),
        "ran": origin(run),
        "command": " ".join(run.command),
        "behaviour": ", ".join(f"{name} {version}" for name, version in run.behaviour.items()),
        "stale": ", ".join(outdated(run)) if run.status == "ok" else "",
        "plugins": ", ".join(f"{n} {file.sha256[:12]}" for n, file in run.plugins.items()),
        "verified": _verdict(checked) if checked else "",
    }
    yield from _pairs({key: value for key, value in facts.items() if value}, indent="")
    if run.result:
        metric = "loss" if run.result.train_accuracy is None else "accuracy"
        yield "result:"
        yield f"  test {metric} {_scores(run.result)[1]}"
        yield f"  parameters {run.result.parameters}, FLOPs per sample {run.result.flops:g}"
        yield f"  widths {list(run.result.widths)}"
    if run.config:
        yield "config:"
        yield from _pairs(_flat(run.config.model_dump(mode="json", exclude_none=True)))
    if run.resolved:
        yield "resolved:"
        yield from _pairs(_flat(run.resolved))
    if run.environment:
        yield "environment:"
        yield from _pairs(_flat(run.environment))


def _pairs(values: dict[str, str], indent: str = "  ") -> Iterator[str]:
    """Names and values in columns, whatever characters are in them."""
    from nas_bench.text import one_line

    rows = [(one_line(name), one_line(value)) for name, value in values.items()]
    yield from (f"{indent}{line}" for line in aligned(rows))


def _verdict(checked: Any) -> str:
    word = "reproduced" if checked.reproduced else "not reproduced"
    return f"{word} ({checked.compared}) on {checked.when}"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values by dotted names, as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict) and len(prefix) < 100:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def _thinned(curve: Sequence[Any]) -> list[Any]:
    """At most so many records, the first, the last, and some between; and the full ones."""
    if len(curve) <= _POINTS:
        return list(curve)
    chosen = {round(i * (len(curve) - 1) / (_POINTS - 1)) for i in range(_POINTS)}
    chosen |= {i for i, record in enumerate(curve) if record.full_validation_loss is not None}
    return [curve[index] for index in sorted(chosen)]


def _record(record: Any) -> tuple[str, ...]:
    from nas_bench.text import human

    cost = human(record.train_flops + record.growth_flops)
    widths = "-".join(map(str, record.widths))
    sizes = f"{record.epoch:.2f}", cost, human(record.parameters), widths
    return str(record.step), *sizes, *_scores(record)


def _scores(record: Any) -> tuple[str, ...]:
    """On validation and test, as text: accuracies, or losses in regression."""
    if record.train_accuracy is None:
        scores, form = (record.validation_loss, record.test_loss), ".4g"
    else:
        scores, form = (record.validation_accuracy, record.test_accuracy), ".2%"
    return tuple("–" if score is None else f"{score:{form}}" for score in scores)


def _event(event: Any) -> tuple[str, ...]:
    numbers = str(event.step), event.site, *map(str, (event.asked, event.added, event.filled))
    update = None if event.status == _UNDONE else event.update_amplitude
    values = update, event.amplitude, event.measured
    found = ("–" if value is None else f"{value:.3g}" for value in values)
    return *numbers, event.status, *found
