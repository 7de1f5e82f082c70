"""The short form of `tests/benchmarks/crashes.py`: what is killed goes on to the same bits."""

import random

import pictures
import pytest
from benchmarks.crashes import MOMENTS, Sweep, Tally, compare, kill_drivers, kill_workers
from benchmarks.streamed_images import epoch

pytestmark = pytest.mark.crash
SEED = 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nobody kills."""
    sweep = Sweep(tmp_path_factory.mktemp("whole"), "inline", 300, seeds="0", tasks="digits")
    sweep.finish()
    return sweep.folder


def test_a_sweep_whose_driver_is_killed_goes_on_to_the_same_bits(whole, tmp_path):
    tally = Tally()
    sweep = Sweep(tmp_path, "inline", 300, seeds="0", tasks="digits")
    moments = ["at random", "in writing", "inside a growth"]
    kill_drivers(sweep, moments, random.Random(SEED), tally)
    compare(whole, tmp_path, tally)
    assert tally.kills.total() >= 2
    assert tally.attempts >= 2
    assert tally.resumed >= 1
    assert (tally.lost, tally.double, tally.other) == (0, 0, [])


def test_a_trial_whose_worker_is_killed_goes_on_in_the_same_sweep(whole, tmp_path):
    tally = Tally()
    sweep = Sweep(tmp_path, "ray", 300, seeds="0", tasks="digits", retries=1)
    kill_workers(sweep, ["after a growth"], random.Random(SEED), tally)
    compare(whole, tmp_path, tally)
    assert (tally.kills.total(), tally.commands, tally.attempts, tally.resumed) == (1, 1, 1, 1)
    assert (tally.lost, tally.double, tally.other) == (0, 0, [])


def test_a_trial_on_streamed_images_that_is_killed_within_its_epoch_goes_on_to_the_same_bits(
    tmp_path,
):
    images = pictures.folder(tmp_path / "mine", train=100)
    alone, killed = (epoch(images, tmp_path / name, 5) for name in ("whole", "killed"))
    alone.finish()
    tally = Tally()
    kill_drivers(killed, ["after a checkpoint"] * 2, random.Random(39), tally)
    compare(alone.folder, killed.folder, tally)
    assert (tally.kills.total(), tally.attempts, tally.resumed) == (2, 2, 1)
    assert (tally.lost, tally.double, tally.other) == (0, 0, [])


def test_every_moment_is_known():
    assert {"at start-up", "at random", "inside a growth", "in writing", "at an end"} <= set(
        MOMENTS
    )
