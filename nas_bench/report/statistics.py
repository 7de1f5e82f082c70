"""What the report says about chance: intervals, paired tests, ranks, fronts.

Every test is paired: a seed gives all methods the same data order, so the methods' scores are
compared seed by seed. Missing trials must be in the scores as the worst result; a seed that is
left out is not seen here. Everything random has a seed of its own, so that a report repeats.

References:
    Permutation, Parametric, and Bootstrap Tests of Hypotheses. P. Good, 2005.
    A simple sequentially rejective multiple test procedure. S. Holm, 1979.
    Statistical comparisons of classifiers over multiple data sets. J. Demšar, 2006,
        https://jmlr.org/papers/v7/demsar06a.html
    Better bootstrap confidence intervals. B. Efron, 1987.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Values = Sequence[float] | np.ndarray

LEVEL = 0.95
TESTABLE = 6  # with 5 paired seeds the smallest two-sided p is 0.0625
_ALPHA = 0.05
_DRAWS = 2000
_EXACT = 20  # seeds up to which all 2ⁿ sign flips are enumerated
_FLIPS = 99_999  # drawn above that
_BLOCK = 2**18  # sums held at once: they stay in the processor's cache
_EQUAL = 1e-9  # relative difference below which sums and costs are rounding


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One method minus another over the seeds of both.

    Attributes:
        pairs: seeds that both have.
        mean: of the differences; NaN without a pair.
        sd: of the differences; NaN below two pairs.
        interval: t interval of the mean; None below two pairs.
        p: exact two-sided sign-flip test, not corrected for other tests; None below TESTABLE.
    """

    pairs: int
    mean: float
    sd: float
    interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class MeanRank:
    """Mean over tasks of the rank within each, 1 being best, with a bootstrap interval."""

    mean: float
    interval: Interval


@dataclass(frozen=True)
class CriticalDifference:
    """Friedman's test and Nemenyi's critical difference of mean ranks.

    Attributes:
        tasks: that the ranks are means over.
        friedman_p: that all methods are equal.
        distance: mean ranks at least this far apart are told apart.
        groups: methods that are not told apart, best first: every largest set of two or more.
    """

    tasks: int
    friedman_p: float
    distance: float
    groups: tuple[tuple[str, ...], ...]


def t_interval(values: Values, level: float = LEVEL) -> Interval | None:
    """Student's interval of the mean; None for fewer than two values."""
    from scipy.special import stdtrit

    x = _finite(values)
    if x.size < 2:
        return None
    margin = float(stdtrit(x.size - 1, (1 + level) / 2)) * x.std(ddof=1) / math.sqrt(x.size)
    return Interval(float(x.mean() - margin), float(x.mean() + margin))


def bca_interval(values: Values, level: float = LEVEL, seed: int = 0) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean.

    None where it is not defined: for fewer than three values. Equal values give a point.
    """
    x = _finite(values)
    if x.size < 3:
        return None
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]))
    from scipy.stats import bootstrap

    interval = bootstrap(
        (x,),
        np.mean,
        n_resamples=_DRAWS,
        confidence_level=level,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(interval.low), float(interval.high))


def sign_flip(differences: Values) -> float:
    """Two-sided p of the mean difference when each difference may have either sign.

    Exact over all 2ⁿ sign flips up to 20 differences, drawn with a fixed seed above.
    """
    return float(sign_flips([differences])[0])


def sign_flips(differences: Sequence[Values]) -> np.ndarray:
    """`sign_flip` of each of k rows of differences, of any lengths: (k,)."""
    rows = [_finite(row) for row in differences]
    p = np.empty(len(rows))
    exact = np.array([row.size <= _EXACT for row in rows], dtype=bool)
    p[exact] = _exact([row for row in rows if row.size <= _EXACT])
    p[~exact] = [_drawn(row) for row in rows if row.size > _EXACT]
    return p


def smallest_p(pairs: int) -> float:
    """The least that `sign_flip` can give for this many differences: 2/2ⁿ."""
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p_values: Values) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given."""
    p = _finite(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return tuple(np.minimum(adjusted, 1).tolist())


def power(sd: float, pairs: int, gap: float, alpha: float = _ALPHA) -> float:
    """The chance that a paired t-test sees a true gap between two methods.

    Args:
        sd: of one method's scores over seeds. The scores of two methods are taken as
            independent, so their differences have sd √2; for a measured sd of differences
            give that / √2.
        pairs: seeds.
        gap: true difference of the means, in the unit of sd.
        alpha: two-sided level of the test.
    """
    from scipy.special import nctdtr, stdtrit

    if pairs < 2:
        return 0.0
    if sd == 0:
        return float(gap != 0)
    shift = abs(gap) / (sd * math.sqrt(2 / pairs))
    bound = stdtrit(pairs - 1, 1 - alpha / 2)
    return float(1 - nctdtr(pairs - 1, shift, bound) + nctdtr(pairs - 1, shift, -bound))


def detectable_gap(sd: float, pairs: int, chance: float = 0.8) -> float | None:
    """The gap that `power` sees with this chance, in (0.05, 1); None below two pairs."""
    from scipy.optimize import root_scalar

    if not _ALPHA < chance < 1:
        raise ValueError(f"chance is {chance}, but must lie between {_ALPHA} and 1")
    if pairs < 2:
        return None
    high = 1.0
    while power(1.0, pairs, high) < chance:
        high *= 2
    found = root_scalar(lambda gap: power(1.0, pairs, gap) - chance, bracket=(0.0, high))
    return sd * float(found.root)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Difference:
    """First minus second over the seeds of both."""
    gaps = _differences(first, second)
    mean = float(gaps.mean()) if gaps.size else math.nan
    sd = float(gaps.std(ddof=1)) if gaps.size > 1 else math.nan
    p = sign_flip(gaps) if gaps.size >= TESTABLE else None
    return Difference(gaps.size, mean, sd, t_interval(gaps), p)


def shared_ranks(scores: Mapping[str, Mapping[int, float]], higher: bool) -> dict[str, int | None]:
    """Ranks that are shared by rows that cannot be told from the best of their group.

    The best mean leads. Rows below it that the sign-flip test, with Holm's correction over
    all of them, cannot tell from it at 5 % share its rank, also where a row between them is
    told; the best of the rest leads the next group. A rank is 1 + the rows in better groups.

    Args:
        scores: row → seed → score.
        higher: whether higher scores are better.

    Returns:
        The rank of each row; None for all where a tested pair has too few seeds to be told,
        whatever its scores: fewer than TESTABLE, or more where many rows are corrected for.
    """
    rows = {name: _oriented(row, higher) for name, row in scores.items()}
    means = _means([_row(row, name) for name, row in rows.items()])
    left = [name for _, name in sorted(zip(-means, rows, strict=True), key=lambda pair: pair[0])]
    ranks: dict[str, int] = {}
    while left:
        told = _told(rows, left)
        if told is None:
            return dict.fromkeys(rows, None)
        rank = len(ranks) + 1
        ranks |= {name: rank for name in left if name not in told}
        left = [name for name in left if name in told]
    return {name: ranks[name] for name in rows}


def mean_ranks(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
    higher: Mapping[str, bool],
    draws: int = _DRAWS,
    seed: int = 0,
) -> dict[str, MeanRank]:
    """Mean over tasks of each method's rank by mean score, ties averaged.

    The interval is a percentile bootstrap, stratified: within each task the seeds are drawn
    anew, the same for all methods that have the same number of them.

    Args:
        scores: method → task → seed → score; every method has every task.
        higher: task → whether higher scores are better.
        draws: of the bootstrap.
        seed: of the bootstrap.
    """
    from scipy.stats import rankdata

    generator = np.random.default_rng(seed)
    ranks, drawn = [], []
    for task in _tasks(scores):
        named = {name: _oriented(tasks[task], higher[task]) for name, tasks in scores.items()}
        rows = [_row(row, f"{name} on {task}") for name, row in named.items()]
        ranks.append(rankdata(-_means(rows)))
        drawn.append(rankdata(-_drawn_means(rows, _resamples(rows, draws, generator)), axis=0))
    means = np.mean(ranks, axis=0)
    ends = np.quantile(np.mean(drawn, axis=0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return {
        name: MeanRank(float(mean), Interval(float(low), float(high)))
        for name, mean, low, high in zip(scores, means, *ends, strict=True)
    }


def critical_difference(
    scores: Mapping[str, Mapping[str, float]], higher: Mapping[str, bool], alpha: float = _ALPHA
) -> CriticalDifference | None:
    """Which methods' mean ranks over tasks differ, after Demšar; None below 5 tasks or 3 methods.

    Where Friedman's test does not reject, all methods are one group.

    Args:
        scores: method → task → mean score; every method has every task.
        higher: task → whether higher scores are better.
        alpha: level of both tests.
    """
    tasks = _tasks(scores)
    if len(tasks) < 5 or len(scores) < 3:
        return None
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    table = np.array(
        [[-_sign(higher[task]) * row[task] for task in tasks] for row in scores.values()]
    )
    ranks = rankdata(_finite(table), axis=0)
    constant = bool((ranks == ranks[0]).all())
    p = 1.0 if constant else float(friedmanchisquare(*table).pvalue)
    count = len(scores)
    quantile = studentized_range.ppf(1 - alpha, count, np.inf) / math.sqrt(2)
    distance = float(quantile * math.sqrt(count * (count + 1) / (6 * len(tasks))))
    means = sorted(zip(ranks.mean(axis=1), scores, strict=True), key=lambda pair: pair[0])
    groups = _cliques(means, distance if p < alpha else math.inf)
    return CriticalDifference(len(tasks), p, distance, groups)


def front_probability(
    costs: Mapping[str, Mapping[int, float]],
    scores: Mapping[str, Mapping[int, float]],
    higher: bool,
    draws: int = _DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """The share of bootstrap draws in which no other row dominates the row's mean cost and score.

    A row dominates another if it is no worse in both and better in one. Seeds are drawn anew,
    the same for all rows that have the same number of them.

    Args:
        costs: row → seed → cost, lower being better.
        scores: row → seed → score, for the same rows and seeds.
        higher: whether higher scores are better.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if a row's costs and scores have different seeds.
    """
    if costs.keys() != scores.keys() or any(costs[n].keys() != scores[n].keys() for n in costs):
        raise ValueError("costs and scores have different rows or seeds; give both for each trial")
    rows = [_row(_oriented(row, higher), name) for name, row in scores.items()]
    paid = [_row(costs[name], name) for name in scores]
    indices = _resamples(rows, draws, np.random.default_rng(seed))
    kept = _not_dominated(_drawn_means(paid, indices), _drawn_means(rows, indices))
    return dict(zip(scores, kept.mean(axis=1).tolist(), strict=True))


def _finite(values: Values) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if not np.isfinite(x).all():
        raise ValueError(
            f"{x[~np.isfinite(x)][0]} is among the values, but statistics need finite numbers; "
            "let a trial without a result count as the worst one"
        )
    return x


def _exact(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Sign-flip p over all flips; zeros that fill shorter rows change no p."""
    table = np.zeros((len(rows), max((row.size for row in rows), default=0)))
    for line, row in zip(table, rows, strict=True):
        line[: row.size] = row
    step = max(1, _BLOCK >> table.shape[1])
    parts = [_enumerated(table[at : at + step]) for at in range(0, len(rows), step)]
    return np.concatenate([np.empty(0), *parts])


def _enumerated(table: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(table), 1))
    for column in table.T[:, :, None]:
        sums = np.hstack([sums + column, sums - column])
    return (abs(sums) >= _observed(table)[:, None]).mean(axis=1)


def _observed(table: np.ndarray) -> np.ndarray:
    """|Σ differences|, less rounding: a flip that gives the same sum counts."""
    return abs(table.sum(axis=-1)) - _EQUAL * abs(table).sum(axis=-1)


def _drawn(row: np.ndarray) -> float:
    signs = np.random.default_rng(0).integers(0, 2, (_FLIPS, row.size), dtype=np.int8) * 2 - 1
    return float(((abs(signs @ row) >= _observed(row)).sum() + 1) / (_FLIPS + 1))


def _differences(first: Mapping[int, float], second: Mapping[int, float]) -> np.ndarray:
    return _finite([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def _sign(higher: bool) -> int:
    return 1 if higher else -1


def _oriented(row: Mapping[int, float], higher: bool) -> dict[int, float]:
    """The scores with a sign that makes higher better."""
    return {seed: _sign(higher) * score for seed, score in row.items()}


def _row(row: Mapping[int, float], name: str) -> np.ndarray:
    """The values by seed, at least one."""
    if not row:
        raise ValueError(f"{name} has no seeds, but statistics need a score; leave it out")
    return _finite([row[seed] for seed in sorted(row)])


def _tasks(scores: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The tasks, which every method must have."""
    tasks = sorted({task for row in scores.values() for task in row})
    for name, row in scores.items():
        if missing := [task for task in tasks if task not in row]:
            raise ValueError(f"{name} has no score on {missing[0]}; leave one of them out")
    return tasks


def _told(rows: Mapping[str, Mapping[int, float]], left: Sequence[str]) -> set[str] | None:
    """Those that are told from the first, which is best; None where a pair is not testable."""
    leader, *others = left
    gaps = [_differences(rows[leader], rows[other]) for other in others]
    if any(p > _ALPHA for p in holm([smallest_p(gap.size) for gap in gaps])):
        return None
    adjusted = holm(sign_flips(gaps))
    compared = zip(others, adjusted, gaps, strict=True)
    return {other for other, p, gap in compared if p <= _ALPHA and gap.sum() > 0}


def _rounded(means: np.ndarray) -> np.ndarray:
    """Means without the digits that depend on the order of adding, so that ties are ties."""
    scale = abs(means).max(initial=0.0) or 1.0
    return np.round(means / scale, 12)


def _means(rows: Sequence[np.ndarray]) -> np.ndarray:
    return _rounded(np.array([row.mean() for row in rows]))


def _resamples(
    rows: Iterable[np.ndarray], draws: int, generator: np.random.Generator
) -> dict[int, np.ndarray]:
    """Indices (seeds, draws) with replacement for each number of seeds, from the same draws."""
    sizes = {row.size for row in rows}
    uniform = generator.random((max(sizes, default=0), draws))
    return {size: (uniform[:size] * size).astype(int) for size in sizes}


def _drawn_means(rows: Sequence[np.ndarray], indices: Mapping[int, np.ndarray]) -> np.ndarray:
    """Means of the resampled rows: (rows, draws)."""
    return _rounded(np.array([row[indices[row.size]].mean(axis=0) for row in rows]))


def _cliques(means: Sequence[tuple[float, str]], distance: float) -> tuple[tuple[str, ...], ...]:
    """The largest runs of neighbours, by mean rank, that lie within the distance."""
    ends = [sum(other < mean + distance for other, _ in means) for mean, _ in means]
    runs = [
        (start, end)
        for start, end in enumerate(ends)
        if end - start > 1 and (start == 0 or end > ends[start - 1])
    ]
    return tuple(tuple(name for _, name in means[start:end]) for start, end in runs)


def _not_dominated(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Whether no other row dominates, for (rows, draws) of each."""
    kept = np.empty(costs.shape, dtype=bool)
    for row, (cost, score) in enumerate(zip(costs, scores, strict=True)):
        margin = _EQUAL * abs(cost)
        no_worse = (costs <= cost + margin) & (scores >= score)
        kept[row] = ~(no_worse & ((costs < cost - margin) | (scores > score))).any(axis=0)
    return kept
