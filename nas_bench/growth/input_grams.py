"""Gram matrices of what does not change while a network grows: its data."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from nas_bench.growth.sites import Site, evaluating, randomness_kept
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


def sites_on_data(model: nn.Module, sites: Iterable[Site], inputs: Tensor) -> list[str]:
    """Names of the sites whose grown layer reads the data itself, in whatever shape.

    Args:
        model: left as it is.
        sites: of the model.
        inputs: a few samples.
    """
    read: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for site in sites:
            hook = partial(_kept, read, site.name)
            handle = model.get_submodule(site.grown).register_forward_pre_hook(hook)
            stack.callback(handle.remove)
        with evaluating(model), torch.no_grad(), randomness_kept(inputs.device):
            model(inputs)
    data = inputs.untyped_storage().data_ptr()
    return [
        name
        for name, x in read.items()
        if x.untyped_storage().data_ptr() == data and x.numel() == inputs.numel()
    ]


def _kept(read: dict[str, Tensor], name: str, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    read[name] = arguments[0]
