"""Scores by seed as arrays, and their resampling."""

from collections.abc import Mapping, Sequence

import numpy as np

Values = Sequence[float] | np.ndarray

DRAWS = 2000  # of a bootstrap
EQUAL = 1e-9  # relative difference below which sums and costs differ by rounding alone


def finite(values: Values) -> np.ndarray:
    """The values as floats.

    Raises:
        ValueError: if one is NaN or infinite.
    """
    x = np.asarray(values, dtype=float)
    if not np.isfinite(x).all():
        raise ValueError(
            f"{x[~np.isfinite(x)][0]} is among the values, but statistics need finite numbers; "
            "let a trial without a result count as the worst one"
        )
    return x


def column(row: Mapping[int, float], name: str) -> np.ndarray:
    """The values of one row in the order of its seeds: (seeds,).

    Raises:
        ValueError: if there are none, or one is not finite.
    """
    if not row:
        raise ValueError(f"{name} has no seeds, but statistics need at least one; leave it out")
    return finite([row[seed] for seed in sorted(row)])


def oriented(row: Mapping[int, float], higher: bool) -> dict[int, float]:
    """The scores with the sign that makes higher better."""
    return {seed: score if higher else -score for seed, score in row.items()}


def means(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of each column, to 12 digits: (columns,)."""
    return _rounded(np.array([x.mean() for x in columns]))


def resamples(
    columns: Sequence[np.ndarray], draws: int, generator: np.random.Generator
) -> dict[int, np.ndarray]:
    """Seeds drawn with replacement, (seeds, draws) indices for each number of seeds.

    Columns with equally many seeds get the same draws: methods are paired by seed.
    """
    sizes = sorted({x.size for x in columns})
    return {size: generator.integers(size, size=(size, draws)) for size in sizes}


def drawn_means(columns: Sequence[np.ndarray], indices: Mapping[int, np.ndarray]) -> np.ndarray:
    """Mean of each resampled column, to 12 digits: (columns, draws)."""
    return _rounded(np.array([x[indices[x.size]].mean(axis=0) for x in columns]))


def tasks_of_all(scores: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The tasks of method → task → anything.

    Raises:
        ValueError: if a method lacks a task that another has.
    """
    tasks = sorted({task for row in scores.values() for task in row})
    for name, row in scores.items():
        if missing := [task for task in tasks if task not in row]:
            raise ValueError(
                f"{name} has no score on {missing[0]}, but ranks over tasks need every method on "
                "every task; leave the method or the task out"
            )
    return tasks


def _rounded(x: np.ndarray) -> np.ndarray:
    """Without the last digits, which depend on the order of adding: ties stay ties."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa, 12), exponent)
