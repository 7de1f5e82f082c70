"""Adam for tensors whose entries have different ages."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class PerEntryAdam(Optimizer):
    """Adam, or AdamW, that counts the steps of every entry.

    torch's count those of a tensor, whose bias correction is wrong for entries that growth has
    added. Where all entries are as old as their tensor, it is torch's.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ) -> None:
        """As of `torch.optim.Adam`.

        Args:
            params: that are trained.
            lr: the learning rate.
            betas: of the two moments.
            eps: added to the root of the second one.
            weight_decay: times the parameters, added to the gradient.
            decoupled: whether the decay is that of AdamW, added to the step.

        Raises:
            ValueError: if a number is not finite or out of its range.
        """
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}, expected a finite number of at least 0")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {betas}, expected numbers from 0 to less than 1")
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, options | {"decoupled": decoupled})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(
        self, parameter: nn.Parameter, gradient: torch.Tensor, group: dict[str, Any]
    ) -> None:
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        if not state:
            names = ("steps", "exp_avg", "exp_avg_sq")
            state.update({name: torch.zeros_like(parameter) for name in names})
        if group["decoupled"]:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        elif group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        steps = state["steps"].add_(1)
        first = state["exp_avg"].lerp_(gradient, 1 - beta1) / (1 - beta1**steps)
        second = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size = (second / (1 - beta2**steps)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(first, size, value=-group["lr"])
