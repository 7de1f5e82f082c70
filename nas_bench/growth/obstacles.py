"""What keeps a site that could grow from growing: hooks, pruning, frozen weights."""

from collections.abc import Iterable

from torch import nn

from nas_bench.growth.layers import SiteError
from nas_bench.growth.sites import Site


def obstacle(module: nn.Module) -> str | None:
    """Why the parameters of a module cannot be widened, as the end of a sentence, or None."""
    for key in ("weight", "bias"):
        if getattr(module, key, None) is not None and key not in module._parameters:
            return f"has a parametrised {key} (or a pruned one), which cannot be widened"
    if reason := _hooks(module):
        return reason
    for key, parameter in module.named_parameters(recurse=False):
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return f"has hooks on its {key}, which a wider one would lose: remove them before"
    return None


def _hooks(module: nn.Module) -> str | None:
    if module._forward_hooks or module._forward_pre_hooks:
        return "has forward hooks, which growth does not follow: remove them before"
    return None


def hooked_part(model: nn.Module, site: Site) -> str | None:
    """Why a module around a part of a site, but not around all of it, keeps it from growing.

    What its hooks change lies between the grown and the next layer.
    """
    around = [_around(name) for name in site.modules]
    for name in sorted(set().union(*around) - set.intersection(*around)):
        if reason := _hooks(model.get_submodule(name)):
            return f"{name} {reason}"
    return None


def _around(name: str) -> set[str]:
    """The modules that a module is part of, by qualified name."""
    parts = name.split(".")[:-1]
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def frozen_reason(model: nn.Module, site: Site) -> str | None:
    """Why a site should not grow because training does not change its layers, or None."""
    for name in (site.grown, site.next):
        for key, parameter in model.get_submodule(name).named_parameters(recurse=False):
            if not parameter.requires_grad:
                return (
                    f"{name} has a frozen {key}: growth would change it and never train what it "
                    "adds; set requires_grad or leave the site out"
                )
    return None


def check_sites(model: nn.Module, sites: Iterable[Site]) -> None:
    """Refuse sites, however they were found, of which a module cannot grow now.

    Raises:
        SiteError: with the reason.
    """
    for site in sites:
        for name in site.modules:
            if reason := obstacle(model.get_submodule(name)):
                raise SiteError(f"site {site.name} cannot grow: {name} {reason}")
        if reason := hooked_part(model, site) or frozen_reason(model, site):
            raise SiteError(f"site {site.name} cannot grow: {reason}")
