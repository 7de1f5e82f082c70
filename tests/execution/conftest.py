import pytest
import torch
from execution.trials import config

from nas_bench import plugins
from nas_bench.execution.worker import reset


@pytest.fixture(autouse=True)
def forget_plugins(monkeypatch):
    """Plugins loaded here are not known to other tests."""
    monkeypatch.setattr(plugins, "_loaded", {})


@pytest.fixture
def clean_process():
    """Leave the process of the other tests as it was."""
    threads = torch.get_num_threads()
    yield
    reset(config())
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
