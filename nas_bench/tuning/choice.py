"""Which configuration of a search is best on validation data; test data is never looked at."""

import math
from dataclasses import dataclass
from statistics import fmean

from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run
from nas_bench.results.summary import ENDED_WELL
from nas_bench.tuning.history import spent
from nas_bench.tuning.search import Candidate, Search


@dataclass(frozen=True)
class Chosen:
    """What a search has found.

    Attributes:
        search: that has ended.
        candidate: the best one; the default if none has a result.
        scores: of each candidate on validation data, higher is better: mean accuracy, or the
            negative loss; -inf where a trial has no finite result.
        failed: trials without a result that neither were stopped nor are not applicable.
        stopped: trials that were stopped early.
        applies_nowhere: whether the method refuses the task's network with every configuration.
        flops: training and growth of all trials of this search.
    """

    search: Search
    candidate: Candidate
    scores: tuple[float, ...]
    failed: int
    stopped: int
    applies_nowhere: bool
    flops: float

    @property
    def score(self) -> float:
        """Of the candidate chosen."""
        return max(self.scores)


def choose(search: Search, ledger: Ledger) -> Chosen:
    """The configuration with the best final validation score, the earliest of equal ones."""
    runs = [[ledger.glance(trial) for trial in c.trials] for c in search.candidates]
    scores = tuple(fmean(map(_final_score, group)) for group in runs)
    known = [run for group in runs for run in group if run]
    stopped = sum(run.status == "stopped" for run in known)
    failed = sum(run is None or run.status not in ENDED_WELL for group in runs for run in group)
    return Chosen(
        search=search,
        candidate=search.candidates[scores.index(max(scores))],
        scores=scores,
        failed=failed,
        stopped=stopped,
        applies_nowhere=bool(known) and all(run.status == "not applicable" for run in known),
        flops=spent(known),
    )


def _final_score(run: Run | None) -> float:
    """Accuracy at the end of the budget, else the negative loss; -inf without a finite one."""
    if run is None or run.status != "ok" or run.result is None:
        return -math.inf
    return run.result.validation_score
