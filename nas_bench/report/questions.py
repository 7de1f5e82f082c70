"""What is asked of a comparison, declared before looking: which row is compared with which."""

from collections.abc import Iterator

from nas_bench import plugins
from nas_bench.report.comparison import Comparison, Row
from nas_bench.specs import InputError, Spec, parse

SEED_SIZE = "fixed[size=seed]"
BASELINES = ("fixed", SEED_SIZE)
RANDOM = "random_growth"
SILENT = f"{RANDOM}[zero_fan_out=true]"
RIVALS = (BASELINES[0], RANDOM)
"""What each method is compared with."""
MATCHES = ("steps", "flops")
"""How twins are matched with what they are twins of."""
Question = tuple[str, str, str]
"""What is asked, and the names of two rows: the difference is the first's minus the second's."""


def families(comparison: Comparison) -> dict[str, list[list[Question]]]:
    """The families of questions that have one verdict a pair, in order, by what they are about."""
    return {
        "growing": [list(_growing(comparison, match)) for match in MATCHES],
        "against": [list(_against(comparison, spec)) for spec in RIVALS],
        "attribution": [list(_attribution(comparison))],
    }


def _growing(comparison: Comparison, match: str) -> Iterator[Question]:
    """Each grown row and what it is to be compared with, from scratch."""
    for row in comparison.rows:
        if row.role in ("method", "control"):
            twin = twin_of(comparison, row, match)
            if twin is not None:
                yield f"equal {match}", row.name, twin.name


def _against(comparison: Comparison, spec: str) -> Iterator[Question]:
    """Each method and a rival that is configured alike."""
    for row in comparison.rows:
        rival = _rival(comparison, row, spec) if row.role == "method" else None
        if rival is not None and rival is not row:
            yield f"against {spec}", row.name, rival.name


def _rival(comparison: Comparison, row: Row, spec: str) -> Row | None:
    """Random neurons are compared as they are added: silent ones with silent ones, if there are.

    A line search shrinks random neurons, and who is not shrunk has an advantage that it has not
    earned.
    """
    if spec == RANDOM and row.method != RANDOM:
        silent = comparison.row_like(row, SILENT)
        if silent is not None and _silent(row.method):
            return silent
    return comparison.row_like(row, spec)


def _silent(method: str) -> bool:
    """Whether growing keeps the function; not known of methods that are not here."""
    try:
        return plugins.method(method).preserves_function
    except InputError:
        return False


def twin_of(comparison: Comparison, row: Row, match: str) -> Row | None:
    """The networks that a row grew, trained from scratch.

    With the same target that is `fixed`, where the budget makes it equal.
    """
    originals = {run.id for run in row.runs}
    for other in comparison.rows:
        twin = other.config.twin if other.config else None
        if twin and twin.match == match and twin.of in originals:
            return other
    equal = {"flops": "flops", "seconds": None}.get(comparison.budget.unit, "steps")
    if comparison.kind != "same_target" or match != equal:
        return None
    return comparison.row_like(row, BASELINES[0])


def _attribution(comparison: Comparison) -> Iterator[Question]:
    """What each variant of TINY gains over random neurons, by its neurons and by δW*."""
    updated = f"{RANDOM}[update=true]"
    for row in comparison.rows:
        neurons = _without_update(row.method) if row.role != "twin" else None
        if neurons is not None:
            like = {spec: comparison.row_like(row, spec) for spec in (RANDOM, updated, neurons)}
            yield from _named(
                (f"{row.name} against random neurons", row, like[RANDOM]),
                ("its neurons, with δW*", row, like[updated]),
                ("its neurons, without δW*", like[neurons], like[RANDOM]),
                ("δW*, with its neurons", row, like[neurons]),
            )
    for row in comparison.rows:
        if row.method == RANDOM and row.role != "twin":
            with_update = comparison.row_like(row, updated)
            yield from _named(("δW*, with random neurons", with_update, row))


def _named(
    *questions: tuple[str, Row | None, Row | None],
) -> Iterator[Question]:
    """The questions of which both rows are there, with the rows' names."""
    for question, first, second in questions:
        if first and second:
            yield question, first.name, second.name


def _without_update(name: str) -> str | None:
    """The control that adds the same neurons of TINY without δW*; None if there is no δW*."""
    try:
        spec = parse(name)
    except InputError:  # whatever else a row is called
        return None
    if spec.name != "tiny" or False in (
        spec.options.get("update"),
        spec.options.get("projection"),
    ):
        return None
    return str(Spec("tiny", {**spec.options, "update": False}))
