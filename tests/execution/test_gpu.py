"""Trials on a GPU: the same bits again, close to the CPU, several at a time, out of memory.

    NAS_BENCH_TEST_DEVICE=cpu python -m pytest -m gpu

tries the tests themselves where there is none.
"""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from execution.trials import SETTINGS, Collector, config, job, without_clocks
from sklearn.datasets import load_digits

from nas_bench import plugins
from nas_bench.execution import executor
from nas_bench.execution.worker import reset
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Schedule
from nas_bench.trials.pause import Pause
from nas_bench.trials.schedule import first_widths
from nas_bench.trials.start import Start
from nas_bench.trials.trial import Trial

pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.usefixtures("clean_process")]

LOSSES = ("train_loss", "validation_loss")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    """A task with convolutions and poolings, on images of 8 × 8."""
    x, y = load_digits(return_X_y=True)
    path = tmp_path_factory.mktemp("images") / "digits.npz"
    pixels = (x * 15).astype(np.uint8).reshape(-1, 8, 8)
    train, test = slice(200, 1000), slice(200)
    np.savez(
        path, x_train=pixels[train], y_train=y[train], x_test=pixels[test], y_test=y[test]
    )  # fmt: skip
    return f"image_arrays[path={path}]"


def ended(device, *trials):
    """What trials said that ran one after the other on a device."""
    collector = Collector()
    jobs = [replace(trial, device=device, gpus=1.0) for trial in trials]
    executor("inline").execute(jobs, SETTINGS, collector)
    return [collector.of(each) for each in jobs]


def trial(spec, method, **values):
    schedule = Schedule(growths=2, every=10, unit="steps")
    return job(spec, method, schedule=schedule, **values)


CASES = [
    ("digits", "tiny"), ("digits", "north_preactivation"), ("images", "tiny"),
    ("images", "gradmax"), ("images", "net2net"), ("images", "random_growth"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "method"), CASES)
def test_the_same_trial_gives_the_same_bits(device, images, task, method):
    again = trial(images if task == "images" else task, method)
    first, second = ended(device, again)[0], ended(device, again)[0]
    assert first[-1].get("final"), first[-1]
    assert first[-1]["weights"] == second[-1]["weights"]
    assert without_clocks(first) == without_clocks(second)


@pytest.mark.parametrize("task", ["digits", "images"])
def test_a_trial_begins_as_on_the_cpu(device, images, task):
    """Until its first growth, whose gains are of the same statistics."""
    spec = images if task == "images" else task
    there, here = (ended(where, trial(spec, "tiny"))[0] for where in (device, "cpu"))
    growths = [[m for m in said if m["type"] == "growth"] for said in (there, here)]
    (first, second), step = (events[0] for events in growths), growths[0][0]["step"]
    for key in ("site", "step", "widths", "status", "asked", "statistics_samples"):
        assert first[key] == second[key]
    assert first["gains"] == pytest.approx(second["gains"], rel=1e-2, abs=1e-6)
    assert first["flops"] == pytest.approx(second["flops"], rel=1e-2)
    records = [[m for m in said if m["type"] == "record"] for said in (there, here)]
    early = [[r for r in curve if r["step"] <= step][:2] for curve in records]
    for one, other in zip(*early, strict=True):
        assert [one[k] for k in LOSSES] == pytest.approx([other[k] for k in LOSSES], rel=1e-3)
    assert there[-1]["train_flops"] == here[-1]["train_flops"]


@pytest.mark.parametrize("task", ["digits", "images"])
def test_a_cut_trial_goes_on_bit_for_bit(device, images, task):
    chosen = config(images if task == "images" else task, "tiny")
    kind, method = plugins.task(chosen.task), plugins.method("tiny")
    widths = first_widths(kind, method)
    start = Start(chosen, chosen.budget, kind, method, widths, Path(), device)
    reset(chosen)
    *_, whole = Trial(start).run()
    reset(chosen)
    cut, kept = Trial(start), io.BytesIO()
    next(m for m in cut.run() if isinstance(m, Pause) and cut.spent.step >= 20)
    torch.save(cut.state(), kept)
    reset(config(seed=1))
    other = Trial(start)
    other.restore(torch.load(io.BytesIO(kept.getvalue()), weights_only=True))
    *_, last = other.run()
    assert last.weights == whole.weights is not None


def test_without_memory_a_trial_is_oom_and_the_next_one_runs(device):
    hungry, modest = ended(device, job(f"hungry[where={torch.device(device).type}]"), job())
    assert (hungry[-1]["type"], hungry[-1]["status"]) == ("failure", "oom")
    assert modest[-1]["final"]


def test_the_memory_and_the_model_of_the_device_are_recorded(device):
    (said,) = ended(device, job())
    environment = {k: v for m in said for k, v in m.get("environment", {}).items()}
    assert environment["device"] == (
        "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
    )
    assert 0 < environment["peak_memory"] < 100 * 2**30


BESIDE = """
import sys
from pathlib import Path
from execution.trials import SETTINGS, config
from dataclasses import replace
from nas_bench.execution.sweep import sweep
from nas_bench.results.ledger import Ledger
settings = replace(SETTINGS, device=sys.argv[2])
sweep([config(method="tiny")], Ledger(Path(sys.argv[1])), "inline", settings)
"""


def test_several_trials_at_a_time_give_the_same_bits_as_one(device, tmp_path):
    def begun(name):
        command = (sys.executable, "-P", "-c", BESIDE, str(tmp_path / name), device)
        tests = str(Path(__file__).parents[1])
        paths = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path)

    assert begun("alone").wait() == 0
    beside = [begun(f"beside{number}") for number in range(3)]
    assert [process.wait() for process in beside] == [0, 0, 0]
    runs = [run for folder in tmp_path.iterdir() for run in Ledger(folder).runs()]
    weights = [run.result.weights for run in runs if run.result]
    assert len(weights) == 4
    assert len({*weights}) == 1
