"""The growth engine: grows any traceable `nn.Module`, with or without the harness."""

from nas_bench.growth.activity import Activity
from nas_bench.growth.ascent import ascended, lowest
from nas_bench.growth.effective_rank import RankedCandidates, by_effective_rank, effective_rank
from nas_bench.growth.event import GrowthEvent
from nas_bench.growth.exact import exact_neurons
from nas_bench.growth.grow import grow, growth_cost
from nas_bench.growth.kaiming import (
    gaussian,
    random_fan_in,
    with_mean_norm,
    zero_fan_out_neurons,
)
from nas_bench.growth.layers import SiteError
from nas_bench.growth.linalg import (
    InverseRoot,
    in_metric,
    inverse_root,
    inverse_root_of_rows,
    leading_directions,
    whitening,
)
from nas_bench.growth.line_searched import LineSearched
from nas_bench.growth.measure import measure, statistics_batch
from nas_bench.growth.method import (
    SEARCH_SAMPLES,
    GrowthMethod,
    LineSearch,
    Need,
    NewNeurons,
    UpdateAmplitude,
)
from nas_bench.growth.pools import PooledNeurons, Rest
from nas_bench.growth.rehearsal import GrowthCost
from nas_bench.growth.search_space import Choice, LogUniform, Range
from nas_bench.growth.significance import Significance, significance
from nas_bench.growth.sites import Refusal, Site, Survey
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.growth.tracing import find_sites, named_site, survey
from nas_bench.training.per_entry import PerEntryAdam

__all__ = [
    "SEARCH_SAMPLES",
    "Activity",
    "Choice",
    "GrowthCost",
    "GrowthEvent",
    "GrowthMethod",
    "InverseRoot",
    "LineSearch",
    "LineSearched",
    "LogUniform",
    "Need",
    "NewNeurons",
    "PerEntryAdam",
    "PooledNeurons",
    "Range",
    "RankedCandidates",
    "Refusal",
    "Rest",
    "Significance",
    "Site",
    "SiteError",
    "SiteStatistics",
    "Survey",
    "UpdateAmplitude",
    "ascended",
    "by_effective_rank",
    "effective_rank",
    "exact_neurons",
    "find_sites",
    "gaussian",
    "grow",
    "growth_cost",
    "in_metric",
    "inverse_root",
    "inverse_root_of_rows",
    "leading_directions",
    "lowest",
    "measure",
    "named_site",
    "random_fan_in",
    "significance",
    "statistics_batch",
    "survey",
    "whitening",
    "with_mean_norm",
    "zero_fan_out_neurons",
]
