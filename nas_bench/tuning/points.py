"""Points of the unit cube at which search spaces are tried; the same in every search."""

from typing import Literal

Sampling = Literal["sobol", "random"]
DIMENSIONS = 64
"""Of every point, however few a search space reads, so that searches share the first ones."""
_SEED = 0


def points(sampling: Sampling, count: int) -> list[list[float]]:
    """The first so many points of a sequence that never changes: (count, DIMENSIONS), in [0, 1).

    Args:
        sampling: a scrambled Sobol sequence, or independent uniform numbers.
        count: at least 1; more of them begin with the same ones.
    """
    import numpy as np

    if sampling == "random":
        return np.random.default_rng(_SEED).random((count, DIMENSIONS)).tolist()
    from scipy.stats.qmc import Sobol

    sequence = Sobol(DIMENSIONS, rng=np.random.default_rng(_SEED))
    return sequence.random_base2((count - 1).bit_length())[:count].tolist()
