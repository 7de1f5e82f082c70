"""Python's, NumPy's and torch's global generators, always handled together, and own streams."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def stream(seed: int, name: str) -> torch.Generator:
    """A generator of its own for each use of randomness in a trial."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def seed_all(seed: int) -> None:
    """Start every global generator anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Global generators start from the seed inside, and go on outside as if nothing happened."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        seed_all(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """The CPU's global generators start from a name inside, and go on outside as before.

    Unlike `isolated` it touches no GPU: worker processes of a process that has one must not.
    """
    python, numpy, own = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(own)


def global_state() -> dict[str, Any]:
    """The state of every global generator, as tensors and plain values."""
    kind, keys, position, gauss, cached = np.random.get_state(legacy=True)
    version, words, following = random.getstate()
    return {
        "python": [version, list(words), following],
        "numpy": [str(kind), torch.from_numpy(np.array(keys)), int(position), int(gauss), cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Go on from where `global_state` was asked."""
    version, words, following = state["python"]
    random.setstate((version, tuple(words), following))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
