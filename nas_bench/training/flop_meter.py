"""Counts the multiply-adds of whatever runs, and refuses what has no price."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from nas_bench.training.calls import Call
from nas_bench.training.harmless import harmless
from nas_bench.training.prices import PRICES


class UncountedError(ValueError):
    """Something whose FLOPs cannot be counted."""


class FlopMeter(TorchDispatchMode):
    """Counts the multiply-adds of every operator that runs inside, backward passes included.

    torch's FlopCounterMode counts operators that it does not know as 0, and the weight gradients
    of grouped convolutions once too often for each group.

    Raises:
        UncountedError: if an operator neither has a price nor is harmless.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator and add its price."""
        name = func._schema.name
        price = PRICES.get(name.removeprefix("aten::").removesuffix("_"))
        if price is None and not harmless(name):
            raise UncountedError(unpriced(name))
        out = func(*args, **(kwargs or {}))
        if price is not None:
            call = Call.of(func, args, kwargs, out)
            self.flops += price(call) * (4 if call.complex else 1)
        return out


def unpriced(*names: str) -> str:
    """Says which operators have no price, and the cure."""
    return (
        f"the multiply-adds of {', '.join(sorted(names))} are not known: use linear, convolution, "
        "matmul or attention operators, elementwise ones, and the usual decompositions"
    )
