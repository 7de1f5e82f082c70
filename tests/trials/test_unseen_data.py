"""Growth, line searches and training never look at the data that results are measured on."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor
from trials.test_trial import said, trial

from nas_bench.training.task import Samples
from nas_bench.trials import measurement
from nas_bench.trials.config import Budget, Schedule

READERS: list[tuple[str, str]] = []


class Watched(Tensor):
    """Data that notes which file of the package uses it; what is made of it is watched too."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do what is asked."""
        READERS.append((_kind(args), _reader()))
        return super().__torch_function__(func, types, args, kwargs)


class WatchedTest(Watched):
    """Of the test split."""


class WatchedValidation(Watched):
    """Of the validation split."""


def _kind(args: tuple[Any, ...]) -> str:
    found = (type(arg).__name__ for arg in args if isinstance(arg, Watched))
    return next(found, "in a list")


def _files() -> Iterator[str]:
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


def _reader() -> str:
    """The measurement, if one is under way, else the innermost file of the package."""
    files = list(_files())
    inside = (file for file in files if "nas_bench" in file)
    return measurement.__file__ if measurement.__file__ in files else next(inside, files[0])


def watched(samples: Samples, kind: type[Watched]) -> Samples:
    return Samples(samples.inputs.as_subclass(kind), samples.targets.as_subclass(kind))


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("tiny", "best"), ("tiny[projection=false]", "each"), ("gradmax", "best"),
        ("north_preactivation[candidates=50]", "predicted"), ("random_growth[update=true]", "all"),
        ("net2net", "best"),
    ],
)  # fmt: skip
def test_only_evaluation_reads_validation_and_test_data(method, where):
    schedule = Schedule(where=where, neurons=2, every=10, unit="steps")
    running = trial(method, kind="free", schedule=schedule, budget=Budget(steps=35))
    test = watched(running.data.test, WatchedTest)
    validation = watched(running.data.validation, WatchedValidation)
    running.data = replace(running.data, test=test, validation=validation)
    READERS.clear()
    records, events = said(running)
    assert len(events) == 3
    assert len(records) > 4
    assert {reader for _, reader in READERS} == {measurement.__file__}
    assert {"WatchedTest", "WatchedValidation"} <= {kind for kind, _ in READERS}


def test_the_watch_would_notice_training_on_test_data():
    running = trial("tiny", budget=Budget(steps=35), schedule=Schedule(growths=1, every=0))
    running.data = replace(running.data, train=watched(running.data.train, WatchedTest))
    running.growing.train = running.data.train
    READERS.clear()
    said(running)
    assert len({reader for _, reader in READERS}) > 3
