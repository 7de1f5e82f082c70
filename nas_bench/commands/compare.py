"""`nas-bench compare A B`: is one method better than another, seed by seed."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_bench.api.places import RESULTS_VARIABLE
from nas_bench.commands.parameters import (
    NOTHING,
    OK,
    PathGiven,
    examples,
    json_option,
    ledgers_given,
    print_json,
    say_damage,
    say_nothing,
    say_strays,
    shown_ledgers,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.api.pairing import Pairing
    from nas_bench.report.comparison import Row

_NOTE = (
    "Test accuracy in percent, or test loss: means over seeds; a trial without a result counts as "
    "the worst score of its comparison, untrained networks included. Difference: {first} minus "
    "{second}, paired by seed, with the differences that the test would not reject at 5 %. p: "
    "exact two-sided sign-flip test. Visible gap: what these seeds would show in four of five "
    "cases."
)
_UNTESTED = " Not testable: below {least} paired seeds no difference can be significant at 5 %."
_FAMILY = " In brackets: p among the {tests} comparisons tested (max-T over joint sign flips)."
_EPILOG = examples(
    "nas-bench compare tiny random_growth",
    "nas-bench compare tiny 'tiny twin (flops)' --task mnist --results results/published",
    "nas-bench compare 'tiny[update=false]' random_growth --json",
)


@click.command(epilog=_EPILOG)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--results",
    type=PathGiven(path_type=Path),
    multiple=True,
    help=f"Results folder or pack; repeatable.  [default: ${RESULTS_VARIABLE}, else "
    "./results/local]",
)
@click.option("--task", help="Only this task; all of them if not given.")
@click.option("--protocol", help="Only this protocol; all of them if not given.")
@json_option()
@verbose_option()
def compare(
    first: str,
    second: str,
    results: tuple[Path, ...],
    task: str | None,
    protocol: str | None,
    as_json: bool,
) -> int:
    """Compare the methods A and B of a results folder, seed by seed.

    A and B are named as in its tables, such as tiny, 'tiny[update=false]' or 'tiny twin (flops)';
    of several ledgers, those of the second one and later ones as 'tiny @ LEDGER'.
    """
    from nas_bench.api.comparing import compared
    from nas_bench.api.pairing import pairing_values

    ledgers = ledgers_given(results)
    answer = compared(ledgers, first, second, task, protocol)
    say_damage(answer.found.damage)
    say_strays(answer.found.aside)
    for line in (*(check.sentence for check in answer.found.checks), *answer.refused):
        click.echo(line, err=True)
    if answer.nothing:
        return say_nothing("compare", ledgers[0], answer.nothing)
    if as_json:
        shown = list(map(pairing_values, answer.pairings))
        said = {"problems": answer.found.damage, "strays": answer.found.aside}
        print_json({"results": shown_ledgers(ledgers), "comparisons": shown, **said})
    elif answer.pairings:
        _print(answer.pairings)
    if not answer.pairings:
        click.echo(f"Nothing to compare: no comparison holds both {first} and {second}", err=True)
        return NOTHING
    return OK


def _print(pairings: Sequence["Pairing"]) -> None:
    """A table with a line for each comparison, the trials without a result, and a note."""
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = [_shared([pairing.rows[side] for pairing in pairings]) for side in (0, 1)]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("comparison", overflow="fold")
    for name in ("seeds", *names, "difference", "p", "visible gap"):
        table.add_column(Text(name), justify="right", overflow="fold")
    for pairing in pairings:
        table.add_row(*map(Text, _cells(pairing)))
    console = Console(width=max(shutil.get_terminal_size((120, 24)).columns, 100), highlight=False)
    console.print(table)
    for line in chain.from_iterable(map(_remarks, pairings)):
        console.print(Text(line, "yellow"))
    console.print(Text(_note(pairings, *names), "dim"))


def _shared(rows: Sequence["Row"]) -> str:
    """Their name, without the settings where these differ."""
    from nas_bench.api.pairing import label
    from nas_bench.text import one_line

    names = {row.name for row in rows}
    return one_line(names.pop() if len(names) == 1 else label(rows[0]))


def _cells(pairing: "Pairing") -> Iterator[str]:
    from nas_bench import text

    metric, found = pairing.comparison.metric, pairing.difference
    yield text.one_line(pairing.comparison.title)
    pairs = found.pairs if found else 0
    yield str(pairs) if pairing.measured == pairs else f"{pairs} ({pairing.measured} measured)"
    yield from (text.score(pairing.mean(row), None, metric) for row in pairing.rows)
    if found is None:
        yield from ("–", "–", "–")
        return
    ends = (found.interval.low, found.interval.high) if found.interval else None
    yield text.difference(found.mean, ends, metric)
    yield _p(pairing)
    visible = pairing.visible
    yield "–" if visible is None else text.score(visible, None, metric)


def _p(pairing: "Pairing") -> str:
    from nas_bench.text import p_value

    found, adjusted = pairing.difference, pairing.adjusted
    if found is None or found.p is None or adjusted is None:
        return "not testable"
    among = f" ({p_value(adjusted)})" if adjusted != found.p else ""
    return f"{p_value(found.p)}{among}"


def _remarks(pairing: "Pairing") -> Iterator[str]:
    """A line for each seed that counts as the worst, and for each row of mixed origin."""
    from nas_bench.report.comparison import differing
    from nas_bench.text import one_line

    if parts := differing(pairing.rows):
        title = one_line(pairing.comparison.title)
        yield f"{title}: not comparable, since the rows are of different {' and '.join(parts)}"
    for row in pairing.rows:
        place = one_line(f"{pairing.comparison.title}: {row.name}")
        for seed, why in pairing.missing(row).items():
            yield f"{place}, seed {seed}: {one_line(why)}"
        if row.mixed:
            yield f"{place}: seeds of different behaviour, defaults or data"


def _note(pairings: Sequence["Pairing"], first: str, second: str) -> str:
    from nas_bench.report.statistics import TESTABLE

    tests = sum(pairing.adjusted is not None for pairing in pairings)
    note = _NOTE.format(first=first, second=second)
    untested = _UNTESTED.format(least=TESTABLE) if tests < len(pairings) else ""
    return note + untested + (_FAMILY.format(tests=tests) if tests > 1 else "")
