"""Gram matrices of what does not change while a network grows: its data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from nas_bench.growth.capture import Captured
from nas_bench.growth.sites import Site
from nas_bench.growth.sums import Part

Key = tuple[str, int]
"""Name of a site, and samples."""
Made = tuple[Tensor, Tensor]
"""Σ b₂ with Σ b₂², and Σ b₂ b₂ᵀ, as in `Sums`."""


class InputGrams:
    """Sums over what sites read of the data as it is, for several growths of one network.

    What one growth has made and paid, later ones on as many samples take as it is, whichever
    samples they draw.

    Attributes:
        sites: names of these sites.
        made: so far.
    """

    def __init__(self, sites: Iterable[str], made: Mapping[Key, Made] | None = None) -> None:
        self.sites, self.made = frozenset(sites), dict(made or {})

    def known(self, sites: Iterable[Site], samples: Mapping[str, int] | None) -> set[str]:
        """The sites whose sums over so many samples there are."""
        return {s.name for s in sites if (s.name, (samples or {}).get(s.name, 0)) in self.made}

    def completed(self, site: Site, part: Part) -> Part:
        """What was measured at a site, with these sums; keeps them for the next growth."""
        sums, key = part.sums, (site.name, part.sums.count)
        if site.name in self.sites and sums.input_gram is not None and sums.inputs is not None:
            self.made[key] = sums.inputs, sums.input_gram
        elif sums.input_gram is None and key in self.made:
            inputs, gram = self.made[key]
            return replace(part, sums=replace(sums, inputs=inputs, input_gram=gram))
        return part


def sites_on_data(sites: Iterable[Site], seen: Captured, inputs: Tensor) -> list[str]:
    """Names of the sites whose grown layer reads the data itself, in whatever shape.

    Args:
        sites: of a model.
        seen: what its layers read of a batch.
        inputs: of this batch.
    """
    data = inputs.untyped_storage().data_ptr()
    read = {site.name: seen.inputs[site.grown] for site in sites}
    return [
        name
        for name, x in read.items()
        if x.untyped_storage().data_ptr() == data and x.numel() == inputs.numel()
    ]
