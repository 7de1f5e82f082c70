"""What must hold of the files of a trial, and of trials together."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from nas_bench.results.ledger import Contents
from nas_bench.results.reading import Run
from nas_bench.text import counted
from nas_bench.trials.messages import GrowthRecord, Record, Seconds

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """Something that does not hold.

    Attributes:
        place: the trial's folder, without the results folder.
        check: which check found it.
        message: one sentence.
    """

    place: str
    check: str
    message: str


def all_findings(found: Contents) -> list[Finding]:
    """Everything that is wrong with a results folder; what is no part of it is not."""
    lost = [Finding(found.place(path), "files", reason) for path, reason in found.lost]
    return [*findings(found.runs), *lost]


def findings(runs: Sequence[Run]) -> list[Finding]:
    """Everything that is wrong with trials."""
    alone = [
        Finding(run.place, name, message)
        for run in runs
        for name, check in _CHECKS.items()
        for message in check(run)
    ]
    return [*alone, *_same_sizes(runs), *_twins(runs), *_completeness(runs)]


def _files(run: Run) -> Iterator[str]:
    if not run.only_cut:
        yield from run.problems


def _clocks(run: Run) -> Iterator[str]:
    """What only grows: steps, samples, costs and every clock."""
    totals = [_totals(record) for record in run.curve]
    for number, (before, after) in enumerate(pairwise(totals), start=2):
        for name, value in after.items():
            if value < before[name] * (1 - _ROUNDING):
                yield f"{name} falls from {before[name]:g} to {value:g} at record {number}"
    steps = [event.step for event in run.growth]
    if steps != sorted(steps):
        yield "the steps of growth events fall"
    if run.curve and run.curve[0].step != 0:
        yield f"the first record is of step {run.curve[0].step}, not 0"


def _totals(record: Record) -> dict[str, float]:
    names = ("step", "epoch", "samples", "train_flops", "growth_flops", "trigger_flops")
    seconds = {f"seconds of {name}": value for name, value in asdict(record.seconds).items()}
    return {name: getattr(record, name) for name in names} | seconds


def _end(run: Run) -> Iterator[str]:
    """A result is the last record, whole and within the budget."""
    ends = [number for number, record in enumerate(run.curve, start=1) if record.final]
    if ends and ends != [len(run.curve)]:
        yield f"record {ends[0]} of {len(run.curve)} is final"
    if run.status != "ok" or run.result is None or run.config is None:
        return
    if not run.result.final:
        yield "its result is not final"
    if run.result.test_loss is None:
        yield "its result has no test score"
    yield from _same_as_last(run, run.result)
    budget, result = run.config.budget, run.result
    if run.config.twin is not None:
        return
    flops = result.train_flops + result.growth_flops
    if budget.epochs is not None and result.epoch < budget.epochs * (1 - _ROUNDING):
        yield f"it ended at {result.epoch:g} of {budget}"
    if budget.steps is not None and result.step != budget.steps:
        yield f"it ended at step {result.step} of {budget.steps}"
    if budget.flops is not None and flops > budget.flops * (1 + _ROUNDING):
        yield f"it spent {flops:g} of {budget.flops:g} FLOPs"


def _same_as_last(run: Run, result: Record) -> Iterator[str]:
    values, clocks = asdict(result), asdict(Seconds())
    for noun, part in (("sizes", run.sizes), ("costs", run.costs)):
        for name, value in part.items():
            if name == "seconds" and isinstance(value, dict):
                value = clocks | value  # earlier results have fewer clocks
            known = values.get(name)
            expected = list(known) if isinstance(known, tuple) else known
            if value != expected:
                yield f"its {noun}.{name} is not that of its result"


def _widths(run: Run) -> Iterator[str]:
    """Growth events lead from the first widths to the last, and records lie on their way."""
    if not run.curve:
        return
    way = [run.curve[0].widths]
    for number, event in enumerate(run.growth, start=1):
        if problem := _step_of(way[-1], event):
            yield f"growth event {number} {problem}"
        way.append(event.widths)
    at = 0
    for number, record in enumerate(run.curve, start=1):
        try:
            at = way.index(record.widths, at)
        except ValueError:
            widths = list(record.widths)
            yield f"record {number} has widths {widths}, which no growth event leads to"
            return
    if run.status == "ok" and run.curve[-1].widths != way[-1]:
        yield f"its last growth event leads to widths {list(way[-1])}, but not its result"
    events, result = (math.fsum(event.flops.values()) for event in run.growth), run.curve[-1]
    spent = math.fsum(events) + result.trigger_flops
    if run.status == "ok" and not math.isclose(spent, result.growth_flops, rel_tol=1e-6):
        yield f"its looks and growth events cost {spent:g} FLOPs, its result says otherwise"


def _step_of(before: Sequence[int], event: GrowthRecord) -> str:
    """What is wrong with the widths after an event; empty if nothing."""
    after = event.widths
    if len(before) != len(after):
        return f"has {counted(len(after), 'width')}, expected {len(before)}"
    changed = [b - a for a, b in zip(before, after, strict=True) if a != b]
    more = event.added + event.filled
    if changed != ([more] if more else []):
        neurons = counted(more, "neuron")
        return f"leads from widths {list(before)} to {list(after)} by {neurons} at one site"
    return ""


_CHECKS: dict[str, Callable[[Run], Iterator[str]]] = {
    "files": _files,
    "clocks": _clocks,
    "end": _end,
    "widths": _widths,
}


def _same_sizes(runs: Iterable[Run]) -> Iterator[Finding]:
    """Networks of one task with the same widths have the same size."""
    known: dict[tuple[str, tuple[int, ...]], tuple[int, float]] = {}
    for run in runs:
        for record in run.curve:
            size = record.parameters, record.flops
            if known.setdefault((run.task, record.widths), size) != size:
                widths = list(record.widths)
                message = f"its network of widths {widths} has another size than others"
                yield Finding(run.place, "sizes", message)
                break


def _twins(runs: Sequence[Run]) -> Iterator[Finding]:
    """A twin has its original's widths and spends what that spent."""
    known = {run.id: run for run in runs}
    for run in runs:
        if run.config is None or run.config.twin is None or run.result is None:
            continue
        twin, original = run.config.twin, known.get(run.config.twin.of)
        if original is None or original.result is None:
            message = f"its original {twin.of} has no result here"
            yield Finding(run.place, "twins", message)
            continue
        for message in _unlike_original(run.result, original.result, twin.match):
            yield Finding(run.place, "twins", message)


def _unlike_original(result: Record, original: Record, match: str) -> Iterator[str]:
    if result.widths != original.widths:
        yield f"its widths are {list(result.widths)}, its original's {list(original.widths)}"
    if match == "steps" and result.step != original.step:
        yield f"it made {counted(result.step, 'step')}, its original {original.step}"
    spent = original.train_flops + original.growth_flops
    if match == "flops" and result.train_flops > spent * (1 + _ROUNDING):
        yield f"it spent {result.train_flops:g} FLOPs, its original {spent:g}"


def _completeness(runs: Iterable[Run]) -> Iterator[Finding]:
    """Every method has every seed of those it is compared with, and every trial has ended."""
    groups: dict[tuple[str, ...], dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if c := run.config:
            key = c.protocol, str(c.version), c.kind, c.task, str(c.budget)
            groups[key][run.settings_id].append(run)
        if run.status in ("running", "preempted"):
            yield Finding(run.place, "completeness", f"it has not ended: it is {run.state}")
    for rows in groups.values():
        asked = {run.seed for row in rows.values() for run in row}
        for row in rows.values():
            if lacking := sorted(asked - {run.seed for run in row}):
                seeds = f"seed{'s' * (len(lacking) > 1)} {', '.join(map(str, lacking))}"
                folder = row[0].place.rpartition("/")[0]
                yield Finding(folder, "completeness", f"{seeds} of others not run")
