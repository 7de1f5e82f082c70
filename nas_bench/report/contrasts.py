"""Differences between rows, as answers to families of questions."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nas_bench.report.comparison import Comparison, differing
from nas_bench.report.questions import Question
from nas_bench.report.statistics import (
    TESTABLE,
    Difference,
    Interval,
    answers,
    detectable_gap,
    paired,
)
from nas_bench.report.statistics.differences import differences
from nas_bench.report.statistics.power import ALPHA
from nas_bench.tuning.history import settings

Values = Mapping[str, Mapping[int, float]]
"""The scores of rows by seed, of those that have any."""


@dataclass(frozen=True)
class Contrast:
    """A paired difference between two rows, as part of a family of questions.

    Attributes:
        question: what it answers.
        first, second: names of the rows; the difference is first minus second.
        difference: paired by seed.
        adjusted: its p among the questions of the family (max-T), None if not testable.
        interval: the differences that the same test would not reject; None if not testable.
    """

    question: str
    first: str
    second: str
    difference: Difference
    adjusted: float | None = None
    interval: Interval | None = None

    @property
    def is_significant(self) -> bool:
        """Whether it is told from 0, at 5 % for the whole family."""
        return self.adjusted is not None and self.adjusted <= ALPHA

    @property
    def detectable(self) -> float | None:
        """The difference that these seeds would show in four of five cases, asked alone."""
        if self.difference.pairs < TESTABLE or not self.difference.sd > 0:
            return None
        sd = self.difference.sd / math.sqrt(2)  # of one row's scores
        return detectable_gap(sd, self.difference.pairs)


def settings_apart(comparison: Comparison, contrast: Contrast) -> tuple[str, ...]:
    """The settings in which two tuned rows differ; rows that were not tuned are alike."""
    rows = {row.name: row for row in comparison.rows}
    both = [rows[name] for name in (contrast.first, contrast.second)]
    first, second = (settings(r.config) if r.tuning and r.config else {} for r in both)
    if not first or not second:
        return ()
    names = [name for name in first if name != "method" and first[name] != second.get(name)]
    changed = any(settings(r.config)["method"] != r.method for r in both if r.config)
    return (*(["options"] if changed else []), *names)


def answered(
    comparison: Comparison,
    families: Iterable[Sequence[Question]],
    values: Values,
) -> list[tuple[Contrast, ...]]:
    """The answers of each family, of pairs of rows that have scores and are comparable.

    What an earlier family has answered is no part of a later one's test.
    """
    known: dict[tuple[str, str], Contrast] = {}
    found = []
    for family in families:
        asked = [(q, pair) for q, *pair in family if _comparable(comparison, pair, values)]
        new = dict.fromkeys((a, b) for _, (a, b) in asked if (a, b) not in known)
        known |= {(c.first, c.second): c for c in _contrasts(list(new), values)}
        found.append(tuple(replace(known[a, b], question=q) for q, (a, b) in asked))
    return found


def _comparable(comparison: Comparison, names: Sequence[str], values: Values) -> bool:
    rows = {row.name: row for row in comparison.rows}
    readable = all(name in values and rows[name].config for name in names)
    return readable and not (comparison.differing and differing(rows[name] for name in names))


def _contrasts(pairs: Sequence[tuple[str, str]], values: Values) -> Iterator[Contrast]:
    """The answers of one family; all rows have the same seeds."""
    both = [(values[first], values[second]) for first, second in pairs]
    found = [paired(*scores) for scores in both]
    if not found or found[0].pairs < TESTABLE:
        yield from (Contrast("", *names, gap) for names, gap in zip(pairs, found, strict=True))
        return
    tested = answers([differences(*scores) for scores in both])
    for names, gap, answer in zip(pairs, found, tested, strict=True):
        yield Contrast("", *names, gap, answer.p, answer.interval)
