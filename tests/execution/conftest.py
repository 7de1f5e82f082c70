import pytest

from nas_bench import plugins


@pytest.fixture(autouse=True)
def forget_plugins(monkeypatch):
    """Plugins loaded here are not known to other tests."""
    monkeypatch.setattr(plugins, "_loaded", {})
