"""Settings of torch and global generators, which everything in a process shares."""

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (torch.get_default_device, torch.set_default_device),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "choice of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
}


def settings() -> dict[str, Any]:
    """The present value of each setting, by what it is called."""
    return {name: value() for name, (value, _) in _SETTINGS.items()}


@contextmanager
def settings_kept() -> Iterator[None]:
    """What is set inside is as before afterwards."""
    before = settings()
    try:
        yield
    finally:
        for name, value in settings().items():
            if value != before[name]:
                _SETTINGS[name][1](before[name])


def random_state() -> tuple[bytes, ...]:
    """The state of every global generator."""
    torch_state = torch.get_rng_state().numpy().tobytes()
    return torch_state, pickle.dumps(random.getstate()), pickle.dumps(np.random.get_state())
