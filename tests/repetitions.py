"""How often a law is tried: everyday a fraction of what the thorough profile does."""

from hypothesis import settings
from scipy.stats import binom


def examples(thorough: int) -> int:
    """How many of so many examples the profile of this run asks for, at least one."""
    return max(1, round(thorough * settings().max_examples / 100))


def simulations(thorough: int) -> int:
    """The same of what happens by chance, where less than half as many would decide nothing."""
    return max(thorough // 2, examples(thorough))


def at_most(chance: float, tries: int) -> int:
    """How often what has this chance happens in so many tries, but once in a hundred times."""
    return int(binom.isf(0.01, tries, chance))
