"""The contract of growth methods."""

from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor, nn

from nas_bench.contract.declarations import options, require_frozen, require_words
from nas_bench.contract.finding import Check, require, run_checks
from nas_bench.contract.settings import random_state, settings, settings_kept
from nas_bench.contract.stages import Stage, proposed, stages
from nas_bench.growth import GrowthMethod, NewNeurons, SiteStatistics, grow
from nas_bench.growth.grow import Where
from nas_bench.text import counted
from nas_bench.trials.applicability import refusal

_COUNTS = (1, 3, 50)


@dataclass(frozen=True)
class _Subject:
    """A method, and what it proposes where it does not refuse to grow."""

    method: GrowthMethod

    def stages(self) -> list[Stage]:
        """New networks, the same each time."""
        found = [stage for stage in stages() if refusal(self.method, [stage.site]) is None]
        require(bool(found), "it refuses to grow any of the networks")
        return [stage.prepared_for(self.method) for stage in found]

    @cached_property
    def shown(self) -> list[tuple[Stage, SiteStatistics]]:
        """Networks that stay as they are, and what is measured there; methods see copies."""
        return [(stage, stage.statistics(self.method)) for stage in self.stages()]

    def proposals(self, k: int) -> list[NewNeurons]:
        """What the method proposes at first sight, made once."""
        if k not in self._made:
            self._made[k] = [proposed(self.method, deepcopy(seen), k) for _, seen in self.shown]
        return self._made[k]

    @cached_property
    def _made(self) -> dict[int, list[NewNeurons]]:
        return {}


def check_method(method: GrowthMethod) -> list[Check]:
    """What a method must do on small networks of linear layers and of convolutions."""
    return run_checks(_CHECKS, _Subject(method))


def _declares_itself(subject: _Subject) -> None:
    method = subject.method
    require_words(method)
    require_frozen(method, "method")
    starts = {"seed", "quarter"}
    known = bool(method.grows_from) and starts >= set(method.grows_from)
    require(known, f"its grows_from {method.grows_from} names other starts than seed and quarter")


def _accepts_its_search_space(subject: _Subject) -> None:
    method = subject.method
    for name, values in type(method).search_space.items():
        known = options(method)
        require(name in known, f"its search space names {name!r}, which is no option of it")
        for share in (0.0, 0.5, 1.0):
            replace(method, **{name: values.at(share)})


def _needs_what_it_reads(subject: _Subject) -> None:
    subject.proposals(3)


def _has_the_right_shapes(subject: _Subject) -> None:
    for k in _COUNTS:
        for (stage, seen), neurons in zip(subject.shown, subject.proposals(k), strict=True):
            _check_shapes(neurons, seen, f"k = {k}, {stage.name}", k)


def _proposes_something(subject: _Subject) -> None:
    some = [len(found) > 0 or found.updates for found in subject.proposals(3)]
    if subject.method.grows:
        require(any(some), "it proposed neither neurons nor an update on any of the networks")
    else:
        require(not any(some), "it says that it never grows, and proposed something")


def _is_finite(subject: _Subject) -> None:
    for k in _COUNTS:
        for (stage, _), neurons in zip(subject.shown, subject.proposals(k), strict=True):
            for name, tensor in _tensors(neurons).items():
                require(bool(tensor.isfinite().all()), f"{name} is not finite ({stage.name})")


def _is_pure(subject: _Subject) -> None:
    for (stage, seen), anew in zip(subject.shown, subject.proposals(3), strict=True):
        twice = deepcopy(seen)
        proposals = [anew]
        for seed in range(2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                proposals.append(proposed(subject.method, twice, 3))
        first, *others = map(_tensors, proposals)
        same = all(_equal(first, other) for other in others)
        require(same, f"the same generator gave other neurons ({stage.name})")


def _leaves_all_else_alone(subject: _Subject) -> None:
    for stage, seen in subject.shown:
        statistics = deepcopy(seen)
        state = random_state()
        with settings_kept():
            had = settings()
            subject.method.propose(statistics, 3, Generator().manual_seed(7))
            changed = [name for name, value in settings().items() if value != had[name]]
        same = _equal(_copied(seen), _copied(statistics))
        require(same, f"it changed the statistics ({stage.name})")
        require(state == random_state(), "it drew from a global generator: use the one given")
        require(not changed, f"it changed torch's {' and '.join(changed)}: propose must be pure")


def _preserves_the_function(subject: _Subject) -> None:
    if not subject.method.preserves_function:
        return
    for stage, neurons in zip(subject.stages(), subject.proposals(3), strict=True):
        with torch.no_grad():
            before = stage.model(stage.inputs)
            stage.widen(neurons)
            change = (stage.model(stage.inputs) - before).abs().max() / before.abs().max()
        tolerance = 1e-10 if before.dtype == torch.float64 else 1e-4
        require(
            float(change) <= tolerance,
            f"outputs changed by {float(change):.1e} of their size ({stage.name})",
        )


def _declares_zero_fan_in(subject: _Subject) -> None:
    for (stage, _), neurons in zip(subject.shown, subject.proposals(3), strict=True):
        silent = bool((neurons.fan_in == 0).all(dim=1).any())
        if subject.method.zero_fan_in:
            require(not neurons.fan_in.any(), f"its fan-in is not zero ({stage.name})")
        else:
            require(not silent, "a fan-in is zero: let zero_fan_in say so")


def _grows_a_network(subject: _Subject) -> None:
    for stage in subject.stages():
        added = _grow(stage, subject.method, where="each", fill=True)
        require(added == 3, f"of 3 neurons asked for {added} were added ({stage.name})")
        _grow(stage, subject.method, where="best", fill=False)
        with torch.no_grad():
            finite = bool(stage.model(stage.inputs).isfinite().all())
        require(finite, f"the grown network's outputs are not finite ({stage.name})")


_CHECKS = {
    "declares name, summary and options": _declares_itself,
    "accepts the values of its search space": _accepts_its_search_space,
    "needs only the statistics it declares": _needs_what_it_reads,
    "proposes at most k neurons of the right shapes, best first": _has_the_right_shapes,
    "proposes neurons or an update if it says that it grows": _proposes_something,
    "proposes finite numbers": _is_finite,
    "proposes the same for the same generator": _is_pure,
    "leaves statistics and everything global alone": _leaves_all_else_alone,
    "keeps the function if it says so": _preserves_the_function,
    "says whether its fan-in is zero": _declares_zero_fan_in,
    "grows a network": _grows_a_network,
}


def _grow(stage: Stage, method: GrowthMethod, *, where: Where, fill: bool) -> int:
    """How many neurons the network gains."""
    before = stage.site.width(stage.model)
    loss = nn.MSELoss()
    with settings_kept():
        grow(stage.model, stage.batches, loss, method, neurons=3, where=where, fill=fill, seed=0)
    return stage.site.width(stage.model) - before


def _check_shapes(neurons: NewNeurons, statistics: SiteStatistics, where: str, k: int) -> None:
    n, p, d = len(neurons), statistics.grown_weight.shape[1], statistics.outputs
    taps = statistics.taps
    require(n <= k, f"it proposed {counted(n, 'neuron')} ({where})")
    wanted: dict[str, tuple[int, ...]] = {
        "fan_in": (n, p),
        "fan_out": (n, taps, d),
        "gains": (n,),
        "weight_update": tuple(statistics.next_weight.shape),
        "grown_update": tuple(statistics.grown_weight.shape),
        "copied": (n,),
    }
    for name, tensor in _tensors(neurons).items():
        shape = tuple(tensor.shape)
        one_tap = name == "fan_out" and shape == (n, 1, d) != wanted[name]
        require(
            not one_tap,
            f"fan_out is {shape}, as if the next layer read each position once; it needs shape "
            f"(k, statistics.taps, d), here {wanted[name]} ({where})",
        )
        require(shape == wanted[name], f"{name} is {shape}, not {wanted[name]} ({where})")
    falling = bool((neurons.gains.diff() <= 0).all() and (neurons.gains >= 0).all())
    require(falling, f"gains are not falling and ≥ 0 ({where})")


def _tensors(value: Any) -> dict[str, Tensor]:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: part for name, part in found.items() if isinstance(part, Tensor)}


def _copied(statistics: SiteStatistics) -> dict[str, Tensor]:
    parts = [statistics, statistics.sums, *([statistics.samples] if statistics.samples else [])]
    tensors = [_tensors(part) for part in parts]
    return {
        f"{index}.{name}": tensor.clone()
        for index, part in enumerate(tensors)
        for name, tensor in part.items()
    }


def _equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    same_names = left.keys() == right.keys()
    return same_names and all(torch.equal(left[name], right[name]) for name in left)
