"""Learning rates of the entries that growth has added to a network's parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn


class NewRates:
    """Scales the steps of new entries, whatever the optimiser.

    A step is scaled as a whole, as if the learning rate of each entry were: θ + m (θ' − θ). Growth
    leaves old entries in the leading block of a tensor.

    "norm": m = ‖W_new‖/‖W_seed‖ (Frobenius), where W_new are the entries of a weight (not of a
    bias or norm) that one growth added, right after it, and W_seed those of the seed network then
    (Variance Transfer, https://arxiv.org/abs/2306.12700, section 3.3); 1 where either is zero, as
    silent neurons would otherwise never move. "warmup": m rises linearly to 1 over so many steps
    (as SPARKLING, https://arxiv.org/abs/2602.02472, has it for new channels).
    """

    def __init__(
        self, rule: Literal["norm", "warmup"], warmup_steps: int, model: nn.Module
    ) -> None:
        """Nothing is new in this model.

        Args:
            rule: see above.
            warmup_steps: of "warmup".
            model: the seed network.
        """
        self.rule, self.warmup_steps = rule, warmup_steps
        self.seed = {name: p.shape for name, p in model.named_parameters()}
        self.kept: dict[str, Tensor] = {}  # m of "norm", else the step at which entries were added

    def grown(self, model: nn.Module, step: int) -> None:
        """The model has grown, after so many steps."""
        for name, parameter in model.named_parameters():
            kept = self.kept.get(name)
            before = self.seed[name] if kept is None else kept.shape
            if parameter.shape == before or (self.rule == "norm" and parameter.dim() < 2):
                continue
            new = float(step) if self.rule == "warmup" else self._share(name, parameter, before)
            values = torch.full_like(parameter.detach(), new)
            if kept is None:
                kept = values.new_full(before, 1.0 if self.rule == "norm" else -torch.inf)
            values[_block(before)] = kept
            self.kept[name] = values

    @contextmanager
    def scaled(self, model: nn.Module, step: int) -> Iterator[None]:
        """Scale what happens inside to new entries, after so many steps."""
        factors = self._factors(step)
        parameters = {name: p for name, p in model.named_parameters() if name in factors}
        before = {name: p.detach().clone() for name, p in parameters.items()}
        yield
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(torch.lerp(before[name], parameter, factors[name]))

    def _share(self, name: str, parameter: Tensor, before: torch.Size) -> float:
        squares = parameter.detach().double().square()
        new = squares.sum() - squares[_block(before)].sum()
        seed = squares[_block(self.seed[name])].sum()
        return float((new / seed).sqrt()) if new > 0 and seed > 0 else 1.0

    def _factors(self, step: int) -> Mapping[str, Tensor]:
        if self.rule == "norm":
            return self.kept
        shares = {name: (step + 1 - born) / self.warmup_steps for name, born in self.kept.items()}
        return {name: share.clamp(max=1) for name, share in shares.items() if share.min() < 1}


def _block(shape: torch.Size) -> tuple[slice, ...]:
    return tuple(slice(size) for size in shape)
