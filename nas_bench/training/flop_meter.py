"""Counts the multiply-adds of whatever runs, and refuses what has no price."""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from nas_bench.training.calls import Call
from nas_bench.training.decompositions import VALUES
from nas_bench.training.harmless import harmless
from nas_bench.training.prices import PRICES, Price


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
        self._flops = 0.0
        self._open: _Vectors | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch's guard against being compiled costs more than the counting does."""
        return False

    @property
    def flops(self) -> float:
        """So far."""
        self._settle()
        return self._flops

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator and add its price."""
        self._settle()
        operator = func._schema.name
        name = operator.removeprefix("aten::").removesuffix("_")
        price = PRICES.get(name)
        if price is None and not harmless(operator):
            raise UncountedError(unpriced(operator))
        out = func(*args, **(kwargs or {}))
        if price is not None:
            self._charge(name, price, Call.of(func, args, kwargs, out))
        return out

    def _charge(self, name: str, price: Price, call: Call) -> None:
        factor = 4 if call.complex else 1
        self._flops += factor * price(call)
        if name in VALUES:
            saved = factor * (price(call) - VALUES[name](call) / 2)
            self._open = _Vectors.of(call.result, saved)

    def _settle(self) -> None:
        """Give back what vectors cost that were dropped at once.

        Under a dispatch mode torch computes them for `eigvalsh` and `svdvals` too.
        """
        if self._open is not None and self._open.dropped:
            self._flops -= self._open.price
        self._open = None


@dataclass(frozen=True)
class _Vectors:
    """Of a decomposition into values and vectors, and their price in multiply-adds."""

    storages: tuple[StorageWeakRef, ...]
    price: float

    @classmethod
    def of(cls, result: tuple[Tensor, ...], price: float) -> Self:
        """Those in (values, vectors) or (left vectors, values, right vectors)."""
        vectors = [tensor for tensor in result if tensor.dim() == result[-1].dim()]
        return cls(tuple(StorageWeakRef(v.untyped_storage()) for v in vectors), price)

    @property
    def dropped(self) -> bool:
        """Whether none is alive."""
        return all(storage.expired() for storage in self.storages)


def unpriced(*names: str) -> str:
    """Says which operators have no price, and the cure."""
    return (
        f"the multiply-adds of {', '.join(sorted(names))} are not known: use linear, convolution, "
        "matmul, attention or elementwise operators instead"
    )
