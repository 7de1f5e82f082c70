"""Gram matrices of what does not change while a network grows: its data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from nas_bench.growth.capture import Captured
from nas_bench.growth.sites import Site
from nas_bench.growth.sums import Part

Key = tuple[str, int]
"""Name of a site, and samples."""
Made = tuple[tuple[int, ...], Tensor]
"""Checksum of each batch, and Σ b₂ b₂ᵀ."""


class InputGrams:
    """Σ b₂ b₂ᵀ of sites that read the data as it is, for several growths on the same batches.

    What one growth has made and paid, the later ones take as it is.

    Attributes:
        sites: names of these sites.
        made: so far.
    """

    def __init__(self, sites: Iterable[str], made: Mapping[Key, Made] | None = None) -> None:
        self.sites, self.made = frozenset(sites), dict(made or {})

    def known(self, sites: Iterable[Site], samples: Mapping[str, int] | None) -> set[str]:
        """The sites whose Gram of so many samples there is."""
        return {s.name for s in sites if (s.name, (samples or {}).get(s.name, 0)) in self.made}

    def completed(self, site: Site, part: Part, checksums: tuple[int, ...]) -> Part:
        """What was measured at a site with its Gram; keeps that for the next growth.

        Raises:
            ValueError: if the Gram is of other data.
        """
        sums, key = part.sums, (site.name, part.sums.count)
        if sums.input_gram is not None and site.name in self.sites:
            self.made[key] = checksums, sums.input_gram
        elif sums.input_gram is None and key in self.made:
            known, gram = self.made[key]
            if known != checksums:
                raise ValueError(
                    f"the batches differ from those on which the inputs of {site.name} were "
                    "measured before: give every growth the same ones, or other grams"
                )
            return replace(part, sums=replace(sums, input_gram=gram))
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
