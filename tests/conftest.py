"""How the suite runs: beside itself, on one thread a worker, as often as the profile asks."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, here and in children

settings.register_profile(
    "everyday", max_examples=50, deadline=None, derandomize=True, database=None
)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("everyday")


def asks_for_crashes(config: pytest.Config) -> bool:
    return "crash" in config.option.markexpr.replace("not crash", "")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No worker where processes, nodes and disks end: these tests have the machine alone."""
    return 0 if asks_for_crashes(config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What crashes is slow: -m 'not slow' leaves it out too."""
    for item in items:
        if item.get_closest_marker("crash"):
            item.add_marker("slow")


@pytest.fixture(autouse=True, scope="session")
def _terminal() -> Iterator[None]:
    """As wide for what a worker prints as without one, whoever looks on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "120")
        yield


@pytest.fixture(scope="session")
def ray_running() -> Iterator[None]:
    """One Ray for all tests that do not start or end it, which have the group "ray"."""
    from nas_bench.execution import Settings
    from nas_bench.execution.ray_session import session

    with session(Settings()):
        yield
