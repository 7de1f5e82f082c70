"""What growing costs: FLOPs and seconds, by part.

FLOPs are multiply-adds, as fvcore counts them. FLOP counters price decompositions at 0; here
they have the leading terms of Golub & Van Loan, *Matrix Computations*, so that no growth is free.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

Shape = tuple[int, ...]


def _batch(shape: Shape) -> int:
    return int(torch.Size(shape[:-2]).numel())


def _eigh(shape: Shape, *_: Any, **__: Any) -> int:
    """Symmetric eigenvalues and vectors: 9 n³."""
    return _batch(shape) * 9 * shape[-1] ** 3


def _eig(shape: Shape, *_: Any, **__: Any) -> int:
    """General eigenvalues and vectors: 25 n³."""
    return _batch(shape) * 25 * shape[-1] ** 3


def _svd(shape: Shape, *_: Any, **__: Any) -> int:
    """Thin SVD, QR first: 6 m n² + 20 n³ with m ≥ n."""
    m, n = max(shape[-2:]), min(shape[-2:])
    return _batch(shape) * (6 * m * n**2 + 20 * n**3)


def _qr(shape: Shape, *_: Any, **__: Any) -> int:
    """Householder QR with Q formed: 4 m n² with m ≥ n."""
    m, n = max(shape[-2:]), min(shape[-2:])
    return _batch(shape) * 4 * m * n**2


def _cholesky(shape: Shape, *_: Any, **__: Any) -> int:
    return _batch(shape) * shape[-1] ** 3 // 3


def _inverse(shape: Shape, *_: Any, **__: Any) -> int:
    return _batch(shape) * 2 * shape[-1] ** 3


def _solve(shape: Shape, right: Shape, *_: Any, **__: Any) -> int:
    """LU and one solve per right-hand side: 2/3 n³ + 2 n² r."""
    n, columns = shape[-1], right[-1] if len(right) > 1 else 1
    return _batch(shape) * (2 * n**3 // 3 + 2 * n**2 * columns)


def _triangular(shape: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return _batch(shape) * shape[-1] ** 2 * (right[-1] if len(right) > 1 else 1)


def _least_squares(shape: Shape, *_: Any, **__: Any) -> int:
    return _svd(shape)


def _pinv(shape: Shape, *_: Any, **__: Any) -> int:
    """An SVD and the product of its factors."""
    m, n = max(shape[-2:]), min(shape[-2:])
    return _svd(shape) + _batch(shape) * 2 * m * n**2


def _lu(shape: Shape, *_: Any, **__: Any) -> int:
    return _batch(shape) * 2 * shape[-1] ** 3 // 3


def _two_triangular(right: Shape, factor: Shape, *_: Any, **__: Any) -> int:
    return _batch(factor) * 2 * factor[-1] ** 2 * (right[-1] if len(right) > 1 else 1)


def _exponential(shape: Shape, *_: Any, **__: Any) -> int:
    """About ten matrix products."""
    return _batch(shape) * 20 * shape[-1] ** 3


def _vectors(shape: Shape, *_: Any, **__: Any) -> int:
    """Matrix times vector, or dot product."""
    return 2 * int(torch.Size(shape).numel())


_aten = torch.ops.aten
FREE = ("linalg_vector_norm", "linalg_cross", "linalg_diagonal", "_linalg_check_errors")
DECOMPOSITIONS = {
    _aten._linalg_eigh: _eigh,
    _aten.linalg_eig: _eig,
    _aten._linalg_svd: _svd,
    _aten.linalg_qr: _qr,
    _aten.linalg_cholesky_ex: _cholesky,
    _aten.linalg_inv_ex: _inverse,
    _aten._linalg_solve_ex: _solve,
    _aten.linalg_lu_factor_ex: _lu,
    _aten.linalg_lu: _lu,
    _aten._linalg_det: _lu,
    _aten._linalg_slogdet: _lu,
    _aten.linalg_lu_solve: _two_triangular,
    _aten.cholesky_solve: _two_triangular,
    _aten.cholesky_inverse: _inverse,
    _aten.linalg_pinv: _pinv,
    _aten.linalg_matrix_exp: _exponential,
    _aten.linalg_householder_product: _qr,
    _aten.geqrf: _qr,
    _aten.mv: _vectors,
    _aten.dot: _vectors,
    _aten.vdot: _vectors,
    _aten.linalg_solve_triangular: _triangular,
    _aten.linalg_lstsq: _least_squares,
}
"""Floating-point operations (two to a multiply-add) of what FLOP counters price at 0."""


class FlopMeter(TorchDispatchMode):
    """Counts the multiply-adds of every operation made inside, decompositions included.

    torch's FlopCounterMode also follows modules, which fails in a backward pass to activations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation and add its price."""
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in DECOMPOSITIONS:
            shapes = tree_map(_shape, args)
            self.flops += DECOMPOSITIONS[packet](*shapes) / 2
        elif packet in flop_registry:
            self.flops += flop_registry[packet](*args, **(kwargs or {}), out_val=out) / 2
        else:
            _refuse_unpriced(packet.__name__)
        return out


def _refuse_unpriced(name: str) -> None:
    """Growing is never free: a decomposition without a price is an error."""
    if name.lstrip("_").startswith("linalg_") and name not in FREE:
        raise ValueError(f"the FLOPs of torch's {name} are not known; use another decomposition")


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else value


def synchronize() -> None:
    """Wait for what GPUs still have to do, so that clocks measure it."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


@dataclass
class CostMeter:
    """Running totals of FLOPs (multiply-adds) and seconds by part of the work."""

    flops: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def charge(self, part: str) -> Iterator[None]:
        """Count what runs inside and book it under a part."""
        synchronize()
        start = time.perf_counter()
        with FlopMeter() as counter:
            yield
        synchronize()
        self.book(part, counter.flops, time.perf_counter() - start)

    def book(self, part: str, flops: float, seconds: float) -> None:
        """Add to the totals of a part."""
        self.flops[part] = self.flops.get(part, 0.0) + flops
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
