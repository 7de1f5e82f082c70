"""What a comparison says, in a few sentences made from its statistics."""

from collections.abc import Iterator, Sequence

from nas_bench import text
from nas_bench.report import cells
from nas_bench.report.comparison import Row
from nas_bench.report.contrasts import Contrast
from nas_bench.report.questions import MATCHES
from nas_bench.report.standing import COSTS, Standing
from nas_bench.report.statistics import TESTABLE

_NAMED = 4  # rows that a sentence can name


def answer(found: Standing) -> str:
    """Which method is best, whether growing paid, and at what cost; or that there is no result."""
    comparison = found.comparison
    if found.best is None or not comparison.rows[0].results:
        tried = "no trial has a result" if comparison.rows else "no method is applicable"
        where = f"{comparison.task_name} ({comparison.protocol}, {comparison.budget_name})"
        return f"On {where} {tried}."
    return " ".join(_parts(found))


def _parts(found: Standing) -> Iterator[str]:
    yield _best(found)
    yield from (*_control(found), *_incomplete(found), *_growing(found), *_cost(found))


def _best(found: Standing) -> str:
    comparison, best = found.comparison, _row(found, found.best or "")
    seeds = text.counted(len(best.asked), "seed")
    within = f"{comparison.protocol}, {comparison.budget_name}, {seeds}"
    where = f"On {comparison.task_name} ({within})"
    score = f"{text.one_line(best.name)} {cells.score(found, best)}"
    leaders = [text.one_line(row.name) for row in comparison.rows if found.leads(row)]
    if comparison.differing:
        return f"{where} rows are of different {_listed(comparison.differing)} and not ranked."
    if found.ranks[best.name] is None:
        untested = len(found.ranks) > 1 and len(best.asked) < TESTABLE
        few = f"; {seeds} cannot tell whether that is chance" if untested else ""
        return f"{where} the best mean is that of {score}{few}."
    if len(leaders) < 2:
        return f"{where} the best is {score}."
    others = leaders[1:] if len(leaders) <= _NAMED else [f"{len(leaders) - 1} other rows"]
    return f"{where} the best is {score}, and {_listed(others)} cannot be told from it."


def _control(found: Standing) -> Iterator[str]:
    """The control whose mean is better than that of the best row."""
    first = next(row for row in found.comparison.rows if row.role != "twin")
    means = [found.scores[name].estimate.mean for name in (first.name, found.best or "")]
    if first.role == "control" and means[0] != means[1] and not found.comparison.differing:
        yield f"The mean of {_scored(found, first)}, a control and not ranked, is better."


def _incomplete(found: Standing) -> Iterator[str]:
    """The rows that look worse than their networks are, since seeds lack: failed or never run."""
    rows = [row for row in found.comparison.rows if not row.complete]
    few = [f"{text.one_line(row.name)} has {len(row.results)} of {len(row.asked)}" for row in rows]
    if few:
        said = _listed(few) if len(few) <= _NAMED else f"{len(few)} rows have not all"
        yield f"Seeds without a result count as the worst: {said}."


def _growing(found: Standing) -> Iterator[str]:
    """Whether growing paid, of the methods; controls only explain."""
    methods = {row.name for row in found.comparison.rows if row.role == "method"}
    for match in MATCHES:
        asked = [c for c in found.growing if c.question == f"equal {match}" and c.first in methods]
        tested = [contrast for contrast in asked if contrast.adjusted is not None]
        if tested:
            name = "FLOPs" if match == "flops" else match
            yield f"Growing {_verdicts(found, tested)}, at equal {name}."


def _verdicts(found: Standing, tested: Sequence[Contrast]) -> str:
    """`lost with 3 of 4 methods (−2.01 to −1.10) and is open with 1 (+0.02)`."""
    higher = found.comparison.higher
    parts = {
        "paid with": [c for c in tested if c.is_significant and (c.difference.mean > 0) == higher],
        "lost with": [c for c in tested if c.is_significant and (c.difference.mean > 0) != higher],
        "is open with": [c for c in tested if not c.is_significant],
    }
    said = [
        f"{verb} {len(those)} of {text.counted(len(tested), 'method')} ({_range(found, those)})"
        for verb, those in parts.items()
        if those
    ]
    return _listed(said)


def _range(found: Standing, contrasts: Sequence[Contrast]) -> str:
    ordered = sorted(contrasts, key=lambda contrast: contrast.difference.mean)
    shown = [cells.difference_parts(each, found.comparison.metric)[0] for each in ordered]
    return " to ".join(dict.fromkeys((shown[0], shown[-1])))


def _cost(found: Standing) -> Iterator[str]:
    """The best method that grows, where it is not the best row, and what it costs."""
    rows = found.comparison.rows
    grower = next((row for row in rows if row.role == "method" and row.results), None)
    if grower is None or found.comparison.differing:
        return
    fixed = found.comparison.row_like(grower, "fixed")
    is_named = grower.name == found.best
    name = text.one_line(grower.name)
    shown = name if is_named else f"The best that grows, {_scored(found, grower)},"
    spent = [r.estimate(COSTS["training_flops"]).mean for r in (grower, fixed) if r and r.results]
    if len(spent) == 2 and spent[1]:
        times = float(f"{spent[0] / spent[1]:.2g}")
        much = "as many training FLOPs as" if times == 1 else f"{times:g} × the training FLOPs of"
        yield f"{shown} took {much} fixed."
    elif not is_named:
        yield f"The best that grows is {_scored(found, grower)}."


def _scored(found: Standing, row: Row) -> str:
    return f"{text.one_line(row.name)} {cells.score(found, row)}"


def _row(found: Standing, name: str) -> Row:
    return next(row for row in found.comparison.rows if row.name == name)


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
