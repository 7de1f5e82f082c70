"""What the report says about chance: intervals, paired tests, ranks, fronts.

A seed gives all methods the same data in the same order, so every test compares them seed by
seed. Missing trials must be among the scores as the worst result: a seed that is left out is not
seen here. Everything random has a fixed seed, so that a report repeats.
"""

from nas_bench.report.statistics.critical import CriticalDifference, critical_difference
from nas_bench.report.statistics.differences import (
    TESTABLE,
    Difference,
    holm,
    jointly,
    paired,
    sign_flip,
    smallest_p,
)
from nas_bench.report.statistics.families import Answer, answers
from nas_bench.report.statistics.fronts import front_probability
from nas_bench.report.statistics.intervals import LEVEL, Interval, bca_interval, t_interval
from nas_bench.report.statistics.power import detectable_gap, power
from nas_bench.report.statistics.ranks import MeanRank, RankSet, mean_ranks, rank_sets

__all__ = [
    "LEVEL",
    "TESTABLE",
    "Answer",
    "CriticalDifference",
    "Difference",
    "Interval",
    "MeanRank",
    "RankSet",
    "answers",
    "bca_interval",
    "critical_difference",
    "detectable_gap",
    "front_probability",
    "holm",
    "jointly",
    "mean_ranks",
    "paired",
    "power",
    "rank_sets",
    "sign_flip",
    "smallest_p",
    "t_interval",
]
