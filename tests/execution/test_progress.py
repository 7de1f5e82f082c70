import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

import nas_bench
from nas_bench.execution.progress import INTERVAL, Lines, Live, share_done
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.messages import Failure, Record, Seconds, as_dict, raised_at

CONFIG = TrialConfig(
    protocol="smoke",
    version=1,
    kind="free",
    task="digits",
    method="tiny",
    seed=3,
    budget=Budget(epochs=10),
    schedule=Schedule(where="best"),
)
RECORD = Record(
    step=50,
    epoch=5.0,
    samples=500,
    train_flops=3e6,
    growth_flops=1e6,
    seconds=Seconds(),
    parameters=10,
    flops=8.0,
    widths=(4, 2),
    train_loss=1.0,
    validation_loss=1.25,
    test_loss=9.0,
    train_accuracy=0.5,
    validation_accuracy=0.75,
    test_accuracy=0.1,
)
FINAL = replace(RECORD, final=True)
FAILURE = Failure("failed", "RuntimeError", "no luck\ntoday", "")


class Timer:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


def test_a_trial_that_ends_is_one_line_with_validation_and_not_test_accuracy():
    said = []
    lines = Lines(12, said.append)
    lines(CONFIG, {"type": "started"})
    lines(CONFIG, as_dict(RECORD))
    lines(CONFIG, as_dict(FINAL))
    assert said.pop(0) == "digits: loading data"
    assert said == ["[ 1/12] digits tiny seed 3: ok, validation accuracy 75.0%, widths 4-2"]


def test_a_failure_is_one_line_with_its_reason():
    said = []
    Lines(2, said.append)(CONFIG, as_dict(FAILURE))
    assert said == ["[1/2] digits tiny seed 3: failed, RuntimeError: no luck"]


TRACEBACK = """Traceback (most recent call last):
  File "{package}/execution/worker.py", line 110, in _run
  File "/home/me/mine.py", line 12, in propose
  File "{library}/json/__init__.py", line 3, in loads
  File "/x/site-packages/torch/nn.py", line 9, in forward
RuntimeError: no luck
"""


def test_a_failure_names_the_line_of_ones_own_code_where_it_was_raised():
    places = {"package": Path(nas_bench.__file__).parent, "library": Path(os.__file__).parent}
    failure = replace(FAILURE, traceback=TRACEBACK.format(**places))
    said = []
    Lines(1, said.append)(CONFIG, as_dict(failure))
    assert said == ["[1/1] digits tiny seed 3: failed, RuntimeError: no luck (mine.py:12)"]
    ours = failure.traceback.replace("/home/me/mine.py", f"{places['package']}/growth/grow.py")
    assert raised_at(ours) == ""


def test_what_is_left_is_told_from_what_has_ended():
    said, clock = [], Timer()
    lines = Lines(4, said.append, clock)
    lines(CONFIG, {"type": "started"})
    clock.now += 30
    lines(CONFIG, as_dict(FINAL))
    clock.now += 30
    for _ in range(3):
        lines(CONFIG, as_dict(FINAL))
    left = [line.partition("]")[0].partition(", ")[2] for line in said[1:]]
    assert left == ["about 90 s left", "about 60 s left", "about 20 s left", ""]


def test_a_long_trial_says_now_and_then_how_far_it_is():
    said, clock = [], Timer()
    lines = Lines(1, said.append, clock)
    for _ in range(10):
        lines(CONFIG, as_dict(RECORD))
        clock.now += INTERVAL / 4
    assert said == ["digits tiny seed 3: 50%, validation accuracy 75.0%, widths 4-2"] * 2


@pytest.mark.parametrize(
    ("budget", "share"),
    [
        (Budget(epochs=10), 0.5),
        (Budget(steps=200), 0.25),
        (Budget(flops=4e7), 0.1),
        (Budget(epochs=1), 1),
    ],
)
def test_the_share_that_is_done_is_of_the_budget(budget, share):
    config = CONFIG.model_copy(update={"budget": budget})
    assert share_done(config, asdict(RECORD)) == share


def test_live_bars_disappear_with_their_trials():
    bars = Progress(console=Console(quiet=True))
    whole = bars.add_task("trials", total=2)
    live = Live(bars, whole, 2)
    live(CONFIG, {"type": "started"})
    assert bars.tasks[1].fields["remark"] == "loading data"
    live(CONFIG, as_dict(RECORD))
    assert bars.tasks[1].fields["remark"] == "validation accuracy 75.0%, widths 4-2"
    assert [task.description for task in bars.tasks] == ["trials", "digits tiny seed 3"]
    live(CONFIG, as_dict(FINAL))
    live(CONFIG, as_dict(FAILURE))
    assert [task.description for task in bars.tasks] == ["trials 2/2"]
    assert bars.finished
