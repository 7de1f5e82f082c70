"""The results of ledgers, as a notebook looks at them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_bench.api.places import ledgers_of
from nas_bench.api.selection import paths
from nas_bench.specs import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from nas_bench.report.standing import Standing
    from nas_bench.results.gathering import Gathered


def _every(shown: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Results:
    """Results folders and packs, read when something of them is asked for; paths or text.

    Attributes:
        ledgers: the folders and packs; rows of the second one and later ones are marked.
        trials: what became of each trial of a run: id, task, method, seed, status.
        paths: files of the report that was written, tables first.
        asked: whether a comparison, by its protocol, version, kind, task and budget, is shown.
    """

    ledgers: tuple[Path, ...]
    trials: tuple[dict[str, Any], ...] = ()
    paths: tuple[Path, ...] = ()
    asked: Callable[[Mapping[str, Any]], bool] = field(default=_every, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ledgers", ledgers_of(paths(self.ledgers)))

    @property
    def ok(self) -> bool:
        """Whether every trial of the run has a result, or its method is not applicable."""
        return all(trial["status"] in ("ok", "not applicable") for trial in self.trials)

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """Every record, a row each, as `load_results` gives it; with its ledger if several."""
        from nas_bench.results.frame import frame_of

        return frame_of(self._found, with_ledger=len(self.ledgers) > 1)

    @property
    def checks(self) -> tuple[str, ...]:
        """Whether the second ledger and later ones reproduce the first one, a sentence each."""
        return tuple(check.sentence for check in self._found.checks)

    def table(self, task: str | None = None, protocol: str | None = None) -> "pd.DataFrame":
        """The leaderboards in plain numbers, as `leaderboard.csv` has them.

        Args:
            task: only this one; None: all.
            protocol: only this one; None: all.

        Raises:
            InputError: if there is none of this name, or no such ledger.
        """
        import pandas as pd

        from nas_bench.report.numbers import numbers

        return pd.DataFrame(numbers(self._narrowed(task, protocol)))

    def pareto(
        self, cost: str = "parameters", task: str | None = None, protocol: str | None = None
    ) -> "Figure":
        """Test score against a cost, with the Pareto front, of one comparison.

        Args:
            cost: parameters, flops, training_flops, seconds or with_tuning.
            task: of the comparison; None: the only one.
            protocol: of the comparison; None: the only one.

        Raises:
            InputError: if several comparisons are meant, the cost is none, or nothing is there.
        """
        from nas_bench.report.axes import AXES, cost_label
        from nas_bench.report.pareto import pareto_figure
        from nas_bench.report.theme import style

        if cost not in AXES:
            raise InputError(unknown("cost", cost, AXES))
        found = self._narrowed(task, protocol)
        if len(found) != 1:
            titles = "; ".join(standing.comparison.title for standing in found) or "none"
            raise InputError(
                f"a figure shows one comparison, of task and protocol, but here are: {titles}"
            )
        with style():
            figure = pareto_figure(found[0], cost, cost_label(found[0].comparison, cost))
        if figure is None:
            raise InputError(f"{found[0].comparison.title} has no result with {cost}")
        return figure

    def compare(
        self, first: str, second: str, task: str | None = None, protocol: str | None = None
    ) -> "pd.DataFrame":
        """Two rows, seed by seed: means, difference, interval and p, a row for each comparison.

        Args:
            first: named as in tables, such as `tiny[update=false]`.
            second: likewise.
            task: only this one; None: all.
            protocol: only this one; None: all.

        Raises:
            InputError: if there is no such row or ledger, or it stands for several rows.
        """
        from nas_bench.api.comparing import compared

        return compared(self._there, first, second, task, protocol).frame

    def _repr_html_(self) -> str:
        from nas_bench.report.html_table import leaderboard, lines
        from nas_bench.report.table import SHORT_NOTE
        from nas_bench.report.table import leaderboard as table

        shown = "".join(leaderboard(table(found)) for found in self._standings)
        return f"{lines(self.checks)}{shown}{lines([SHORT_NOTE])}"

    @cached_property
    def _found(self) -> "Gathered":
        from nas_bench.results.gathering import gathered

        return gathered(self._there)

    @property
    def _there(self) -> tuple[Path, ...]:
        """The ledgers, all of which are there."""
        if missing := [ledger for ledger in self.ledgers if not ledger.exists()]:
            raise InputError(f"there is no results folder or pack at {missing[0]}")
        return self.ledgers

    @cached_property
    def _standings(self) -> "list[Standing]":
        from nas_bench.report.comparison import comparisons
        from nas_bench.report.standing import standing

        found = comparisons(self._found.runs)
        return [standing(c) for c in found if self.asked({**vars(c), "budget": str(c.budget)})]

    def _narrowed(self, task: str | None, protocol: str | None) -> "Sequence[Standing]":
        from nas_bench.api.pairing import narrowed

        kept = narrowed([found.comparison for found in self._standings], task, protocol)
        return [found for found in self._standings if found.comparison in kept]
