"""What is to be said under a table: what can be told apart, what lacks, what failed."""

from collections.abc import Iterator
from dataclasses import dataclass

from nas_bench import text
from nas_bench.report import cells
from nas_bench.report.comparison import Row
from nas_bench.report.contrasts import Contrast, settings_apart
from nas_bench.report.questions import RANDOM, SILENT
from nas_bench.report.shipped import departures
from nas_bench.report.standing import Standing
from nas_bench.report.statistics import TESTABLE
from nas_bench.results.reading import Run
from nas_bench.tuning.history import settings

CAVEATS = {
    "north_preactivation": (
        "NORTH's initialiser on this protocol's schedule; when and how many neurons NORTH itself "
        "would add is not part of it."
    ),
}
"""By name of a method."""


_REMEDY = " Run the older ones again with --rerun stale."


@dataclass(frozen=True)
class Remark:
    """A sentence, or a line and the list that it introduces; not escaped."""

    sentence: str
    items: tuple[str, ...] = ()


def remarks(found: Standing) -> tuple[Remark, ...]:
    """Everything to be said under the leaderboard of a comparison."""
    return (
        *_ledgers(found),
        *_caveats(found),
        *_redrawn(found),
        *_testable(found),
        *_filled(found),
        *_tuned(found),
        *_attribution(found),
        *_silent(found),
        *_lacking(found),
        *_refused(found),
        *_failures(found),
        *_mixed(found),
        *_departures(found),
    )


def notes(found: Standing) -> tuple[Remark, ...]:
    """Those of the remarks that a page has no other place for than under its leaderboard."""
    return (
        *_ledgers(found),
        *_caveats(found),
        *_redrawn(found),
        *_filled(found),
        *_silent(found),
    )


def _ledgers(found: Standing) -> Iterator[Remark]:
    """Whose the rows are, where several ledgers are read."""
    rows = found.comparison.rows
    names = sorted({run.ledger for row in rows for run in row.runs} - {""})
    if names:
        yield Remark(f"Rows marked @ are of that ledger, others of the first: {', '.join(names)}.")
    mixed = tuple(line for row in rows for line in _lent(row))
    if mixed:
        yield Remark("Seeds of other ledgers in rows of the first:", mixed)
    if found.comparison.apart:
        yield Remark("Not compared here:", tuple(map(text.one_line, found.comparison.apart)))


def _lent(row: Row) -> Iterator[str]:
    """The seeds of a row that are of another ledger than others of it."""
    ledgers = sorted({run.ledger for run in row.runs})
    for name in filter(None, ledgers if len(ledgers) > 1 else []):
        seeds = text.ranges(run.seed for run in row.runs if run.ledger == name)
        yield text.one_line(f"{row.name}: seeds {seeds} of {name}")


def _departures(found: Standing) -> Iterator[Remark]:
    """What the protocol has otherwise than the paper that it is of."""
    said = [f"{d.paper}; here: {d.here}; why: {d.why}" for d in departures(found.comparison)]
    if said:
        yield Remark("The protocol departs from its source:", tuple(map(text.one_line, said)))


def _caveats(found: Standing) -> Iterator[Remark]:
    """What a method here leaves out of what its name stands for."""
    names = {row.method.partition("[")[0] for row in found.comparison.rows}
    yield from (Remark(f"{name}: {why}") for name, why in CAVEATS.items() if name in names)


def _redrawn(found: Standing) -> Iterator[Remark]:
    """Seeds whose first network was drawn again; all that grow from the same widths share it."""
    redraws = {
        run.seed: run.result.redraws
        for row in found.comparison.rows
        for run in row.runs
        if run.result and run.result.redraws
    }
    if redraws:
        seeds = ", ".join(f"{seed} ({count})" for seed, count in sorted(redraws.items()))
        yield Remark(
            "First networks with a dead hidden layer were drawn again, the same for every method; "
            f"seeds (and how often): {seeds}."
        )


def _testable(found: Standing) -> Iterator[Remark]:
    """What differences these seeds can show."""
    if differing := found.comparison.differing:
        yield Remark(
            f"Not comparable, so not ranked: rows are of different {' and '.join(differing)}."
            + _REMEDY * bool({"data", "behaviour"} & set(differing))
        )
        return
    pairs = min((pair.difference.pairs for pair in found.pairs), default=0)
    seeds = text.counted(pairs, "paired seed")
    if found.pairs and pairs < TESTABLE:
        yield Remark(f"Differences are not testable below {TESTABLE} paired seeds; here: {seeds}.")
    if found.detectable is not None:
        gap = text.score(found.detectable, None, found.comparison.metric)
        unit = " points" if found.comparison.metric == "accuracy" else ""
        yield Remark(
            f"The two best rows would be told apart with probability 0.8 if they differed by "
            f"{gap}{unit} ({seeds}, t-test, asked alone)."
        )


def _attribution(found: Standing) -> Iterator[Remark]:
    lines = tuple(_contrast(found, contrast) for contrast in found.attribution)
    if lines:
        sign = "" if found.comparison.higher else "; of losses, negative is better"
        about = f"paired difference and its interval{sign}"
        yield Remark(f"What TINY gains, taken apart ({about}):", lines)


def _contrast(found: Standing, contrast: Contrast) -> str:
    shown = " ".join(filter(None, cells.difference_parts(contrast, found.comparison.metric)))
    p = contrast.adjusted
    told = "not testable" if p is None else text.p_equals(p)
    asked = f"{contrast.question} ({contrast.first} − {contrast.second})"
    apart = ", ".join(settings_apart(found.comparison, contrast))
    differ = f"; settings differ: {apart}" if apart else ""
    return f"{text.one_line(asked)}: {shown} ({told}{differ})"


def _filled(found: Standing) -> Iterator[Remark]:
    """Rows most of whose neurons are not the method's."""
    shares = ((row.name, row.own_neurons) for row in found.comparison.rows if row.role != "twin")
    few = [
        f"{text.one_line(n)} ({text.percent(s)})" for n, s in shares if s is not None and s < 0.5
    ]
    if few:
        yield Remark(
            "Less than half of the neurons added are the method's own, the others random, silent "
            f"ones of the harness: {', '.join(few)}."
        )


def _tuned(found: Standing) -> Iterator[Remark]:
    lines = tuple(_settings(row) for row in found.comparison.rows if row.tuning and row.config)
    if lines:
        yield Remark("Settings that tuning chose, of each row its own:", lines)


def _settings(row: Row) -> str:
    chosen = settings(row.config) if row.config else {}
    return text.one_line(f"{row.name}: {', '.join(f'{k}={v}' for k, v in chosen.items())}")


def _silent(found: Standing) -> Iterator[Remark]:
    silent = [
        c.first for c in found.against if c.question == f"against {RANDOM}" and c.second == SILENT
    ]
    if silent:
        yield Remark(
            f"Compared with silent random neurons, {SILENT}, since their own are silent too: "
            f"{', '.join(map(text.one_line, silent))}."
        )


def _lacking(found: Standing) -> Iterator[Remark]:
    if found.lacking:
        names = ", ".join(dict.fromkeys(found.lacking))
        yield Remark(f"Missing from this comparison, which it needs to be conclusive: {names}.")


def _refused(found: Standing) -> Iterator[Remark]:
    """Methods that cannot grow the task's network."""
    rows = found.comparison.refused
    if rows:
        lines = (text.one_line(f"{row.name}: {row.refusal}") for row in rows)
        yield Remark("Not applicable here (n/a), and neither ranked nor failed:", tuple(lines))


def _failures(found: Standing) -> Iterator[Remark]:
    """One line for each trial without a result, and for each row that lacks seeds of others."""
    comparison = found.comparison
    failed = [_failure(row, run) for row, run in comparison.without_result]
    lines = (*failed, *(_not_run(row) for row in comparison.rows if row.not_run))
    if lines:
        worst = text.score(comparison.worst, None, comparison.metric)
        counted = f" (†: counted as {worst}, the worst score, untrained networks included)"
        yield Remark(f"Without a result{'' if worst == '–' else counted}:", lines)


def _failure(row: Row, run: Run) -> str:
    reason = f": {run.reason}" if run.reason else ""
    return text.one_line(f"{row.name}, seed {run.seed}: {run.state}{reason}")


def _not_run(row: Row) -> str:
    seeds = f"seed{'s' * (len(row.not_run) > 1)} {', '.join(map(str, row.not_run))}"
    return text.one_line(f"{row.name}, {seeds}: not run")


def _mixed(found: Standing) -> Iterator[Remark]:
    """What makes the numbers of a table hard to compare."""
    names = ", ".join(text.one_line(row.name) for row in found.comparison.rows if row.mixed)
    if names:
        yield Remark(f"Seeds of different behaviour, defaults or data: {names}.")
