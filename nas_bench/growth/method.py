"""The contract between the growth engine and a growth method."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from nas_bench.growth.search_space import Range

if TYPE_CHECKING:
    from nas_bench.growth.sites import Site
    from nas_bench.growth.statistics import SiteStatistics


UpdateAmplitude = Literal["search", "one", "shared"]
LineSearch = Literal["bracket", "grid"]
SEARCH_SAMPLES = 500
"""Of the minibatch on which amplitudes are searched."""


class Need(Flag):
    """What a growth method reads of a site, so that nothing else is measured.

    Widths and weights are always there; the mean of the inputs comes with any need.
    """

    NOTHING = 0
    INPUTS = auto()
    """The covariance S of what the grown layer reads."""
    HIDDEN = auto()
    """The covariance S₁ of what the next layer reads."""
    CROSS = auto()
    """P, between what the grown layer and what the next layer read; only of linear pairs."""
    GOAL = auto()
    """The goal update: Ñ, M and E vvᵀ. The only need that costs a backward pass."""
    SAMPLES = auto()
    """A bounded, seeded sample of rows: inputs and, of linear pairs, hidden activities (and with
    GOAL goals)."""
    PATCHES = auto()
    """The covariance of what the grown layer reads at all its own positions."""
    MAPS = auto()
    """Of sites with a map: inputs, hidden activities and, with GOAL, goals of all samples. What
    is not a product of two layers alone, such as N, is made from them."""


@dataclass(frozen=True)
class NewNeurons:
    """At most k neurons for one site, best first, before any amplitude.

    Attributes:
        fan_in: α, shape (k, p), the bias last where the grown layer has one.
        fan_out: ω, shape (k, taps, d).
        gains: λ, shape (k,), ≥ 0 and falling; zeros where the method ranks nothing.
        weight_update: δW* of the existing weights of the next layer, shape (d, m), or None; it may
            come without neurons.
        grown_update: likewise of the existing rows of the grown layer, shape (width, p). Wherever
            the weight update is scaled, searched or applied, both are, as one step.
        threshold: the gain below which a neuron was not significant, or None if not tested; at
            least so much where `draws` of the null distribution ended early.
        draws: how many of them were made, or None if not tested.
        dropped: how many neurons the threshold removed.
        copied: for each neuron the existing neuron whose path state (batch norm, slope) it
            copies, shape (k,), −1 for those that copy none; None if none does.
        rescaled: t*, by which the method has multiplied α ω after its decomposition.
        update_amplitude: where amplitudes are searched, that of the updates: their own, applied
            before the neurons' is searched; "one": none; "shared": that of the neurons.
        largest_amplitude: ε up to which is searched, from 2⁻²⁰ to 16.
        line_search: the amplitudes 2^j that are tried: "bracket": about four around the lowest
            loss; "grid": all of them.
    """

    fan_in: Tensor
    fan_out: Tensor
    gains: Tensor
    weight_update: Tensor | None = None
    grown_update: Tensor | None = None
    threshold: float | None = None
    draws: int | None = None
    dropped: int = 0
    copied: Tensor | None = None
    rescaled: float = 1.0
    update_amplitude: UpdateAmplitude = "search"
    largest_amplitude: float = 1.0
    line_search: LineSearch = "bracket"

    def __len__(self) -> int:
        return len(self.fan_in)

    @property
    def updates(self) -> bool:
        """Whether existing weights change."""
        return self.weight_update is not None or self.grown_update is not None

    @property
    def sources(self) -> list[tuple[Tensor | slice, Tensor | None]]:
        """Which neurons copy path state, and whose; then those that do not, with None."""
        copied = self.copied
        if not len(self):
            return []
        if copied is None or bool((copied >= 0).all()):
            return [(slice(None), copied)]
        copies, fresh = ((copied >= 0) == copy for copy in (True, False))
        parts = [(copies, copied[copies]), (fresh, None)]
        return [(which, source) for which, source in parts if which.any()]

    def chosen(self, which: "Tensor | slice", copied: Tensor | None) -> "NewNeurons":
        """Some of the neurons, that copy these existing ones, without any update."""
        some = {name: getattr(self, name)[which] for name in ("fan_in", "fan_out", "gains")}
        return replace(self, **some, copied=copied).neurons_alone()

    def neurons_alone(self) -> "NewNeurons":
        """The neurons without the updates."""
        return replace(self, weight_update=None, grown_update=None)

    def update_alone(self) -> "NewNeurons":
        """The updates without the neurons."""
        none = {name: getattr(self, name)[:0] for name in ("fan_in", "fan_out", "gains")}
        return replace(self, **none, copied=None)

    def joined(self, others: "NewNeurons") -> "NewNeurons":
        """These, with their updates, and then others, that copy none."""
        none = self.gains.new_full((len(others),), -1, dtype=torch.long)
        return replace(
            self,
            fan_in=torch.cat((self.fan_in, others.fan_in)),
            fan_out=torch.cat((self.fan_out, others.fan_out)),
            gains=torch.cat((self.gains, others.gains)),
            copied=None if self.copied is None else torch.cat((self.copied, none)),
        )

    def none(self) -> "NewNeurons":
        """Neither neurons nor an update."""
        return self.update_alone().neurons_alone()


@dataclass(frozen=True)
class GrowthMethod(ABC):
    """How new neurons get their weights. Fields are options, all with defaults.

    Subclasses are frozen dataclasses; nothing else needs to be touched to add one.
    """

    name: ClassVar[str]
    """What users type."""
    summary: ClassVar[str]
    """One line for tables and help."""
    reference: ClassVar[str] = ""
    """Authors, title, year, address."""
    version: ClassVar[int] = 1
    """Behaviour version, from 1: raise it with every change of the neurons that it proposes;
    results of other versions count as stale."""
    grows_from: ClassVar[tuple[Literal["seed", "quarter"], ...]] = ("seed", "quarter")
    """The first networks from which it can grow sensibly: copies cannot from a few neurons, all of
    which may be dead."""
    search_space: ClassVar[Mapping[str, Range]] = {}
    """Options of its own that tuning may vary, whatever the task, and between which values."""

    @property
    def starts_from(self) -> Literal["seed", "target"] | tuple[int, ...]:
        """The network a trial of this method begins with: of the task, or by its widths."""
        return "seed"

    @property
    def searches_amplitude(self) -> bool:
        """Whether the engine scales the neurons and line-searches their amplitude."""
        return False

    @property
    def preserves_function(self) -> bool:
        """Whether the network computes the same outputs right after growth."""
        return False

    @property
    def regularised(self) -> bool:
        """Whether it bears S and N of different samples: S of the data is then made once."""
        return False

    @property
    def zero_fan_in(self) -> bool:
        """Whether new neurons read nothing at first, so that the path needs a slope at 0."""
        return False

    @property
    def grows(self) -> bool:
        """Whether the method ever proposes neurons."""
        return True

    def statistics_samples(self, site: "Site", model: nn.Module, k: int) -> int:
        """How many training samples the statistics of a site are measured on, if there are enough.

        Args:
            site: that is to grow.
            model: as it is.
            k: neurons asked for.
        """
        return SEARCH_SAMPLES

    def proposal_flops(self, site: "Site", model: nn.Module, k: int) -> float:
        """About how many FLOPs a proposal takes, for plans; 0 where that is not known."""
        return 0.0

    @abstractmethod
    def needs(self, site: "Site") -> Need:
        """What `propose` reads of the statistics of a site."""

    @abstractmethod
    def propose(self, statistics: "SiteStatistics", k: int, generator: Generator) -> NewNeurons:
        """At most k new neurons, best first. Pure: all randomness comes from the generator."""
