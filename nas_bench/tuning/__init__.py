"""Equal tuning: the same number of configurations and the same FLOPs for every method."""

from nas_bench.tuning.choice import Chosen, choose
from nas_bench.tuning.history import Tuning, tunings
from nas_bench.tuning.points import Sampling
from nas_bench.tuning.search import Search, searches, tuned

__all__ = ["Chosen", "Sampling", "Search", "Tuning", "choose", "searches", "tuned", "tunings"]
