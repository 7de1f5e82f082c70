"""Small changes of the engine, made to running functions, and the fingerprint that sees each."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from nas_bench.growth import amplitude, ascent, bracketing, kaiming, linalg, paths, widen
from nas_bench.growth import optimizer as policies
from nas_bench.growth.effective_rank import by_effective_rank
from nas_bench.growth.fields import Kernel
from nas_bench.growth.measure import statistics_batch
from nas_bench.growth.significance import _on_rows, significance
from nas_bench.growth.site_weights import SiteWeights
from nas_bench.growth.statistics import SiteStatistics
from nas_bench.methods.cascade_correlation import Errors
from nas_bench.methods.firefly import Firefly
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.north_preactivation import NorthPreactivation
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.senn import Residual
from nas_bench.methods.tiny import Tiny
from nas_bench.training import augmentation, data, decompositions, flops, optimizers, order
from nas_bench.training.new_rates import NewRates
from nas_bench.trials import architecture, schedule
from nas_bench.trials.agenda import Agenda
from nas_bench.trials.state import State
from nas_bench.triggers.exponential import Exponential
from nas_bench.triggers.north import North
from nas_bench.triggers.plateau import Plateau


@dataclass(frozen=True)
class Mutation:
    """One change.

    Attributes:
        name: what it does.
        function: that is changed.
        old: a part of its source that stands there once.
        new: in its place.
        seen_by: the fingerprint whose numbers move.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seen_by: str


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """The function computes something else inside, wherever it was imported."""
    function = mutation.function
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutation.old) == 1, f"{mutation.name}: {mutation.old!r} is not there once"
    names: dict[str, Any] = {}
    exec(source.replace(mutation.old, mutation.new), function.__globals__, names)
    before = function.__code__
    changed = names[function.__name__]
    function.__code__ = getattr(changed, "func", changed).__code__
    _forget()
    try:
        yield
    finally:
        function.__code__ = before
        _forget()


def _forget() -> None:
    data.forget()
    architecture.forget()


MUTATIONS = (
    Mutation(
        "amplitudes next to the best are not tried",
        bracketing._next,
        "lowest - 1 if below",
        "lowest - 3 if below",
        "random_growth-update-on depthwise",
    ),
    Mutation(
        "near ties take the larger amplitude",
        amplitude._searched,
        "min(losses, key=_order(losses))",
        "max(losses, key=lambda e: -losses[e] + 1e-3 * e)",
        "tiny-significance-off tokens",
    ),
    Mutation(
        "δW* is not scaled with the neurons",
        amplitude.with_amplitude,
        "update * factor",
        "update",
        "tiny mlp",
    ),
    Mutation(
        "the sign rule is flipped",
        amplitude.Search.oriented,
        "plus > minus",
        "plus < minus",
        "random_growth mlp",
    ),
    Mutation(
        "γ forgets δW*",
        amplitude.Search.scale,
        "self.change(part,",
        "self.change(replace(part, update=None),",
        "tiny-shared depthwise",
    ),
    Mutation(
        "neurons are searched before the update",
        amplitude.line_search,
        "search.updated(applied_update) if moved else search",
        "search",
        "tiny mlp",
    ),
    Mutation(
        "to the letter the update is scaled",
        amplitude.line_search,
        'proposal.update_amplitude == "one"',
        "False",
        "tiny-to-the-letter mlp",
    ),
    Mutation(
        "the constant has a ridge, too",
        linalg.ridged,
        "alive[-1] = False",
        "pass",
        "tiny mlp",
    ),
    Mutation(
        "the ridge is as large as the largest feature",
        linalg.ridged,
        "[alive].mean()",
        "[alive].max()",
        "update_only mlp",
    ),
    Mutation(
        "the bias row counts as an input",
        kaiming.random_fan_in,
        "math.sqrt(2 / fan_in)",
        "math.sqrt(2 / p)",
        "random_growth mlp",
    ),
    Mutation(
        "an eigendecomposition costs eight cubes instead of nine",
        decompositions._eigh,
        "9 *",
        "8 *",
        "tiny-exact-on convnet",
    ),
    Mutation(
        "a Cholesky decomposition is free",
        decompositions._cholesky,
        "// 3",
        "* 0",
        "tiny tokens",
    ),
    Mutation(
        "training is charged as inference",
        flops.training_flops,
        "/ _SAMPLES",
        "/ 3 / _SAMPLES",
        "fixed",
    ),
    Mutation(
        "the validation split is shifted by one",
        data.split,
        "torch.arange(count) * n // count",
        "(torch.arange(count) * n // count + 1) % n",
        "tiny tokens",
    ),
    Mutation(
        "epochs keep the order of the data",
        order.DataOrder.next,
        "torch.randperm(self.n, generator=self.generator)",
        "torch.arange(self.n)",
        "fixed",
    ),
    Mutation(
        "the second moment of new entries starts at 0",
        policies._grown,
        'policy in ("transplant", "copied") and',
        "False and",
        "tiny-projection-off mlp",
    ),
    Mutation(
        "reset keeps the state of what did not grow",
        policies.transplant,
        "optimizer.state.clear()",
        "pass",
        "tiny-significance-off mlp",
    ),
    Mutation(
        "null draws are fewer",
        significance,
        "made < DRAWS",
        "made < DRAWS - 12",
        "tiny convnet",
    ),
    Mutation(
        "null goals are not projected again",
        _on_rows,
        "fitted is not None",
        "False",
        "tiny mlp",
    ),
    Mutation(
        "the bottleneck is that of v, not of v_p",
        vars(SiteStatistics)["residual_cross_covariance"].func,
        "self.hidden_cross @ self.weight_update.T",
        "0",
        "tiny mlp",
    ),
    Mutation(
        "eigenvalues are not cut",
        linalg.inverse_root,
        "cut * eigenvalues[-1:]",
        "0 * eigenvalues[-1:]",
        "north_preactivation convnet",
    ),
    Mutation(
        "the statistics batch is half of D.1's",
        statistics_batch,
        "factor * inputs**2 / positions), 500)",
        "factor * inputs**2 / positions), 50)",
        "tiny mlp",
    ),
    Mutation(
        "new channels behind a batch norm keep weight 1",
        widen._widened_batch_norm,
        "(moments.variance + norm.eps).sqrt()",
        "moments.variance * 0 + 1",
        "random_growth convnet",
    ),
    Mutation(
        "a new depthwise kernel is 1 in its corner",
        widen._widened_depthwise,
        "(of.kernel_size[1] - 1) // 2",
        "0",
        "random_growth depthwise",
    ),
    Mutation(
        "positions count half as much again",
        Kernel.readers,
        "like.new_ones(",
        "1.5 * like.new_ones(",
        "tiny convnet",
    ),
    Mutation(
        "gradmax takes means with it behind batch norm",
        vars(SiteStatistics)["silent_gradient"].func,
        "if self.batch_norm",
        "if not self.batch_norm",
        "gradmax convnet",
    ),
    Mutation(
        "gradmax counts the bias among the inputs",
        GradMax.propose,
        "slice(None, -1) if statistics.grown_bias",
        "slice(None) if True",
        "gradmax mlp",
    ),
    Mutation(
        "net2net shares equally",
        Net2Net._shared,
        "(given / totals[copied])",
        "(given * 0 + 0.5)",
        "net2net mlp",
    ),
    Mutation(
        "north ranks by the sum of singular values",
        by_effective_rank,
        "ranks[by_sum].argsort",
        "sums[by_sum].neg().argsort",
        "north_preactivation mlp",
    ),
    Mutation(
        "north keeps candidates along what is there",
        NorthPreactivation.propose,
        "drawn - present @ (present.T @ drawn)",
        "drawn",
        "north_preactivation mlp",
    ),
    Mutation(
        "random fan-out forgets that the layer grows",
        RandomGrowth.propose,
        "(statistics.width + k) * taps",
        "statistics.width * taps",
        "random_growth mlp",
    ),
    Mutation(
        "rows of the grown layer do not move",
        widen.widen,
        "(grown, neurons.grown_update)",
        "(grown, None)",
        "splitting mlp",
    ),
    Mutation(
        "ReLU bends as another softplus does",
        paths.curvature,
        "kink * sharpness",
        "kink",
        "splitting mlp",
    ),
    Mutation(
        "halves leave their fan-out where it was",
        SiteWeights.taken,
        "= -lost",
        "= -0 * lost",
        "splitting mlp",
    ),
    Mutation(
        "Krylov vectors are not made orthogonal",
        ascent.lowest,
        "(new @ basis.mT) @ basis",
        "0 * new",
        "splitting-fast convnet",
    ),
    Mutation(
        "rows climb downwards",
        ascent.ascended,
        "new > value",
        "new < value",
        "senn mlp",
    ),
    Mutation(
        "fireflies forget what a neuron did before",
        Firefly._splits,
        "/ 2 - seen.at_rest",
        "/ 2",
        "firefly tokens",
    ),
    Mutation(
        "new neurons add as much as those there are",
        Firefly._limit,
        "self.birth",
        "1.0",
        "firefly tokens",
    ),
    Mutation(
        "senn's residual is the whole activity",
        Residual.score,
        "left + self",
        "power + self",
        "senn mlp",
    ),
    Mutation(
        "cascades do not take out what has been found",
        Errors.beside,
        "self.goals - h",
        "self.goals - 0 * h",
        "cascade_correlation tokens",
    ),
    Mutation(
        "tiny's gains belong to other neurons",
        Tiny.propose,
        "size = gains[:kept].sqrt()",
        "size = gains[:kept].flip(0).sqrt()",
        "tiny-significance-off mlp",
    ),
    Mutation(
        "t* is left out",
        Tiny.propose,
        "fan_in=fan_in * sqrt(t)",
        "fan_in=fan_in",
        "tiny-significance-off convnet",
    ),
    Mutation(
        "images move by up to three pixels",
        augmentation.crop_flip,
        "2 * PADDING + 1, (2",
        "2 * PADDING - 1, (2",
        "tiny depthwise",
    ),
    Mutation(
        "the cosine ends above 0",
        optimizers.learning_rate,
        "math.pi * spent",
        "math.pi * 0.8 * spent",
        "fixed",
    ),
    Mutation(
        "AdamW decays as Adam",
        optimizers.optimizer,
        "return AdamW(parameters",
        "return Adam(parameters",
        "fixed seed size",
    ),
    Mutation(
        "milestones are rounded down",
        schedule._between,
        "round((t - s) * j / rounds)",
        "(t - s) * j // rounds",
        "tiny-exact-on tokens",
    ),
    Mutation(
        "sites in turn begin with the last",
        Agenda.asked,
        "turn = growths % len(names)",
        "turn = -1 - growths % len(names) + len(names)",
        "north_preactivation mlp",
    ),
    Mutation(
        "intervals are two longer than they should",
        Exponential.time,
        "self.rate * at",
        "self.rate * at + 2",
        "exponential norm rate mlp",
    ),
    Mutation(
        "a plateau is what has fallen by more",
        Plateau.due,
        "before - values[-1] <",
        "before - values[-1] >",
        "plateau warm-up convnet",
    ),
    Mutation(
        "less of the rank at initialisation has to be kept",
        North._more,
        "self.gamma *",
        "self.gamma / 2 *",
        "north depthwise",
    ),
    Mutation(
        "rates of new entries are relative to the whole tensor",
        NewRates._share,
        "(new / seed)",
        "(new / (new + seed))",
        "exponential norm rate mlp",
    ),
    Mutation(
        "batches grow with the FLOPs, not with their root",
        State.batch_size_of,
        "math.sqrt(costs.flops / seed.flops)",
        "(costs.flops / seed.flops)",
        "tiny depthwise",
    ),
)
