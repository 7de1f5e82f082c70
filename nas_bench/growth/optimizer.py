"""What becomes of the optimiser's state when growth replaces parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer

from nas_bench.growth.sites import Site
from nas_bench.growth.widen import Replacement
from nas_bench.text import counted
from nas_bench.training.per_entry import PerEntryAdam

Policy = Literal["transplant", "zeros", "per_entry", "copied", "reset"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
SECOND_MOMENTS = ("exp_avg_sq", "max_exp_avg_sq")


def transplant(
    optimizer: Optimizer, replacements: Sequence[Replacement], policy: Policy = "transplant"
) -> None:
    """Make the optimiser train the new parameters in place of the ones they replaced.

    "transplant": old entries keep their state and new ones start at 0, except Adam's second
    moment, which starts at the mean of the tensor's old entries: Adam counts steps per tensor, so
    zeros would give first updates several times the learning rate. "zeros": all new entries start
    at 0. "per_entry": likewise, the count of steps too, which takes `PerEntryAdam` in place of
    Adam. "copied": copies of neurons start with the state of their originals, other neurons as by
    "transplant". "reset": the state of all parameters is dropped, as by building the optimiser
    anew.

    Args:
        optimizer: changed in place; SGD, Adam, AdamW or PerEntryAdam unless the policy is "reset".
        replacements: from widening.
        policy: see above.

    Raises:
        ValueError: for an unknown policy, or an optimiser whose state cannot be transplanted.
    """
    check(optimizer, policy)
    for replacement in replacements:
        _exchange(optimizer, replacement)
        state = optimizer.state.pop(replacement.old, None)
        if state is not None and policy != "reset":
            optimizer.state[replacement.new] = _grown(state, replacement, policy)
    if policy == "reset":
        optimizer.state.clear()


def check(optimizer: Optimizer, policy: Policy) -> None:
    """Refuse a policy that this optimiser's state does not allow, before anything is changed.

    Raises:
        ValueError: for an unknown policy, or an optimiser whose state cannot be transplanted.
    """
    if policy not in POLICIES:
        raise ValueError(f"optimiser policy {policy!r} is not one of {', '.join(POLICIES)}")
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            "LBFGS counts its parameters once and for all: grow without an optimizer and build it "
            "anew from model.parameters() after growth"
        )
    if policy == "per_entry" and isinstance(optimizer, (Adam, AdamW)):
        name = type(optimizer).__name__
        decoupled = ", decoupled=True" if isinstance(optimizer, AdamW) else ""
        raise ValueError(
            f'{name} counts the steps of a tensor, not of its entries: for the policy "per_entry" '
            f"take nas_bench.growth.PerEntryAdam(model.parameters(){decoupled})"
        )
    if policy != "reset" and not isinstance(optimizer, (SGD, Adam, AdamW, PerEntryAdam)):
        raise ValueError(
            f"the state of {type(optimizer).__name__} cannot be transplanted, only that of SGD, "
            'Adam and AdamW; use the policy "reset"'
        )
    if policy == "reset":
        return
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(
                    f"{type(optimizer).__name__} keeps {name} of shape {tuple(value.shape)} for "
                    f"a parameter of shape {tuple(parameter.shape)}, which cannot be "
                    'transplanted; use the policy "reset"'
                )


def check_trained(optimizer: Optimizer, model: nn.Module, sites: Iterable[Site]) -> None:
    """Refuse an optimiser that would train only a part of what growth replaces.

    Raises:
        ValueError: if it holds half of a layer's parameters, or not those of a layer but others
            that are not the model's, as after the layer was replaced.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    ids, own = set(map(id, held)), {id(p) for p in model.parameters()}
    foreign = sum(id(p) not in own for p in held)
    for name in dict.fromkeys(name for site in sites for name in site.modules):
        keys = dict(model.get_submodule(name).named_parameters(recurse=False))
        missing = [f"{name}.{key}" for key, p in keys.items() if id(p) not in ids]
        if missing and (foreign or len(missing) < len(keys)):
            rest = " but only the rest of its layer"
            others = f" and holds {counted(foreign, 'tensor')} that the model does not have"
            raise ValueError(
                f"the optimiser, {type(optimizer).__name__}, does not train "
                f"{' and '.join(missing)}{others if foreign else rest}: build it anew from "
                "model.parameters()"
            )


def _exchange(optimizer: Optimizer, replacement: Replacement) -> None:
    for group in optimizer.param_groups:
        for i, parameter in enumerate(group["params"]):
            if parameter is replacement.old:
                group["params"][i] = replacement.new


def _grown(state: dict[str, Any], replacement: Replacement, policy: Policy) -> dict[str, Any]:
    old, dim, copied = replacement.old, replacement.dim, replacement.copied

    def grown(name: str, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape != old.shape:
            return value
        mean = policy in ("transplant", "copied") and name in SECOND_MOMENTS
        new = torch.full_like(replacement.new, float(value.mean()) if mean else 0.0)
        new[tuple(slice(size) for size in value.shape)] = value
        if policy == "copied" and copied is not None:
            new.narrow(dim, value.shape[dim], len(copied)).copy_(value.index_select(dim, copied))
        return new

    with torch.no_grad():
        return {name: grown(name, value) for name, value in state.items()}
