"""How many seeds see how much."""

import math

import numpy as np

ALPHA = 0.05


def power(sd: float, pairs: int, gap: float, alpha: float = ALPHA) -> float:
    """The chance that a paired t-test sees a true gap between two methods.

    Args:
        sd: of one method's scores over seeds. The two methods' scores are taken as independent,
            so that their differences have sd √2; for a measured sd of differences give that / √2.
        pairs: seeds that both methods have.
        gap: between the true means, in the unit of sd.
        alpha: two-sided level of the test. A verdict for the worse method does not count.
    """
    from scipy.special import nctdtr, stdtrit

    if pairs < 2:
        return 0.0
    if sd == 0:
        return float(gap != 0)
    shift = abs(gap) / (sd * math.sqrt(2 / pairs))
    missed = nctdtr(pairs - 1, shift, stdtrit(pairs - 1, 1 - alpha / 2))
    return 1.0 - float(np.nan_to_num(missed))  # NaN where it underflows


def detectable_gap(sd: float, pairs: int, chance: float = 0.8) -> float | None:
    """The gap that `power` sees with this chance, in the unit of sd; None below two pairs.

    Raises:
        ValueError: if the chance is not between 0.05 and 1.
    """
    from scipy.optimize import root_scalar

    if not ALPHA <= chance < 1:
        raise ValueError(f"the chance is {chance}; give one of at least {ALPHA} and below 1")
    if pairs < 2:
        return None
    high = 1.0
    while power(1.0, pairs, high) < chance:
        high *= 2
    found = root_scalar(lambda gap: power(1.0, pairs, gap) - chance, bracket=(0.0, high))
    return sd * float(found.root)
