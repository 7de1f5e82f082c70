"""Whether a model stays the same function when sites get wider: its forward may read a width."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nas_bench.growth.layers import SiteError, inputs, layer
from nas_bench.growth.method import NewNeurons
from nas_bench.growth.preflight import alike
from nas_bench.growth.sites import Site, evaluating, randomness_kept
from nas_bench.growth.widen import widen

MOST = 1024
"""Neurons that a site is widened by, as many as it has if those are fewer."""
CHANGE = 1e-2
"""Of the outputs, relative: more than coarse precision makes, less than a width that is read."""


def width_reasons(model: nn.Module, sites: Sequence[Site], batch: Tensor) -> Mapping[str, str]:
    """Why sites cannot grow: what the model computes changes with their width alone.

    Each site is widened by neurons that nobody reads, for one pass.

    Args:
        model: left as it is.
        sites: in network order.
        batch: inputs that the model can read; a few samples will do.

    Returns:
        The end of a sentence, by name of the site; empty if all are well.
    """
    before = _outputs(model, batch)
    together = _reason(model, sites, batch, before)
    if together is None:
        return {}
    reasons = {site.name: _reason(model, [site], batch, before) for site in sites}
    return {name: r for name, r in reasons.items() if r} or {s.name: together for s in sites}


def check_widths(model: nn.Module, sites: Sequence[Site], batch: Tensor) -> None:
    """Refuse sites whose width alone changes what the model computes.

    Raises:
        SiteError: with the reason.
    """
    for name, reason in width_reasons(model, sites, batch).items():
        raise SiteError(f"site {name} cannot grow: {reason}")


def _reason(model: nn.Module, sites: Sequence[Site], batch: Tensor, before: Any) -> str | None:
    with _wider(model, sites):
        try:
            after = _outputs(model, batch)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            return f"the model cannot run once it is wider: {reason}"
    if alike(before, after, CHANGE) or not _finite(after):  # nan and inf are others' business
        return None
    return (
        "the model's forward reads its width (such as out_features, or a shape), so that neurons "
        "that nobody reads change the outputs: make it a constant, or leave the site out"
    )


def _outputs(model: nn.Module, batch: Tensor) -> Any:
    with evaluating(model), torch.no_grad(), randomness_kept(batch.device):
        return model(batch)


def _finite(outputs: Any) -> bool:
    leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    return all(bool(leaf.isfinite().all()) for leaf in leaves)


@contextmanager
def _wider(model: nn.Module, sites: Sequence[Site]) -> Iterator[None]:
    """Sites with neurons of zero fan-in and fan-out inside."""
    names = {name for s in sites for name in s.modules}
    kept = [_state(model.get_submodule(name)) for name in names]
    try:
        for site in sites:
            widen(model, site, _unread(model, site))
        yield
    finally:
        for module, attributes, parameters, buffers in kept:
            module.__dict__.update(attributes)
            module._parameters.update(parameters)
            module._buffers.update(buffers)


def _state(module: nn.Module) -> tuple[nn.Module, dict[str, Any], dict[str, Any], dict[str, Any]]:
    return module, dict(vars(module)), dict(module._parameters), dict(module._buffers)


def _unread(model: nn.Module, site: Site) -> NewNeurons:
    grown, following = layer(model, site.grown), layer(model, site.next)
    k = min(len(grown.weight), MOST)
    zeros = grown.weight.new_zeros
    return NewNeurons(
        fan_in=zeros(k, inputs(grown)),
        fan_out=zeros(k, site.taps, len(following.weight)),
        gains=zeros(k),
        copied=torch.arange(k, device=grown.weight.device),
    )
