"""How the suite runs: beside itself, on one thread a worker, as often as the profile asks."""

import gc
import os
import secrets
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, here and in children
os.environ.setdefault("RAY_AUTH_MODE", "token")  # when Ray is imported, as for who runs nas-bench
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

settings.register_profile(
    "everyday", max_examples=25, deadline=None, derandomize=True, database=None
)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("everyday")


TOGETHER = (
    (
        "tests/execution/test_ray_tune.py",
        "tests/test_cli.py::test_a_strangers_method",
        "tests/test_tune.py::test_asha_stops",
        "tests/api/test_verbs.py::test_a_class_of_a_cell_runs_under_ray",
    ),
    ("tests/report/browser/",),
    ("tests/execution/test_wandb_log.py",),
    ("tests/growth/test_torchvision.py",),
    ("tests/trials/test_planning.py",),
    ("tests/trials/test_rederived_fields.py",),
)
"""How the names of tests begin that one worker runs, one after the other: they share a Ray, a
browser or what takes long to make. All others meet no one, and run anywhere."""


def asks_for_crashes(config: pytest.Config) -> bool:
    return "crash" in config.option.markexpr.replace("not crash", "")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One more than cores where some wait for Ray; none where processes, nodes and disks end."""
    if asks_for_crashes(config):
        return 0
    return (os.cpu_count() or 1) + ("not slow" not in config.option.markexpr)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The cases of a test together, in our order: by name, since xdist 3.8 does not see its own
    groups under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    if config.getoption("dist") != "loadscope":
        return None

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            test = nodeid.partition("[")[0]
            return next((names[0] for names in TOGETHER if nodeid.startswith(names)), test)

    config.option.loadscopereorder = False
    return Together(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What crashes is slow: -m 'not slow' leaves it out too. What stands in TOGETHER comes first,
    then what is slow, so that no worker is left alone with them at the end.
    """
    together = sum(TOGETHER, ())
    for item in items:
        if item.get_closest_marker("crash"):
            item.add_marker("slow")
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith(together),
            item.get_closest_marker("slow") is None,
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Half a million objects are made that stay: nobody looks meanwhile, or later, for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _machine() -> Iterator[None]:
    """A terminal as wide for a worker as without one, whoever looks on, and a disk that nobody
    waits for: files are written ten thousand times, and no test pulls the plug.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "120")
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures, where figures are not what is tested."""
    monkeypatch.setattr("nas_bench.report.writing.FORMATS", ())


@pytest.fixture(scope="session")
def device() -> str:
    """A GPU, or what NAS_BENCH_TEST_DEVICE names; without either the test is skipped."""
    import torch

    asked = os.environ.get("NAS_BENCH_TEST_DEVICE", "cuda")
    if asked.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return asked


@pytest.fixture(scope="session")
def ray_running() -> Iterator[None]:
    """One Ray for all tests that do not start or end it, which stand in TOGETHER."""
    from nas_bench.execution import Settings
    from nas_bench.execution.ray_session import session

    with session(Settings()):
        yield
