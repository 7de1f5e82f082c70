"""Random new neurons, as layers are initialised from scratch."""

import math

import torch
from torch import Generator, Tensor

from nas_bench.growth.method import NewNeurons
from nas_bench.growth.statistics import SiteStatistics


def gaussian(rows: int, columns: int, generator: Generator, like: Tensor) -> Tensor:
    """Standard normal matrix, drawn on the CPU so that every device sees the same numbers."""
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return drawn.to(like.device)


def random_fan_in(statistics: SiteStatistics, k: int, generator: Generator) -> Tensor:
    """Kaiming fan-in weights N(0, 2/fan-in) with bias 0, shape (k, p)."""
    p = statistics.grown_weight.shape[1]
    fan_in = p - statistics.grown_bias
    weight = gaussian(k, fan_in, generator, statistics.grown_weight) * math.sqrt(2 / fan_in)
    return torch.cat((weight, weight.new_zeros(k, p - fan_in)), 1)


def with_mean_norm(fan_in: Tensor, statistics: SiteStatistics) -> Tensor:
    """Fan-in weights rescaled to the mean norm of the layer's rows, bias not counted in norms.

    Where all present rows are zero, √2 stands for their norm: what Kaiming's rule would give.
    """
    features = slice(None, -1) if statistics.grown_bias else slice(None)
    mean = statistics.grown_weight[:, features].norm(dim=1).mean()
    target = torch.where(mean > 0, mean, math.sqrt(2))
    return fan_in * (target / fan_in[:, features].norm(dim=1, keepdim=True))


def zero_fan_out_neurons(statistics: SiteStatistics, k: int, generator: Generator) -> NewNeurons:
    """Neurons with a Kaiming direction, the mean norm of the present rows and no fan-out."""
    fan_in = with_mean_norm(random_fan_in(statistics, k, generator), statistics)
    return NewNeurons(
        fan_in=fan_in,
        fan_out=fan_in.new_zeros(k, statistics.taps, statistics.outputs),
        gains=fan_in.new_zeros(k),
    )
